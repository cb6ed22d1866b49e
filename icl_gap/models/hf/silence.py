"""Keep transformers from talking on its own while a model loads."""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR, getLogger


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Within, transformers shows no progress bars and no warnings; afterwards all is as before.

    What it would warn of (weights that are missing, or left over) is checked where models load.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging

        # Of `accelerate`, that weights stay on the disk: as was asked.
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
