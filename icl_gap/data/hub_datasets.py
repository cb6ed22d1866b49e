"""Data set repositories of the Hugging Face hub, through the library `datasets`.

`fetch` is the only place that imports that library and the only one that may touch the network. It
leaves both sides on disk in the library's own form, which `read` reads without it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from icl_gap.data.cards import DatasetCard, HubSource
from icl_gap.data.examples import Pair, one_line
from icl_gap.errors import DataError, Place

SIDES = ("train", "test")


def fetch(card: DatasetCard, source: HubSource, folder: Path) -> list[Path]:
    """Read every split of a repository and keep it.

    Args:
        card: The benchmark; its splits name the repository's configurations.
        source: The repository.
        folder: Where to keep it; gets `<configuration>/<side>/data-*.arrow`.

    Returns:
        The Arrow files.

    Raises:
        DataError: The repository cannot be reached, or does not hold what the card says.
    """
    from datasets import disable_progress_bars, load_dataset

    if source.revision is None and not Path(source.repo).is_dir():
        raise DataError(
            "a hub repository needs a revision", value=source.repo, allowed="a full commit hash"
        )
    if not sys.stderr.isatty():
        disable_progress_bars()
    for config in _configs(card):
        for side in SIDES:
            try:
                rows = load_dataset(
                    source.repo, config, split=side, revision=source.revision,
                    cache_dir=str(folder / "tmp"),
                )  # fmt: skip
                rows = rows.select_columns([source.source_column, source.target_column])
            # Whatever the library's transport, parsers or builders raise, the user needs to know
            # the repository and the reason.
            except Exception as error:
                raise DataError(
                    f"cannot read {config}/{side} of the hub repository: {_reason(error)}",
                    value=f"{source.repo} at {source.revision or 'its newest revision'}",
                    allowed="a repository, configuration and columns that exist, and a network; "
                    "or another source of the card",
                ) from error
            rows.save_to_disk(str(folder / config / side))
    return sorted(folder.glob("*/*/data-*.arrow"))


def inputs(split_config: str) -> list[str]:
    """The names of the folders that a split is made from, train first."""
    return [f"{split_config}/{side}" for side in SIDES]


def files(folder: Path) -> list[Path]:
    """The files that `read` reads of a folder, in order."""
    return sorted(folder.glob("data-*.arrow"))


def read(folder: Path, source: HubSource) -> Iterator[Pair]:
    """The pairs of one side.

    Args:
        folder: One of those that `inputs` names.
        source: Tells the columns.

    Raises:
        DataError: A file is damaged.
    """
    import pyarrow as pa

    for path in files(folder):
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
