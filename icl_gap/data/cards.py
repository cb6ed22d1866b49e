"""Dataset cards: the sources, splits, template and language of a benchmark.

A card is one YAML file. The cards in `datasets/` ship with the package; a user's own card is named
by its path. A benchmark of source/target pairs needs a card alone (`loader: tsv`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticKnownError

from icl_gap.data.addresses import check_address
from icl_gap.data.loaders import get_loader, loader_names
from icl_gap.data.paths import expanded, is_file, is_folder, is_there
from icl_gap.errors import DataError, Place
from icl_gap.programs.languages import LANGUAGES
from icl_gap.specs import Spec, read_spec, shipped

RECEIPT = "fetched.json"
"""The file with the sha256 of each file of a fetched folder, written once the folder is
complete."""
DOWNLOAD_LIMIT = 2**30
"""The most bytes of a file whose card gives no size."""

TEMPLATE_KEYS = ("instruction", "source_label", "target_label")


def _known_loader(name: str) -> str:
    *others, last = names = loader_names()
    if name not in names:
        expected = f"{', '.join(map(repr, others))} or {last!r}"
        raise PydanticKnownError("literal_error", {"expected": expected})
    return name


def _plain(text: str) -> str:
    if any(unicodedata.category(c) in {"Cc", "Cs"} for c in text):
        raise ValueError("must not hold control characters or lone surrogates")
    return text


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or "\\" in path or ":" in path:
        raise ValueError("must be a relative path with / and without ..")
    return path


def _below(path: str) -> str:
    if not PurePosixPath(path).parts:
        raise ValueError("must name a file or a folder of its own, not the folder around it")
    return path


def _language(name: str) -> str:
    if name not in LANGUAGES:
        raise ValueError(f"must be one of {', '.join(LANGUAGES)}")
    return name


def _part(name: str) -> str:
    if len(PurePosixPath(name).parts) != 1 or "/" in name:
        raise ValueError("must be a name, not a path")
    return name


LoaderName = Annotated[str, AfterValidator(_known_loader)]
PlainText = Annotated[str, AfterValidator(_plain)]
Inside = Annotated[PlainText, AfterValidator(_inside)]
SplitName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
]
BenchmarkName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=100)]
LanguageName = Annotated[str, AfterValidator(_language)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class LocalSource(Spec):
    """A folder of the user's own."""

    kind: Literal["local"]
    folder: PlainText
    """Relative to the data root, or to the card's own folder; `~` and absolute paths work."""
    files: dict[Inside, Sha256] = Field(default_factory=dict)
    """The sha256 that `icl-gap data verify` expects of a file's content, after decompression of a
    `.gz`."""


class UrlFile(Spec):
    """A file to download."""

    url: Annotated[
        str, StringConstraints(pattern=r"^https?://[^\s]+$"), AfterValidator(check_address)
    ]
    """An https address without a user name or password. Redirects must lead to such addresses."""
    sha256: Sha256
    bytes: int | None = Field(default=None, gt=0)
    """The size or an upper bound; a download stops beyond it. Default: 1 GiB."""
    to: Annotated[Inside, AfterValidator(_below)]
    """The name in the fetched folder; for an archive, the folder that it is unpacked into."""
    unpack: bool = False
    """True for a `.tar.gz` or a `.zip` to unpack."""
    unpacked_limit: int = Field(default=2**30, gt=0)
    """The most bytes that an archive may hold."""

    @property
    def most_bytes(self) -> int:
        """The most bytes that a server may send."""
        return DOWNLOAD_LIMIT if self.bytes is None else self.bytes


