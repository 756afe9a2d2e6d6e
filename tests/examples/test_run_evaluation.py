# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""The evaluation that both recipes run, with a model that knows an image by its mean colour."""

import json

import pytest
import torch
from accelerate import Accelerator
from examples.common.data import DataConfig
from examples.common.evaluation import Loaded, run_evaluation
from examples.common.protocols import read_targets
from examples.common.ranking import RankingConfig
from examples.common.retrieval import rank_queries, Retrieval
from examples.common.retrieval_features import check_targets
from examples.common.selection import training_data
from examples.vtbr.finetune_definitions import EvaluateConfig
from PIL import Image
from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.data.registry import read_dataset
from torchmultimodal_reid.evaluation.splits import draw_splits
from torchmultimodal_reid.evaluation.training_protocols import Source, TrainingProtocol
from torchmultimodal_reid.models.saved_reid import ReIDDescription
from torchmultimodal_reid.transforms.caption import CaptionTransform
from torchmultimodal_reid.utils.checkpoint import write_checkpoint

DESCRIPTION = ReIDDescription("", "", 1, 2, (8, 4), (0.0,) * 3, (1.0,) * 3)


def mean_color(image, text, text_padding):
    return image.mean((2, 3))


@pytest.fixture
def evaluate(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    checkpoint = write_checkpoint(tmp_path / "checkpoint", {}, {})

    def run(data, **more):
        output = str(tmp_path / "e")
        config = EvaluateConfig(
            str(checkpoint), output, figures=False, data=data, **more
        )
        model = Loaded(mean_color, DESCRIPTION, None)
        run_evaluation(config, ["image"], lambda device: model)
        report = json.loads((tmp_path / "e" / "results.json").read_text())
        return capsys.readouterr().out, report

    return run


def test_small_set_is_the_mean_over_ten_splits(evaluate, tmp_path):
    people = tmp_path / "ilids"
    people.mkdir()
    for person in range(1, 120):
        for shot in (1, 2):
            color = (2 * person, 0, 255 - 2 * person)
            Image.new("RGB", (4, 8), color).save(people / f"{person:04d}{shot:03d}.png")
    data = DataConfig(
        protocol="market1501-to-ilids", roots={"ilids": str(people)}, workers=0
    )
    out, report = evaluate(data)
    rows = {row["name"]: row for row in report["results"]}
    assert rows["image query"]["metrics"]["mAP"] == 1.0
    assert rows["image query"]["metrics"]["num_queries"] == 60
    assert rows["image query"]["protocol"]["name"] == "image-to-image-single-shot"
    # one match among 60
    assert rows["chance"]["metrics"]["cmc"][0] == pytest.approx(1 / 60)
    assert report["counts"]["gallery_rows"] == 60
    splits = report["extra"]["splits"]["ilids"]
    assert splits["results"]["image query"]["mAP"] == [1.0] * 10
    assert splits["results"]["image query"]["deviation"]["mAP"] == 0
    sha256 = splits["stamp"]["sha256"]
    assert (
        len(sha256) == 64
        and f"mean of 10 splits, of seed 0, sha256 {sha256[:12]}" in out
    )
    assert report["extra"]["training_protocol"]["name"] == "market1501-to-ilids"
    assert "protocol market1501-to-ilids (version 1)" in out
    assert "no camera is told" not in out


def test_protocol_of_several_targets_ends_with_their_mean(
    evaluate, tmp_path, monkeypatch
):
    """Both targets are small sets of 119 people, who are easily found on the one; on the other three look alike."""
    names = ("ilids", "viper")
    for name in names:
        (tmp_path / name).mkdir()
        for person in range(1, 120):
            for shot in (1, 2):
                shade = 2 * person if name == "ilids" else 6 * (person // 3)
                color = (shade, 0, 255 - shade)
                image = Image.new("RGB", (4, 8), color)
                image.save(tmp_path / name / f"{person:04d}{shot:03d}.png")

    def read(name, root, **options):
        return draw_splits("ilids", root, **options)

    monkeypatch.setattr("examples.common.protocols.draw_splits", read)
    protocol = TrainingProtocol("P1", 1, (Source("market1501"),), names)
    monkeypatch.setattr(
        "examples.common.protocols.get_training_protocol", lambda *_: protocol
    )
    roots = {name: str(tmp_path / name) for name in names}
    out, report = evaluate(DataConfig(protocol="P1", roots=roots, workers=0))
    rows = {row["name"]: row for row in report["results"]}
    found = rows["mean of 2 targets: image query"]
    each = [rows[f"{name}: image query"]["metrics"]["mAP"] for name in names]
    assert each[0] == 1.0 > each[1]
    assert found["metrics"]["mAP"] == pytest.approx(sum(each) / 2)
    assert found["protocol"] == rows["ilids: image query"]["protocol"]
    assert found["metrics"]["num_queries"] == 120
    # the first target is the same on all splits
    spread = rows["viper: image query"]["deviation"]["mAP"]
    assert found["deviation"]["mAP"] == pytest.approx(spread / 2) and spread > 0.001
    assert report["extra"]["training_protocol"]["name"] == "P1"
    (line,) = [x for x in out.splitlines() if x.startswith("mean of 2 targets: image")]
    assert f"{50 * sum(each):.1f} ± " in line


def test_folder_of_a_target_that_is_not_there(evaluate):
    data = DataConfig(protocol="market1501-to-ilids", roots={"ilids": "nowhere"})
    with pytest.raises(ValueError, match="'nowhere' is not a folder"):
        evaluate(data)


def test_one_gallery_image_of_each_person_is_drawn(evaluate, build_market):
    data = DataConfig(root=build_market(captions=False, per_camera=3), workers=0)
    out, report = evaluate(data, protocol="image-to-image-single-gallery")
    query, chance = report["results"]
    assert query["protocol"]["gallery_draws"] == 10
    assert query["protocol"]["average_precision"] == "none"
    # two people with a query from each of two cameras; one gallery image of each
    assert query["metrics"]["num_valid_queries"] == 4
    assert set(query["metrics"]["cmc"]) == {1.0}
    assert chance["metrics"]["cmc"][0] == 0.5
    galleries = report["extra"]["splits"]["market1501"]["galleries"]
    assert (galleries["count"], galleries["seed"]) == (10, 0)
    assert f"10 galleries, of seed 0, sha256 {galleries['sha256'][:12]}" in out
    (line,) = [x for x in out.splitlines() if x.startswith("image query")]
    assert line.split()[2:4] == ["-", "100.0"]
    data.split_seed = 1
    other = evaluate(data, protocol="image-to-image-single-gallery")[1]
    found = other["extra"]["splits"]["market1501"]["galleries"]
    assert found["seed"] == 1 and found["sha256"] != galleries["sha256"]


def test_what_was_done_before_ranking_stands_on_the_result(evaluate, build_market):
    data = DataConfig(root=build_market(captions=False), workers=0)
    ranking = RankingConfig(
        re_rank=True, k1=3, k2=2, expand_queries=1, augment_gallery=1
    )
    out, report = evaluate(data, ranking=ranking)
    rows = {row["name"]: row for row in report["results"]}
    names = ["image query", "image query, expanded", "image query, expanded, re-ranked"]
    assert list(rows) == [*names, "chance"] and names[2] in out
    assert all(rows[name]["metrics"]["mAP"] == 1.0 for name in names)
    assert "ranking" not in rows["image query"] and "ranking" not in rows["chance"]
    assert rows[names[2]]["ranking"] == {
        "expand_queries": 1,
        "augment_gallery": 1,
        "alpha": 0.0,
        "re_rank": {"k1": 3, "k2": 2, "lambda_value": 0.3},
    }


def test_breakdown(evaluate, build_market):
    out, report = evaluate(DataConfig(root=build_market(), workers=0), breakdown=True)
    found = report["extra"]["breakdown"]["market1501"]["image query"]
    assert found["interval_95"]["mAP"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    pairs = [(one["query"], one["gallery"]) for one in found["camera_pairs"]]
    # images of the query's own camera are no matches
    assert pairs == [(0, 1), (1, 0)] and found["camera_pairs"][0]["queries"] == 2
    told = [(one["attribute"], one["value"]) for one in found["attributes"]]
    assert told == [("coat", "red"), ("coat", "white")]
    assert "100.0 (100.0 to 100.0)" in out and "coat: white" in out


def test_no_cameras_no_camera_pairs(evaluate, build_market):
    _, report = evaluate(
        DataConfig(root=build_market(), workers=0),
        breakdown=True,
        protocol="image-to-image-no-camera",
    )
    found = report["extra"]["breakdown"]["market1501"]["image query"]
    assert "camera_pairs" not in found and "attributes" in found
    assert report["counts"]["gallery_cameras"] == 2


class TestWithoutCameras:
    """A data set that does not tell cameras, as CUHK-PEDES."""

    @pytest.fixture
    def data(self, build_market, monkeypatch):
        def read(name, root, **options):
            return read_dataset(name, root, **options)._replace(tells_cameras=False)

        monkeypatch.setattr("examples.common.data.read_dataset", read)
        return DataConfig(root=build_market(cameras=1, per_camera=2), workers=0)

    def test_default_rules_know_no_cameras(self, evaluate, data):
        _, report = evaluate(data, breakdown=True)
        query, _ = report["results"]
        assert query["protocol"]["name"] == "image-to-image-no-camera"
        assert query["metrics"]["num_valid_queries"] == 2
        assert query["metrics"]["mAP"] == 1.0
        assert report["counts"]["gallery_cameras"] == 1
        found = report["extra"]["breakdown"]["market1501"]["image query"]
        assert "camera_pairs" not in found

    def test_rules_with_cameras_are_refused(self, evaluate, data):
        with pytest.raises(ValueError, match="share all cameras"):
            evaluate(data, protocol="image-to-image")

    def test_text_queries_are_scored(self, data, tokenizer):
        (target,) = read_targets(data)
        check_targets([target], "text-to-image")
        retrieval = Retrieval(
            target.all_images(),
            DESCRIPTION,
            ["image", "text"],
            Accelerator(cpu=True),
            CaptionTransform(tokenizer, 77),
        )

        def embed(image, text, text_padding):
            return torch.eye(4)[: len(text if image is None else image), :3]

        features = retrieval.extract(embed)
        assert features.protocols["text"].name == "text-to-image"
        rows = rank_queries(features)
        assert [row.metrics.num_valid_queries for row in rows] == [2, 4]

    def test_validation_and_choice_on_the_test_set(self, data):
        watched = training_data(data, 0).watched
        assert watched is not None and watched.query == watched.gallery
        data.select_on_test_set = True
        assert training_data(data, 0).watched_name == "test set"

    @pytest.mark.parametrize("captions", [True, False])
    def test_one_camera_that_is_told_is_a_mistake(self, build_market, captions):
        data = DataConfig(root=build_market(cameras=1, captions=captions))
        with pytest.raises(DataError, match="share all cameras"):
            check_targets(read_targets(data), None)
        with pytest.raises(DataError, match="seen by two cameras"):
            training_data(data, 0)


@pytest.mark.parametrize(
    "option, message",
    [
        ({"k1": 0}, "ranking.k1 must be"),
        ({"expand_queries": -1}, "ranking.expand_queries must be"),
        ({"lambda_value": 1.5}, "ranking.lambda_value must be"),
        ({"alpha": -1.0}, "ranking.alpha must be finite and at least 0, got -1.0"),
    ],
)
def test_options_out_of_range(option, message):
    with pytest.raises(ValueError, match=message):
        RankingConfig(**option)
