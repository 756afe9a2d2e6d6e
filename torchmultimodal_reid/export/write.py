# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Writes the graphs of a checkpoint for ``torch.export`` and ONNX, and compares each with the model."""

import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple, Union

import torch
from torch import Tensor
from torchmultimodal_reid.export.towers import SHORTEST, Tower, towers_of
from torchmultimodal_reid.models.loading import load, Loaded
from torchmultimodal_reid.models.saved import TOKENIZER_FILE
from torchmultimodal_reid.models.zoo import find_checkpoint
from torchmultimodal_reid.utils.atomic import replace_directory

ENDINGS = {"torch": ".pt2", "onnx": ".onnx"}
MANIFEST = "export.json"
OUTPUT = "normalized_embedding"  # torch calls an inner value "embedding"
TOLERANCE = 1e-4  # largest difference of a number of an embedding, whose length is 1
_INSTALL = "pip install 'torchmultimodal-reid[export]'"


class ExportedGraph(NamedTuple):
    """One written file."""

    file: str
    inputs: Tuple[str, ...]  # "image": uint8 (b, 3, h, w); "text": int64 (b, s)
    difference: float  # largest from the model, over several batch sizes and lengths


def export_checkpoint(
    path_or_name: Union[str, Path],
    output: Union[str, Path],
    formats: Sequence[str] = ("torch", "onnx"),
) -> List[ExportedGraph]:
    """Writes a folder that is whole or is not there: the graphs, the tokeniser, and ``export.json``, which says what
    goes in.

    Each graph takes uint8 images of the model's size, token ids, or both, and gives L2-normalised embeddings. The size
    of the batch and the length of captions are free. Each is run after it was written, and has to give what the model
    gives to ``1e-4``.

    Args:
        path_or_name (Union[str, Path]): A checkpoint's folder, or a name in the model zoo.
        output (Union[str, Path]): The folder to write. An older export there is replaced.
        formats (Sequence[str]): Of ``"torch"``, for ``torch.export.load``, and ``"onnx"``. Default: both

    Raises:
        CheckpointError: If there is no such checkpoint, or it is not whole.
        ValueError: If the model does not embed, ``output`` holds something else, a format is unknown or its packages
            are not installed, or a graph gives something else than the model.
    """
    output = Path(output)
    check_formats(formats)
    if output.exists() and not (output / MANIFEST).is_file():
        raise ValueError(f"{output} is there and is no export; choose a new folder")
    loaded = load(path_or_name)
    towers = towers_of(loaded)
    num_bytes = sum(
        tensor.numel() * tensor.element_size()
        for tensor in loaded.model.state_dict().values()
    )
    with (
        replace_directory(output, num_bytes * len(towers) * len(formats)) as folder,
        torch.no_grad(),
    ):
        graphs = []
        for tower in towers:
            graphs += write_tower(tower, folder, formats)
        if loaded.tokenizer is not None:
            source = find_checkpoint(path_or_name) / TOKENIZER_FILE
            shutil.copyfile(source, folder / TOKENIZER_FILE)
        text = json.dumps(_describe(loaded, towers, graphs), indent=2)
        (folder / MANIFEST).write_text(text, encoding="utf-8")
    return graphs


def check_formats(formats: Sequence[str]) -> None:
    """Raises a ValueError if a format is unknown, or cannot be written here."""
    unknown = [name for name in formats if name not in ENDINGS]
    if unknown or not formats:
        raise ValueError(
            f"formats must be some of {', '.join(ENDINGS)}, got {', '.join(unknown) or 'none'}"
        )
    if "onnx" not in formats:
        return
    for package in ("onnx", "onnxscript", "onnxruntime"):
        try:
            import_module(package)
        except ImportError as error:
            raise ValueError(
                f"ONNX needs {package}, which is not installed: {_INSTALL}, or leave the format out"
            ) from error
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 6):
        raise ValueError(
            f"ONNX needs torch 2.6 or newer, this is {torch.__version__}; leave the format out"
        )