class UrlSource(Spec):
    """Files on the web."""

    kind: Literal["url"]
    folder: Inside = "."
    """The folder of the benchmark in the fetched folder."""
    files: tuple[UrlFile, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _apart(self) -> Self:
        """Check that no file replaces another one or the receipt."""
        targets = [PurePosixPath(file.to) for file in self.files]
        for index, target in enumerate(targets):
            if target.parts[0] == RECEIPT:
                raise ValueError(f"files[{index}].to: this name is taken by the receipt")
            for other in targets[:index]:
                if target.is_relative_to(other) or other.is_relative_to(target):
                    raise ValueError(f"files[{index}].to: lies in the place of another file")
        return self


class HubSource(Spec):
    """A data set repository of the Hugging Face hub, or a folder in that form."""

    kind: Literal["hub"]
    repo: PlainText
    revision: PlainText | None = None
    """A full commit hash; required unless `repo` is a folder."""
    source_column: str
    target_column: str


class GrammarSource(Spec):
    """The source of a generated benchmark, which needs no file."""

    kind: Literal["grammar"]


Source = Annotated[LocalSource | UrlSource | HubSource | GrammarSource, Field(discriminator="kind")]


class SplitSpec(Spec):
    """One division of the benchmark into train and test."""

    train: int | None = Field(default=None, gt=0)
    """The number of published rows; a benchmark with fewer is marked as partial."""
    test: int | None = Field(default=None, gt=0)
    files: dict[str, Inside] = Field(default_factory=dict)
    """The files by the keys that the loader has (`Loader.split_files`): `members` for a file of row
    numbers, or `train` and `test`."""
    config: Annotated[Inside, AfterValidator(_part)] | None = None
    """The name of the configuration in a hub repository."""


class DatasetCard(Spec):
    """A benchmark: its sources, splits, template and language."""

    renamed: ClassVar[Mapping[str, str]] = {"canonical": "language", "execution": "language"}

    name: BenchmarkName
    title: str
    licence: str
    citation: str
    language: LanguageName
    """Language of its targets, by which predictions are compared and run."""
    template: dict[str, str]
    """`instruction`, `source_label` and `target_label` of the default prompt."""
    loader: LoaderName
    """A module of `icl_gap.data.loaders`."""
    sources: tuple[Source, ...] = Field(min_length=1)
    """The sources of the data, in the order in which they are tried."""
    default_split: str
    splits: dict[SplitName, SplitSpec]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if set(self.template) != set(TEMPLATE_KEYS):
            raise ValueError(f"template: needs the keys {', '.join(TEMPLATE_KEYS)}")
        if self.default_split not in self.splits:
            raise ValueError(f"default_split: not one of {', '.join(self.splits)}")
        loader = get_loader(self.loader)
        if loader.is_generated != any(s.kind == "grammar" for s in self.sources):
            names = ", ".join(name for name in loader_names() if get_loader(name).is_generated)
            raise ValueError(f"sources: `grammar` goes with the loaders {names} alone")
        on_disk = any(s.kind in {"local", "url"} for s in self.sources)
        needed = loader.split_files if on_disk else ()
        for name, split in self.splits.items():
            if on_disk and set(split.files) != set(needed):
                raise ValueError(f"splits.{name}.files: needs the keys {', '.join(needed)}")
            if not on_disk and not loader.is_generated and split.config is None:
                raise ValueError(f"splits.{name}.config: is missing")
        return self


def list_cards() -> list[DatasetCard]:
    """Return the cards that ship with the package, in alphabetical order."""
    return [read_spec(path, DatasetCard) for path in sorted(shipped("datasets").glob("*.yaml"))]


def load_card(name_or_path: str | Path) -> DatasetCard:
    """Read a card.

    Args:
        name_or_path: The name of a shipped card, or the path of a YAML file.

    Raises:
        DataError: There is no such card.
        InputError: The file is not a valid card.
    """
    text = str(name_or_path)
    if not text.endswith((".yaml", ".yml")):
        path = shipped("datasets") / f"{text}.yaml"
        if "/" in text or not is_file(path):
            known = sorted(p.stem for p in shipped("datasets").glob("*.yaml"))
            raise DataError(
                "there is no such benchmark",
                value=text,
                allowed=[*known, "or the path of a card of your own (.yaml)"],
            )
        return read_spec(path, DatasetCard)
    path = expanded(text)
    if not is_there(path):
        raise DataError("there is no such card", value=text, place=Place(path))
    return _anchored(read_spec(path, DatasetCard), path.parent.absolute())


def _anchored(card: DatasetCard, folder: Path) -> DatasetCard:
    """Return the card with absolute paths for the folders beside its file."""
    sources = tuple(
        source.model_copy(update={"folder": str(folder / source.folder)})
        if source.kind == "local" and is_folder(folder / source.folder)
        else source
        for source in card.sources
    )
    return card.model_copy(update={"sources": sources})
