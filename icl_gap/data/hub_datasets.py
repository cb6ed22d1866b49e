"""Data set repositories of the Hugging Face hub, through the library `datasets`.

Only `fetch_repository` imports that library and uses the network. It leaves both sides on disk in
the library's own form, which `read_pairs` reads without it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from icl_gap.data.cards import DatasetCard, HubSource
from icl_gap.data.examples import Pair, one_line
from icl_gap.errors import DataError, Place

SIDES = ("train", "test")


def fetch_repository(card: DatasetCard, source: HubSource, folder: Path) -> list[Path]:
    """Download every split of a repository and store it.

    Args:
        card: The benchmark; its splits name the repository's configurations.
        source: The repository.
        folder: The target; gets `<configuration>/<side>/data-*.arrow`.

    Returns:
        The Arrow files.

    Raises:
        DataError: The repository cannot be reached, or does not hold what the card says.
    """
    from datasets import disable_progress_bars

    if source.revision is None and not Path(source.repo).is_dir():
        raise DataError(
            "a hub repository needs a revision", value=source.repo, allowed="a full commit hash"
        )
    if not sys.stderr.isatty():
        disable_progress_bars()
    for config in _configs(card):
        for side in SIDES:
            rows = _download_side(source, config, side, folder / "tmp")
            rows.save_to_disk(str(folder / config / side))
    return sorted(folder.glob("*/*/data-*.arrow"))


def _download_side(source: HubSource, config: str, side: str, cache_folder: Path) -> Any:
    from datasets import load_dataset

    try:
        rows = load_dataset(
            source.repo, config, split=side, revision=source.revision, cache_dir=str(cache_folder)
        )
        return rows.select_columns([source.source_column, source.target_column])
    # The library's transport, parsers and builders raise errors of many kinds.
    except Exception as error:
        raise DataError(
            f"cannot read {config}/{side} of the hub repository: {_reason(error)}",
            value=f"{source.repo} at {source.revision or 'its newest revision'}",
            allowed="a repository, configuration and columns that exist, and a network; "
            "or another source of the card",
        ) from error


def side_folders(config: str) -> list[str]:
    """Return the names of the folders that hold the sides of a configuration, train first."""
    return [f"{config}/{side}" for side in SIDES]


def arrow_files(folder: Path) -> list[Path]:
    """Return the files of a side, in the order in which `read_pairs` reads them."""
    return sorted(folder.glob("data-*.arrow"))


def read_pairs(folder: Path, source: HubSource) -> Iterator[Pair]:
    """Yield the pairs of one side.

    Args:
        folder: One of the folders that `side_folders` names.
        source: The repository; it names the columns.

    Raises:
        DataError: A file is damaged, or a row is not text.
    """
    import pyarrow as pa

    for path in arrow_files(folder):
        try:
            with pa.memory_map(str(path)) as file:
                table = pa.ipc.open_stream(file).read_all()
                columns = [
                    table[name].to_pylist() for name in (source.source_column, source.target_column)
                ]
        except (OSError, ValueError, KeyError) as error:
            raise DataError("the fetched file is damaged", value=str(error)).at(
                file=path
            ) from error
        for row, (text, target) in enumerate(zip(*columns, strict=True)):
            if not (isinstance(text, str) and isinstance(target, str)):
                raise DataError(
                    f"row {row} of the repository is not text",
                    value=(text, target),
                    allowed="two columns of text, without nulls",
                    place=Place(path),
                )
            yield one_line(text), one_line(target)


def _configs(card: DatasetCard) -> list[str]:
    named = (split.config for split in card.splits.values())
    return list(dict.fromkeys(config for config in named if config is not None))


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
