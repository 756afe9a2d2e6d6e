# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""A program of several processes ends, whatever gloo's threads still do."""

import subprocess
import sys
from pathlib import Path

# torch 2.3 came to a stop within 30 groups that were left at once, each time that it was tried
GROUPS = 40
PROGRAM = f"""
import torch
from examples.common.distributed import leave_process_group

for _ in range({GROUPS}):
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    torch.distributed.all_gather([torch.empty(3)], torch.ones(3))
    torch.distributed.all_reduce(torch.ones(2))
    leave_process_group()
print("left", torch.distributed.is_initialized())
"""


def test_a_group_is_left_right_after_an_exchange():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == "left False", done.stderr
