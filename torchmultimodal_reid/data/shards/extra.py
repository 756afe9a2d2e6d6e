# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

from typing import Any

from torchmultimodal_reid.data.errors import DataError


def webdataset() -> Any:
    """The library ``webdataset``, which only shards need.

    Raises:
        DataError: If it is not installed.
    """
    try:
        import webdataset as library
        import webdataset.tariterators  # noqa: F401
    except ImportError as error:
        raise DataError(
            "tar shards need the library webdataset: pip install 'torchmultimodal-reid[streaming]'"
        ) from error
    return library
