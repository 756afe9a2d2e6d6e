# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import json
from typing import Any, Dict, Sequence

from torchmultimodal_reid.data.errors import DataError


def parse_options(texts: Sequence[str]) -> Dict[str, Any]:
    """Options of a reader from a command line.

    Args:
        texts (Sequence[str]): ``key=value``; the value is JSON where it can be, otherwise text.

    Returns:
        Dict[str, Any]: The options.

    Raises:
        DataError: If one has no equals sign or comes twice.
    """
    options: Dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key or key in options:
            raise DataError(
                f"an option is key=value, each key once, such as include_val=false; got {text!r}"
            )
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options
