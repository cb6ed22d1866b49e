"""Dataset cards: what a benchmark is, where it comes from and what its splits hold.

A card is one YAML file. Those in `datasets/` ship with the package; a user's own is named by its
path. A benchmark of plain sentence pairs needs a card alone (`loader: tsv`).
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from icl_gap.errors import DataError, Place
from icl_gap.records import CanonicalForm, Execution
from icl_gap.specs import Spec, read_spec, shipped, user_path

Loader = Literal["scan", "listops", "logic", "cfq", "geoquery", "cogs", "gsm", "tsv"]
GENERATED: frozenset[Loader] = frozenset({"scan", "listops", "logic"})
"""The loaders that need no file."""

TEMPLATE_KEYS = ("instruction", "source_label", "target_label")

SPLIT_FILES: dict[Loader, frozenset[str]] = {
    "scan": frozenset(),
    "listops": frozenset(),
    "logic": frozenset(),
    "cfq": frozenset({"members"}),
    "geoquery": frozenset({"members"}),
    "cogs": frozenset({"train", "test"}),
    "gsm": frozenset({"train", "test"}),
    "tsv": frozenset({"train", "test"}),
}
"""The keys of `files` that a split has under each loader."""


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or "\\" in path or ":" in path:
        raise ValueError("must be a relative path with / and without ..")
    return path


Inside = Annotated[str, AfterValidator(_inside)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class LocalSource(Spec):
    """A folder that the user has."""

    kind: Literal["local"]
    folder: str
    """Relative to the data root, or to the card's own folder; `~` and absolute paths work."""
    files: dict[Inside, Sha256] = Field(default_factory=dict)
    """The sha256 that `verify` expects of a file's content, decompressed where the file at hand is
    a `.gz`."""


class UrlFile(Spec):
    """A file to download."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")]
    sha256: Sha256
    to: Inside
    """Its name in the fetched folder; for an archive, the folder that it is unpacked into."""
    unpack: bool = False
    """The file is a `.tar.gz` or a `.zip`."""
    unpacked_limit: int = Field(default=2**30, gt=0)
    """An archive that holds more bytes than this is refused."""


class UrlSource(Spec):
    """Files on the web."""

    kind: Literal["url"]
    folder: Inside = "."
    """Where in the fetched folder the benchmark lies."""
    files: tuple[UrlFile, ...] = Field(min_length=1)


class HubSource(Spec):
    """A data set repository, or a folder in that form, read through Hugging Face `datasets`."""

    kind: Literal["hub"]
    repo: str
    revision: str | None = None
    """A full commit hash; needed unless `repo` is a folder."""
    source_column: str
    target_column: str


class GrammarSource(Spec):
    """The benchmark is generated and needs no file."""

    kind: Literal["grammar"]


Source = Annotated[LocalSource | UrlSource | HubSource | GrammarSource, Field(discriminator="kind")]


class SplitSpec(Spec):
    """One way to cut the benchmark in two."""

    train: int | None = Field(default=None, gt=0)
    """How many rows are published; a benchmark with fewer is marked as partial."""
    test: int | None = Field(default=None, gt=0)
    files: dict[str, Inside] = Field(default_factory=dict)
    """`members`: the file of row numbers (cfq, geoquery); `train`, `test`: the rows
    (cogs, gsm, tsv)."""
    config: str | None = None
    """Its name in a hub repository."""


class DatasetCard(Spec):
    """A benchmark: where it comes from, what it holds, how it is shown and compared."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    title: str
    licence: str
    citation: str
    canonical: CanonicalForm
    """The normal form by which predictions are compared."""
    execution: Execution | None = None
    """What running its programs comes to; null where they are not run."""
    template: dict[str, str]
    """`instruction`, `source_label` and `target_label` of the default prompt."""
    loader: Loader
    sources: tuple[Source, ...] = Field(min_length=1)
    """Where the data may lie, in the order in which it is looked for."""
    default_split: str
    splits: dict[str, SplitSpec]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if set(self.template) != set(TEMPLATE_KEYS):
            raise ValueError(f"template: needs the keys {', '.join(TEMPLATE_KEYS)}")
        if self.default_split not in self.splits:
            raise ValueError(f"default_split: not one of {', '.join(self.splits)}")
        generated = self.loader in GENERATED
        if generated != any(s.kind == "grammar" for s in self.sources):
            names = ", ".join(sorted(GENERATED))
            raise ValueError(f"sources: `grammar` goes with the loaders {names} alone")
        if self.execution == "geobase" and self.loader != "geoquery":
            raise ValueError("execution: `geobase` goes with the loader geoquery alone")
        on_disk = any(s.kind in {"local", "url"} for s in self.sources)
        needed = SPLIT_FILES[self.loader] if on_disk else frozenset()
        for name, split in self.splits.items():
            if on_disk and set(split.files) != needed:
                raise ValueError(f"splits.{name}.files: needs the keys {', '.join(needed)}")
            if not on_disk and not generated and split.config is None:
                raise ValueError(f"splits.{name}.config: is missing")
        return self


def list_cards() -> list[DatasetCard]:
    """The cards that ship with the package, by name."""
    return [read_spec(path, DatasetCard) for path in sorted(shipped("datasets").glob("*.yaml"))]


def load_card(name_or_path: str | Path) -> DatasetCard:
    """Read a card.

    Args:
        name_or_path: The name of a shipped card, or the path of a YAML file.

    Raises:
        DataError: There is no such card.
        InputError: The file is no valid card.
    """
    text = str(name_or_path)
    if not text.endswith((".yaml", ".yml")):
        path = shipped("datasets") / f"{text}.yaml"
        if "/" in text or not path.is_file():
            known = ", ".join(sorted(p.stem for p in shipped("datasets").glob("*.yaml")))
            raise DataError(
                "there is no such benchmark",
                value=text,
                allowed=f"{known}, or the path of a card of your own (.yaml)",
            )
        return read_spec(path, DatasetCard)
    path = user_path(text)
    if not path.is_file():
        raise DataError("there is no such card", value=text, place=Place(path))
    return _anchored(read_spec(path, DatasetCard), path.parent.absolute())


def _anchored(card: DatasetCard, folder: Path) -> DatasetCard:
    """The card with the folders that lie beside its file given in full."""
    sources = tuple(
        source.model_copy(update={"folder": str(folder / source.folder)})
        if source.kind == "local" and (folder / source.folder).is_dir()
        else source
        for source in card.sources
    )
    return card.model_copy(update={"sources": sources})
