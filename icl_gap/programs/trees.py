"""Trees of programs, and the local structures that they are made of.

The structures are those of Bogin et al. 2022 (arXiv 2201.05899) and Levy et al. 2022 (arXiv
2212.06800): pairs of a parent and its child, pairs of neighbouring siblings, and longer chains of
such pairs.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, count

ROOT = ""
"""Label of the root above a row of tokens."""
CHILD, SIBLING = ">", "~"
"""Relation of a structure's node to the node before it."""

LARGEST = 4
"""Nodes of the largest structures that exemplars are selected by; Levy et al. 2022."""
Structure = tuple[str, ...]
"""Labels with `CHILD` or `SIBLING` between each two."""

_NUMBERED = re.compile(r"(\?x|M|m)\d+")


@dataclass(frozen=True, slots=True)
class Tree:
    """Tree of a program; its nodes are numbered so that parents come before their children."""

    labels: tuple[str, ...]
    """Labels by node; placeholders and variables are without their numbers."""
    parents: tuple[int, ...]
    """Parent of each node; -1 for the root."""

    @property
    def siblings(self) -> tuple[int, ...]:
        """Sibling before each node; -1 for first children and the root."""
        last: dict[int, int] = {}
        found = []
        for node, parent in enumerate(self.parents):
            found.append(last.get(parent, -1))
            last[parent] = node
        return tuple(found)


def token_row(text: str) -> Tree:
    """Return the tokens of a text as a row of leaves below `ROOT`."""
    tokens = text.split()
    return Tree((ROOT, *tokens), (-1, *[0] * len(tokens)))


def without_number(label: str) -> str:
    """Return a label without its number if it is a placeholder or a variable: `?x2` as `?x`."""
    numbered = _NUMBERED.fullmatch(label)
    return numbered[1] if numbered else label


def local_structures(tree: Tree, size: int = 2) -> frozenset[Structure]:
    """Return a tree's chains of nodes, each a child or the next sibling of the one before.

    Args:
        tree: The tree.
        size: Nodes of a structure; with 1, structures are the labels themselves.
    """
    siblings = tree.siblings
    chains: list[set[Structure]] = [{(label,)} for label in tree.labels]
    for _ in range(size - 1):
        longer: list[set[Structure]] = []
        for node, label in enumerate(tree.labels):
            before = ((CHILD, tree.parents[node]), (SIBLING, siblings[node]))
            longer.append(
                {(*known, how, label) for how, at in before if at >= 0 for known in chains[at]}
            )
        chains = longer
    return frozenset().union(*chains)


class Structures:
    """Numbering of the local structures of one to four nodes; equal ones have one number.

    Gives what `local_structures` gives, for pools of a hundred thousand programs: a structure is
    keyed by the number of the structure without its last node, so no long tuple is ever made.

    Args:
        tree_of: Parses any text, such as `Language.lenient_tree`.
    """

    def __init__(self, tree_of: Callable[[str], Tree]) -> None:
        self._tree_of = tree_of
        self._numbers: defaultdict[tuple[int, str, str], int] = defaultdict(count().__next__)

    def __call__(self, program: str) -> list[int]:
        """Return a program's structures, the largest first, then in order of their last nodes."""
        tree = self._tree_of(program)
        links = [
            [(how, at) for how, at in ((CHILD, parent), (SIBLING, sibling)) if at >= 0]
            for parent, sibling in zip(tree.parents, tree.siblings, strict=True)
        ]
        nodes = list(zip(tree.labels, links, strict=True))
        sizes = [[[self._numbers[-1, CHILD, label]] for label in tree.labels]]
        for _ in range(LARGEST - 1):
            sizes.append(self._longer(nodes, sizes[-1]))
        return list(dict.fromkeys(chain.from_iterable(chain.from_iterable(reversed(sizes)))))

    def _longer(
        self,
        nodes: Sequence[tuple[str, Sequence[tuple[str, int]]]],
        chains: Sequence[Sequence[int]],
    ) -> list[list[int]]:
        """Extend the chains that end before each node by that node."""
        numbers = self._numbers
        longer = []
        for label, links in nodes:
            here = []
            for how, at in links:
                for known in chains[at]:
                    # A node has few chains: comprehensions take a quarter to half as long again.
                    here.append(numbers[known, how, label])  # noqa: PERF401
            longer.append(here)
        return longer
