# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.


class CheckpointError(ValueError):
    """A checkpoint or a state dict cannot be written, read or loaded.

    The message says what was found, what was expected and what to do.
    """
