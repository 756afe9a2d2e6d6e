# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json

from benchmarks import recipe_runs
from benchmarks.recipe_runs import finetune, mean_precision


def test_a_finetuning_is_evaluated_on_both_domains_once(tmp_path, monkeypatch):
    asked = []

    def run(module, *words):
        asked.append((module, words))
        if module.endswith("evaluate"):
            folder = next(word[7:] for word in words if word.startswith("output="))
            rows = [{"name": "text query", "metrics": {"mAP": 0.5}}]
            results = tmp_path / folder / "results.json"
            results.parent.mkdir(parents=True)
            results.write_text(json.dumps({"results": rows}))

    monkeypatch.setattr(recipe_runs, "run", run)
    datasets, folder = tmp_path / "datasets", tmp_path / "run"
    finetune(datasets, folder, 3, "pretrained=start")
    modules = [module.rsplit(".")[-1] for module, _ in asked]
    assert modules == ["finetune", "evaluate", "evaluate"]
    trained, source, target = (words for _, words in asked)
    assert {f"data.root={datasets / 'source'}", "seed=3", "pretrained=start"} <= set(
        trained
    )
    assert f"data.root={datasets / 'source'}" in source
    assert f"data.root={datasets / 'target'}" in target
    assert mean_precision(folder, "target", "text query") == 0.5
    finetune(datasets, folder, 3)
    assert len(asked) == 3
