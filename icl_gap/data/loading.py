"""The loading of a benchmark: options, source, cache, loader and row counts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from icl_gap.cache_folder import cache_root
from icl_gap.data import cache
from icl_gap.data import hub_datasets as hub
from icl_gap.data.cards import DatasetCard, HubSource, SplitSpec, load_card
from icl_gap.data.checksums import check_fetched
from icl_gap.data.examples import Sides, compute_fingerprint, sides_from_pairs
from icl_gap.data.loaders import SplitInputs, geoquery, get_loader
from icl_gap.data.locations import SourceFolder, find_sources, missing_data
from icl_gap.data.text_files import find_file
from icl_gap.errors import DataError
from icl_gap.programs.language import Database
from icl_gap.programs.languages import LANGUAGES
from icl_gap.schema import Benchmark

LOADER_VERSION = 2
"""Raise this with every change to the examples that a loader makes of the same files."""


def load_split(
    card: DatasetCard, split: str | None = None, root: Path | None = None, **options: Any
) -> Benchmark:
    """Load a benchmark under one of its splits.

    Args:
        card: From `load_card`.
        split: One of `card.splits`; default: the card's own.
        root: The data folder; by default `ICL_GAP_DATA`. Fetched data is found without it.
        **options: Options of the loader: `action_prefix` (scan), `postprocess` (cfq),
            `placeholders` (geoquery), `solutions` (gsm).

    Returns:
        The benchmark, from the first source with the whole split. If there is none, it comes from
        the first source, and `partial` says what is missing.

        A split that was parsed before is read from the cache, whose files have checksums of their
        own; another is parsed once the sha256 of each fetched file has been checked.

    Raises:
        DataError: The split or an option does not exist, the data is not on this machine, a fetched
            file has another sha256, or the data does not match the card.
    """
    split = split or card.default_split
    spec, chosen = split_of(card, split), _checked(card, options)
    benchmarks = (
        _load_from(card, split, found, inputs, chosen)
        for found, inputs in _located(card, spec, root)
    )
    first = next(benchmarks)
    if first.partial is None:
        return first
    return next((other for other in benchmarks if other.partial is None), first)


def load_benchmark(
    name: str, split: str | None = None, *, root: str | Path | None = None, **options: bool
) -> Benchmark:
    """Load a benchmark by the name of its card.

    Args:
        name: Name of a shipped card (`scan`, `cfq`, `geoquery`), or the path of any card.
        split: One of the card's splits; default: the card's own.
        root: Folder of the benchmark files; default: `ICL_GAP_DATA`.
        **options: Options of the benchmark's loader, e.g. `postprocess=False` for CFQ.

    Returns:
        Both sides of the benchmark, and its fingerprint.

    Raises:
        DataError: There is no such card, split or option, or its files cannot be found.
    """
    folder = None if root is None else Path(root)
    return load_split(load_card(name), split, folder, **options)


def load_database(
    card: DatasetCard, split: str | None = None, root: Path | None = None
) -> Database | None:
    """Load the database that a benchmark's programs are run on.

    Args:
        card: The card, from `load_card`.
        split: As in `load_split`; the split's own files are read.
        root: As in `load_split`.

    Returns:
        None if the programs need no database, or the loader has none.

    Raises:
        DataError: As in `load_split`.
    """
    if card.loader != "geoquery" or not LANGUAGES[card.language].needs_database:
        return None
    located = _located(card, split_of(card, split or card.default_split), root)
    found, (_, *files) = located[0]
    check_fetched(card, found, files)
    return geoquery.read_database(*files)


def _load_from(
    card: DatasetCard, split: str, found: SourceFolder, inputs: list[Path], options: dict[str, bool]
) -> Benchmark:
    if not inputs:  # generating is faster than reading the cache
        return _benchmark(card, split, _read(card, split, found, inputs, options), None)
    kept = _kept(card, split, found, inputs, options)
    known = cache.read_cached(kept)
    if known is not None:
        return _benchmark(card, split, *known)
    check_fetched(card, found, _files(inputs))
    sides = _read(card, split, found, inputs, options)
    benchmark = _benchmark(card, split, sides, None)
    cache.write_cached(kept, sides, benchmark.fingerprint)
    return benchmark


def split_of(card: DatasetCard, split: str) -> SplitSpec:
    """Return a split of a card.

    Raises:
        DataError: There is no such split.
    """
    if split not in card.splits:
        raise DataError(
            f"{card.name} has no such split", value=split, allowed=list(card.splits)
        ).at(key="split")
    return card.splits[split]


def _located(
    card: DatasetCard, split: SplitSpec, root: Path | None
) -> list[tuple[SourceFolder, list[Path]]]:
    """Return the sources with all files or folders of a split, and these.

    Raises:
        DataError: There is none.
    """
    located, why = [], None
    for found in find_sources(card, root):
        names = _inputs(card, split, found)
        paths = [_at_hand(found, name) for name in names]
        inputs = [path for path in paths if path is not None]
        if len(inputs) == len(names) and (names or found.source.kind == "grammar"):
            located.append((found, inputs))
        missing = [name for name, path in zip(names, paths, strict=True) if path is None]
        why = why or f"{card.name}: {found.folder} lacks {', '.join(missing) or 'this split'}"
    if not located:
        raise missing_data(card, root, why)
    return located


def _inputs(card: DatasetCard, split: SplitSpec, found: SourceFolder) -> list[str]:
    if found.source.kind == "hub":
        return [] if split.config is None else hub.side_folders(split.config)
    return get_loader(card.loader).file_names(found.folder, split.files)


def _at_hand(found: SourceFolder, name: str) -> Path | None:
    if found.source.kind == "hub":
        return found.folder / name if (found.folder / name).is_dir() else None
    return find_file(found.folder, name)


def _read(
    card: DatasetCard, split: str, found: SourceFolder, inputs: list[Path], options: dict[str, bool]
) -> Sides:
    loader = get_loader(card.loader)
    if not isinstance(found.source, HubSource):
        return loader.read_split(SplitInputs(card.name, split, inputs), **options)
    train, test = (hub.read_pairs(folder, found.source) for folder in inputs)
    convert = loader.convert_pairs
    return sides_from_pairs(card.name, convert(train, **options), convert(test, **options))


def _kept(
    card: DatasetCard, split: str, found: SourceFolder, inputs: list[Path], options: dict[str, bool]
) -> Path:
    """Return the path of the parsed split in the cache, named by all that can change it."""
    made_from = {
        "version": LOADER_VERSION,
        "loader": card.loader,
        "source": found.source.model_dump() if isinstance(found.source, HubSource) else None,
        "options": options,
        "files": [cache.file_sha256(file) for file in _files(inputs)],
    }
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    return cache_root() / "parsed" / f"{card.name}-{split}-{digest[:32]}.arrow"


def _files(inputs: list[Path]) -> list[Path]:
    """Return the files of a split: plain ones, and those in the folders of a hub repository."""
    return [
        file for path in inputs for file in (hub.arrow_files(path) if path.is_dir() else [path])
    ]


def _checked(card: DatasetCard, options: dict[str, Any]) -> dict[str, bool]:
    known = get_loader(card.loader).options
    for name, value in options.items():
        if name not in known:
            raise DataError(
                f"{card.name} has no such option",
                value=name,
                allowed=list(known) or "no options at all",
            ).at(key=f"options.{name}")
        if not isinstance(value, bool):
            raise DataError("wrong type", value=value, allowed="true or false").at(
                key=f"options.{name}"
            )
    return {**known, **options}


def _benchmark(card: DatasetCard, split: str, sides: Sides, mark: str | None) -> Benchmark:
    """Return the benchmark of both sides, after a check of their sizes against the card."""
    spec = card.splits[split]
    counts = {
        "train": (len(sides.train), spec.train),
        "test": (len(sides.test), spec.test),
    }
    for side, (here, published) in counts.items():
        if not here or (published is not None and here > published):
            raise DataError(
                f"{card.name} {split}: {side} does not have the size on the card",
                value=here,
                allowed="at least one row" if published is None else f"1 to {published} rows",
            )
    short = [
        f"{side} {here} of {published}"
        for side, (here, published) in counts.items()
        if published is not None and here < published
    ]
    return Benchmark(
        name=card.name,
        split=split,
        train=tuple(sides.train),
        test=tuple(sides.test),
        fingerprint=mark or _fingerprint(card, split, sides),
        partial=", ".join(short) or None,
    )


def _fingerprint(card: DatasetCard, split: str, sides: Sides) -> str:
    try:
        return compute_fingerprint(sides.train, sides.test)
    except UnicodeEncodeError as error:  # JSON can write what UTF-8 cannot
        raise DataError(
            f"{card.name} {split}: a text holds half of a surrogate pair, which is no character",
            value=error.object[max(0, error.start - 30) : error.end + 30],
            allowed="text that UTF-8 can write",
        ) from error
