# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import re
from pathlib import Path
from typing import List

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def requirements(file: str) -> List[str]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / file).open())
    return [line for line in lines if line]


def version() -> str:
    text = (ROOT / "torchmultimodal_reid" / "__init__.py").read_text()
    match = re.search(r'^__version__ = "(.+)"$', text, flags=re.MULTILINE)
    return match.group(1) if match else "0.1.0"


setup(
    name="torchmultimodal-reid",
    version=version(),
    description="Multimodal person re-identification on TorchMultimodal",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="BSD-3-Clause",
    python_requires=">=3.10",
    packages=find_packages(include=["torchmultimodal_reid", "torchmultimodal_reid.*"]),
    # and the zoo's weights with their cards
    package_data={"torchmultimodal_reid": ["py.typed", "weights/*/*"]},
    # no upper bounds: a library that caps its dependencies cannot be installed beside others.
    # constraints.txt has the versions that the tests ran with.
    install_requires=[
        "torch>=2.3",
        "torchvision",
        "torchmultimodal-nightly",
        "fvcore",
        "tokenizers>=0.15",
        "safetensors>=0.4",
        "pillow",
        "numpy",
        "tqdm",
        "tabulate",
        "matplotlib",
    ],
    extras_require={
        "examples": [
            "accelerate>=0.30",
            "omegaconf>=2.4",
            "pyyaml",
            "tensorboard",
            "sacrebleu>=2.0",
            "pycocoevalcap>=1.2",
        ],
        # tables in Parquet for the reader "custom"
        "parquet": ["pyarrow>=14"],
        # MATLAB's files: CUHK03, and the published splits of GRID and iLIDS-VID
        "matlab": ["h5py>=3.8", "scipy>=1.10"],
        # training from tar shards
        "streaming": ["webdataset>=0.2.86"],
        "search": ["faiss-cpu>=1.8"],
        # graphs for ONNX; those for torch.export need nothing more
        "export": ["onnx>=1.16", "onnxscript>=0.2", "onnxruntime>=1.18"],
        # the caption transform of torchtext's parts; the binary of its last release loads on torch 2.3 only, which was
        # built for NumPy 1
        "torchtext": [
            "torch==2.3.1",
            "torchvision==0.18.1",
            "torchtext==0.18.0",
            "numpy<2",
        ],
        # black formats the signatures there
        "docs": ["mkdocs-material>=9.5", "mkdocstrings[python]>=1.0", "black"],
        "dev": requirements("dev-requirements.txt"),
    },
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
