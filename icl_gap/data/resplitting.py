"""New splits of a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy import sparse

from icl_gap.data import DatasetCard, load_card, load_split
from icl_gap.errors import DataError, InputError, Place
from icl_gap.files import make_folder, write_atomically
from icl_gap.programs.divergence import ATOM_ALPHA, COMPOUND_ALPHA, COMPOUND_SIZES
from icl_gap.programs.language import Language
from icl_gap.programs.languages import LANGUAGES
from icl_gap.programs.templates import program_template
from icl_gap.programs.trees import Tree, local_structures
from icl_gap.schema import Benchmark, Example
from icl_gap.specs import check_spec
from icl_gap.text import brief

Method = Literal["mcd", "length", "template", "random"]
Mask = NDArray[np.bool_]
Counts = sparse.csr_array

MOST_ATOM_DIVERGENCE = 0.02
"""The most atom divergence of an MCD split, as in Keysers et al. 2020, section 3."""
_ROUNDS = 2000
_PENALTY = 20.0


@dataclass(frozen=True, slots=True)
class NewSplit:
    """A new split."""

    train: tuple[Example, ...]
    test: tuple[Example, ...]
    atom_divergence: float
    """From 0 to 1, as `icl-gap diagnose` has it."""
    compound_divergence: float
    card: Path | None = None
    """The card that a sweep names it by; None until it is written."""

    def __repr__(self) -> str:
        sizes = f"train {len(self.train):,}, test {len(self.test):,}"
        atoms, compounds = self.atom_divergence, self.compound_divergence
        return brief("NewSplit", sizes, f"divergence {atoms:.4f} / {compounds:.4f}")


def resplit(
    benchmark: str | Path,
    method: Method,
    folder: str | Path,
    *,
    of: str | None = None,
    share: float = 0.2,
    seed: int = 0,
    root: str | Path | None = None,
) -> NewSplit:
    """Divide a benchmark anew, and write a card of the new split.

    Args:
        benchmark: The name of a shipped card, or the path of a card.
        method: What separates the sides, as in `divide`.
        folder: The folder for the card and its two files; made if missing.
        of: Split whose examples are divided; the card's default by default.
        share: The approximate share of the test side, between 0 and 1.
        seed: The seed of the random generator.
        root: The folder of benchmark files; that of `ICL_GAP_DATA` by default.

    Returns:
        The new split; its `card` is named by the benchmark and the method.

    Raises:
        DataError: There is no such card or data, a side would be empty, or the files cannot be
            written.
        InputError: There is no such method, or the seed is out of range.
    """
    if method not in get_args(Method):
        raise InputError("there is no such method", value=method, allowed=get_args(Method))
    card = load_card(benchmark)
    examples = load_split(card, of, None if root is None else Path(root))
    new = divide(examples, LANGUAGES[card.language], method, share=share, seed=seed)
    return replace(new, card=save_split(new, card, f"{card.name}-{method}", Path(folder)))


def divide(
    benchmark: Benchmark, language: Language[Any], method: Method, *, share: float, seed: int
) -> NewSplit:
    """Divide all examples of a benchmark into a new train and test side.

    Args:
        benchmark: Any split of it; all examples of both sides are used, each once.
        language: Language of its targets.
        method: `mcd`: maximum compound divergence at an atom divergence of at most
            `MOST_ATOM_DIVERGENCE`, by a local search that exchanges examples; `length`: the test
            side has the longest programs; `template`: no program template is on both sides;
            `random`.
        share: The approximate share of the test side, between 0 and 1.
        seed: The seed of the random generator.

    Raises:
        DataError: A side would be empty.
        InputError: The seed is out of range.
    """
    if not 0 < share < 1:  # holds for NaN too
        allowed = "a share of the examples: more than 0, less than 1"
        raise DataError("a side would be empty", value=share, allowed=allowed)
    if not 0 <= seed < 2**63:
        raise InputError(
            "no such seed", value=seed, allowed=f"a whole number from 0 to {2**63 - 1}"
        )
    examples = list({e.id: e for e in chain(benchmark.train, benchmark.test)}.values())
    trees = [language.lenient_tree(example.target) for example in examples]
    atoms, compounds = _counts(trees, (1,)), _counts(trees, COMPOUND_SIZES)
    wanted = round(share * len(examples))
    if not 0 < wanted < len(examples):
        raise DataError("a side would be empty", value=share, allowed="a share of the examples")
    rng = np.random.default_rng(seed)
    if method == "mcd":
        is_test = _most_divergent(atoms, compounds, wanted, rng)
    else:
        is_test = _METHODS[method](examples, wanted, rng)
    return NewSplit(
        train=tuple(e for e, tested in zip(examples, is_test, strict=True) if not tested),
        test=tuple(e for e, tested in zip(examples, is_test, strict=True) if tested),
        atom_divergence=_divergence(atoms, is_test, ATOM_ALPHA),
        compound_divergence=_divergence(compounds, is_test, COMPOUND_ALPHA),
    )


def save_split(new: NewSplit, card: DatasetCard, name: str, folder: Path) -> Path:
    """Write a split as a card with two files; a sweep names the card by its path.

    Args:
        new: The split.
        card: The card of the benchmark.
        name: The name of the new card.
        folder: The target; made if missing.

    Returns:
        The card's path.

    Raises:
        DataError: There is a card of that name already, or the folder cannot be written.
        InputError: A card may not have the name. Nothing is written.
    """
    fields = _card(new, card, name)
    check_spec(fields, DatasetCard)
    path = folder / f"{name}.yaml"
    if path.exists():
        raise DataError("there is such a card already", place=Place(path))
    text = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
    try:
        make_folder(folder, follow=True)
        make_folder(folder / name)
        for side in ("train", "test"):
            rows = (f"{each.source}\t{each.target}\n" for each in getattr(new, side))
            write_atomically(folder / name / f"{side}.tsv", [row.encode() for row in rows])
        write_atomically(path, [text.encode()])
    except OSError as error:
        raise DataError(f"cannot write the split: {error}", place=Place(path)) from error
    return path


def _card(new: NewSplit, card: DatasetCard, name: str) -> dict[str, Any]:
    """Return the fields of the card of a new split."""
    sizes = {"train": len(new.train), "test": len(new.test)}
    fields = card.model_dump(mode="json", include={"licence", "citation", "language", "template"})
    return fields | {
        "name": name,
        "title": f"{card.title}, divided anew",
        "loader": "tsv",
        "sources": [{"kind": "local", "folder": name}],
        "default_split": "divided",
        "splits": {"divided": sizes | {"files": {"train": "train.tsv", "test": "test.tsv"}}},
    }


def _random(examples: Sequence[Example], wanted: int, rng: np.random.Generator) -> Mask:
    return _mask(len(examples), rng.permutation(len(examples))[:wanted])


def _by_length(examples: Sequence[Example], wanted: int, rng: np.random.Generator) -> Mask:
    """Put the longest programs on the test side; those of one length stay together."""
    del rng
    lengths = np.array([len(example.target.split()) for example in examples])
    return np.asarray(lengths > np.sort(lengths)[len(lengths) - wanted - 1])


def _by_template(examples: Sequence[Example], wanted: int, rng: np.random.Generator) -> Mask:
    groups: dict[str, list[int]] = {}
    for number, example in enumerate(examples):
        groups.setdefault(program_template(example.target), []).append(number)
    names = sorted(groups)
    chosen: list[int] = []
    for place in rng.permutation(len(names)):
        group = groups[names[place]]
        if len(chosen) + len(group) <= wanted:
            chosen += group
    return _mask(len(examples), np.array(chosen, np.int64))


_METHODS: Mapping[str, Callable[[Sequence[Example], int, np.random.Generator], Mask]] = (
    MappingProxyType({"length": _by_length, "template": _by_template, "random": _random})
)


def _most_divergent(
    atoms: Counts, compounds: Counts, wanted: int, rng: np.random.Generator
) -> Mask:
    """Search for a split by exchanging the most promising examples, ever fewer at a time."""
    n = compounds.shape[0]
    is_test = _mask(n, rng.permutation(n)[:wanted])

    def goal(mask: Mask) -> float:
        excess = _divergence(atoms, mask, ATOM_ALPHA) - MOST_ATOM_DIVERGENCE
        return _divergence(compounds, mask, COMPOUND_ALPHA) - _PENALTY * max(0.0, excess)

    best, size = goal(is_test), max(1, wanted // 4)
    for _ in range(_ROUNDS):
        gradient = _gradient(compounds, is_test, COMPOUND_ALPHA)
        if _divergence(atoms, is_test, ATOM_ALPHA) > 0.8 * MOST_ATOM_DIVERGENCE:
            gradient = gradient - _PENALTY * _gradient(atoms, is_test, ATOM_ALPHA)
        gradient = gradient + rng.normal(scale=0.05 * gradient.std() + 1e-12, size=n)
        inside, outside = np.flatnonzero(is_test), np.flatnonzero(~is_test)
        moved = is_test.copy()
        moved[inside[np.argsort(gradient[inside])[:size]]] = False
        moved[outside[np.argsort(-gradient[outside])[:size]]] = True
        if (reached := goal(moved)) > best:
            is_test, best = moved, reached
        elif size > 1:
            size = max(1, size * 3 // 4)
    return is_test


def _gradient(counts: Counts, is_test: Mask, alpha: float) -> NDArray[np.float64]:
    """Return the gradient of the divergence for moving each example to the test side, (n,)."""
    train, test = _totals(counts, is_test)
    p, q = train / train.sum(), test / test.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        by_p = np.where(p > 0, alpha * (q / p) ** (1 - alpha), 0.0)
        by_q = np.where(q > 0, (1 - alpha) * (p / q) ** alpha, 0.0)
    coefficient = float((p**alpha * q ** (1 - alpha)).sum())
    of_train = (by_p - alpha * coefficient) / train.sum()
    of_test = (by_q - (1 - alpha) * coefficient) / test.sum()
    return np.asarray(counts @ (np.minimum(of_train, 1e6) - of_test))


def _divergence(counts: Counts, is_test: Mask, alpha: float) -> float:
    train, test = _totals(counts, is_test)
    p, q = train / train.sum(), test / test.sum()
    return 1 - float((p**alpha * q ** (1 - alpha)).sum())


def _totals(counts: Counts, is_test: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    sides = np.column_stack([~is_test, is_test]).astype(np.float64)
    train, test = (counts.T @ sides).T
    return train, test


def _counts(trees: Sequence[Tree], sizes: Sequence[int]) -> Counts:
    """Count each atom (label) or compound in each example, (examples, items)."""
    numbers: dict[object, int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for row, tree in enumerate(trees):
        held = (
            tree.labels
            if tuple(sizes) == (1,)
            else chain(*(local_structures(tree, s) for s in sizes))
        )
        for item in held:
            rows.append(row)
            columns.append(numbers.setdefault(item, len(numbers)))
    shape = (len(trees), len(numbers))
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


def _mask(n: int, chosen: NDArray[np.int64]) -> Mask:
    mask = np.zeros(n, bool)
    mask[chosen] = True
    return mask
