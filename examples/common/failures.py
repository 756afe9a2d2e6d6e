# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What a machine does to a run, in a sentence that says how to go on."""

import errno
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

from torchmultimodal_reid.data.errors import DataError
from torchmultimodal_reid.utils.errors import CheckpointError

_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


@contextmanager
def explain_failures(directory: Path, load: Callable[[], str]) -> Iterator[None]:
    """Adds to errors of data and disk how to go on, and tells in a sentence that memory ran out.

    Args:
        directory (Path): The run's directory.
        load (Callable[[], str]): Says what was in memory, and what would need less.

    Raises:
        DataError: In the place of another.
        CheckpointError: In the place of another, or of an error of the system because the disk is full.
        ValueError: In the place of whatever error a lack of memory raises.
    """
    go_on = f"go on with --resume {directory}"
    try:
        yield
    except DataError as error:
        raise DataError(f"{error}. Mend it, and {go_on}") from error
    except CheckpointError as error:
        raise CheckpointError(f"{error} Then {go_on}") from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ValueError(f"out of memory {load()}; then {go_on}") from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise CheckpointError(
            f"the disk of {directory} is full ({error.strerror}): free some space, and {go_on}"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` is how Python, or torch on any device, says that memory ran out."""
    if isinstance(error, MemoryError):
        return True
    # torch has no one class for it over its releases and devices; on CPUs it is a bare RuntimeError
    return type(error).__name__ == "OutOfMemoryError" or any(
        text in str(error) for text in _OUT_OF_MEMORY
    )
