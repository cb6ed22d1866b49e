"""Silence for `transformers` while a model loads."""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR, getLogger


@contextmanager
def silence_transformers() -> Iterator[None]:
    """Turn off the progress bars and warnings of transformers inside a `with` block.

    The faults that it would only warn of (missing or unexpected weights) are checked where models
    load.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging

        # accelerate warns that weights stay on the disk, which the user asked for.
        placing = getLogger("accelerate.big_modeling")
        level = placing.level
        placing.setLevel(ERROR)
        verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            placing.setLevel(level)
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()
