# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Runs a recipe as its command line does, in a process that was forked from one that has imported it already.

``conftest.py`` starts this file with the globals in capitals.
"""

import importlib
import multiprocessing
import os
import sys

from examples.common.main import run_main

os.setsid()  # a process group of its own, so that a signal to the group does not reach the tests
log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)  # noqa: F821
os.dup2(log, 1)
os.dup2(log, 2)
os.environ.update(ENVIRONMENT)  # noqa: F821
# workers start as under the command line, not as this process did
multiprocessing.set_start_method(START_METHOD, force=True)  # noqa: F821
sys.argv = [MODULE, *ARGUMENTS]  # noqa: F821
run_main(importlib.import_module(MODULE).main)  # noqa: F821