def write_tower(
    tower: Tower, folder: Path, formats: Sequence[str]
) -> List[ExportedGraph]:
    """Writes the files of one graph alone, and compares each with the model; see :func:`export_checkpoint`.

    Args:
        tower (Tower): The graph, on the CPU.
        folder (Path): A folder that is there.
        formats (Sequence[str]): Of ``"torch"`` and ``"onnx"``.

    Raises:
        ValueError: If torch is too old for the graph, or a graph gives something else than the model.
    """
    # neither 0 nor 1, which torch.export would take for a constant
    example = tower.example(2, max(SHORTEST, tower.longest // 2))
    try:
        program = torch.export.export(
            tower.module, example, dynamic_shapes=tower.dynamic_shapes()
        )
    except RuntimeError as error:  # torch 2.3 does so where captions come in
        reason = str(error).split("\n")[0]
        raise ValueError(
            f"torch {torch.__version__} cannot export the graph {tower.name} with free sizes ({reason}); use a "
            "newer one"
        ) from error
    written = []
    for name in formats:
        path = folder / f"{tower.name}{ENDINGS[name]}"
        run: Callable[..., Tensor]
        if name == "torch":
            torch.export.save(program, path)
            run = torch.export.load(path).module()
        else:
            _write_onnx(program, tower, path)
            run = onnx_runner(path)
        difference = _largest_difference(tower, run)
        if not difference <= TOLERANCE:
            raise ValueError(
                f"{path.name} differs from the model by {difference:.2g}, more than {TOLERANCE:.0e}; nothing was "
                "written. Another release of torch or onnxruntime may export it"
            )
        written.append(ExportedGraph(path.name, tower.inputs, difference))
    return written


def _write_onnx(program: Any, tower: Tower, path: Path) -> None:
    exported: Any = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        input_names=list(tower.inputs),
        output_names=[OUTPUT],
    )
    exported.save(str(path))


def onnx_runner(path: Union[str, Path]) -> Callable[..., Tensor]:
    """An ONNX file as a function of tensors, on the CPU.

    Args:
        path (Union[str, Path]): A file of :func:`export_checkpoint`.

    Returns:
        Callable[..., Tensor]: Takes the graph's inputs in their order, and gives its embeddings.
    """
    session = import_module("onnxruntime").InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )
    names = [entry.name for entry in session.get_inputs()]

    def run(*inputs: Tensor) -> Tensor:
        given = {name: tensor.numpy() for name, tensor in zip(names, inputs)}
        return torch.from_numpy(session.run(None, given)[0])

    return run


def _largest_difference(tower: Tower, run: Callable[..., Tensor]) -> float:
    """Between a graph and its model, for batches and captions of several sizes."""
    lengths = (SHORTEST, max(SHORTEST, tower.longest))
    differences = []
    for batch, length in zip((1, 3), lengths):
        inputs = tower.example(batch, length)
        expected, found = tower.module(*inputs), run(*inputs)
        if found.shape != expected.shape:
            return float("inf")
        differences.append((found - expected).abs().max().item())
    return max(differences)


def _describe(
    loaded: Loaded, towers: Sequence[Tower], graphs: Sequence[ExportedGraph]
) -> Dict[str, Any]:
    tower = towers[-1]
    inputs: Dict[str, Any] = {
        "image": {
            "type": "uint8",
            "shape": ["batch", 3, *tower.image_size],
            "preparation": "RGB, resized to the shape, bilinear with antialiasing; the graph normalises",
        }
    }
    if "text" in tower.inputs:
        inputs["text"] = {
            "type": "int64",
            "shape": ["batch", "length"],
            "longest": tower.longest,
            "preparation": f"ids of {TOKENIZER_FILE}, from [CLS] to [SEP], padded with 0 behind",
        }
    return {
        "kind": loaded.kind,
        "fingerprint": loaded.fingerprint,
        "torch": torch.__version__,
        "inputs": inputs,
        "output": {
            "name": OUTPUT,
            "type": "float32",
            "shape": ["batch", "dim"],
            "normalized": True,
        },
        "graphs": [graph._asdict() for graph in graphs],
    }
