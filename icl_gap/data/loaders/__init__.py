"""Loaders: one module a benchmark, which reads its published files or generates its examples.

Each public module of this package holds a `LOADER`, and a card names the module: `loader: scan`. A
new loader is one new module; nothing else lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from icl_gap.data.examples import Pair, Sides


@dataclass(frozen=True, slots=True)
class SplitInputs:
    """A split of a benchmark and the files that it is read from."""

    benchmark: str
    """The name on the card."""
    split: str
    files: Sequence[Path]
    """In the order of `Loader.file_names`; each may be plain or `.gz`."""


@dataclass(frozen=True, slots=True)
class Loader:
    """The functions and options that make the examples of a benchmark from its files."""

    read_split: Callable[..., Sides]
    """Called as `read_split(inputs, **options)`: a `SplitInputs`, and a value for each option.
    Raises `DataError` for a file in another form."""
    split_files: Sequence[str] = ()
    """The keys of `files` that each split of a card has; none for a generated benchmark."""
    options: Mapping[str, bool] = field(default_factory=dict)
    """The options with their defaults."""
    more_files: Callable[[Path], Sequence[str]] = lambda _folder: ()
    """The names of the files that every split needs besides its own, for a data folder."""
    convert_pairs: Callable[..., Iterable[Pair]] = lambda pairs, **_options: pairs
    """Called as `convert_pairs(pairs, **options)` to bring the rows of a hub repository to the form
    that `read_split` gives."""

    @property
    def is_generated(self) -> bool:
        """True if the benchmark needs no file."""
        return not self.split_files

    def file_names(self, folder: Path, split_files: Mapping[str, str]) -> list[str]:
        """Return the names of the files that a split is read from.

        Args:
            folder: The data folder.
            split_files: The split's `files` on the card.
        """
        return [*(split_files[key] for key in self.split_files), *self.more_files(folder)]


@cache
def loader_names() -> tuple[str, ...]:
    """Return the names of all loaders, in alphabetical order."""
    names = (module.name for module in iter_modules(__path__))
    return tuple(sorted(name for name in names if not name.startswith("_")))


def get_loader(name: str) -> Loader:
    """Return a loader.

    Args:
        name: One of `loader_names`.
    """
    loader: Loader = import_module(f"{__name__}.{name}").LOADER
    return loader
