"""Programs as trees, and the local structures that they are made of.

The structures are those of Bogin et al. 2022 (arXiv 2201.05899) and Levy et al. 2022 (arXiv
2212.06800): pairs of a parent and its child, pairs of neighbouring siblings, and longer chains of
such pairs.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count

from icl_gap.programs.faults import MalformedError
from icl_gap.programs.funql import funql_parser as funql
from icl_gap.programs.sparql import sparql_parser as sparql
from icl_gap.schema import CanonicalForm

ROOT = ""
"""The label above a program that is a row of tokens."""
CHILD, SIBLING = ">", "~"
"""How a node of a structure stands to the one before it."""

LARGEST = 4
"""How many nodes the largest structures have that exemplars are chosen by; Levy et al. 2022."""
Structure = tuple[str, ...]
"""Labels, each with `CHILD` or `SIBLING` between it and the next."""

_NUMBERED = re.compile(r"(\?x|M|m)\d+")


@dataclass(frozen=True, slots=True)
class Tree:
    """A program as a tree, its nodes numbered so that parents come before their children."""

    labels: tuple[str, ...]
    """Placeholders and variables are without their numbers."""
    parents: tuple[int, ...]
    """The number of each node's parent; -1 for the root."""

    @property
    def siblings(self) -> tuple[int, ...]:
        """The number of the sibling before each node; -1 for first children and the root."""
        last: dict[int, int] = {}
        found = []
        for node, parent in enumerate(self.parents):
            found.append(last.get(parent, -1))
            last[parent] = node
        return tuple(found)


def read_tree(program: str, form: CanonicalForm) -> Tree:
    """The tree of a program.

    Args:
        program: The program.
        form: Its language. FunQL's operators stand above their arguments. A SPARQL query's head
            stands above its clauses, and a clause's relation above its subject and object. Anything
            else is a row of tokens below `ROOT`.

    Raises:
        MalformedError: It is no program of that language.
    """
    match form:
        case "funql":
            return _of_funql(funql.parse(program.strip()))
        case "sparql":
            return _of_sparql(sparql.parse(program.strip()))
        case _:
            tokens = program.split()
            return Tree((ROOT, *tokens), (-1, *[0] * len(tokens)))


def tree_of(text: str, form: CanonicalForm) -> Tree:
    """The tree of any text; what is no program of the language is a row of tokens."""
    try:
        return read_tree(text, form)
    except MalformedError:
        return read_tree(text, "tokens")


def local_structures(tree: Tree, size: int = 2) -> frozenset[Structure]:
    """The local structures: chains of nodes, each a child or the next sibling of the one before.

    Args:
        tree: The tree.
        size: How many nodes a structure has; with 1, the labels themselves.
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
    """Numbers the local structures of one to four nodes; equal ones have one number.

    As `local_structures`, but for pools of a hundred thousand programs: a structure is known by the
    number of what it is without its last node, so that no long tuple is ever made or compared.

    Args:
        form: The language of the programs.
    """

    def __init__(self, form: CanonicalForm) -> None:
        self._form = form
        self._numbers: defaultdict[tuple[int, str, str], int] = defaultdict(count().__next__)

    def __call__(self, program: str) -> list[int]:
        """The structures of a program, the largest first, then in the order of their last nodes.

        Args:
            program: The program; one that is none counts as a row of tokens.
        """
        tree = tree_of(program, self._form)
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
        """What the chains that end at each node become with one node more, at its end."""
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


def _of_funql(expression: funql.Expression) -> Tree:
    values: list[list[tuple[str, int]]] = []  # each a subtree in preorder: labels and sizes
    for name, arity in expression.steps:
        arguments = values[len(values) - arity :] if arity else []
        del values[len(values) - arity :]
        inner = [node for argument in arguments for node in argument]
        values.append([(_plain(name), 1 + len(inner)), *inner])
    (whole,) = values
    return _from_sizes(whole)


def _from_sizes(nodes: list[tuple[str, int]]) -> Tree:
    """A tree from its nodes in preorder, with the sizes of their subtrees."""
    parents: list[int] = []
    open_: list[tuple[int, int]] = []  # a node, and where its subtree ends
    for number, (_, size) in enumerate(nodes):
        while open_ and open_[-1][1] <= number:
            open_.pop()
        parents.append(open_[-1][0] if open_ else -1)
        open_.append((number, number + size))
    return Tree(tuple(label for label, _ in nodes), tuple(parents))


def _of_sparql(query: sparql.Query) -> Tree:
    head = "count" if query.pattern.head is None else _plain(query.pattern.head)
    labels, parents = [f"SELECT {head}"], [-1]
    for subject, relation, object_ in query.written:
        clause = len(labels)
        labels += [relation, _plain(subject), _plain(object_)]
        parents += [0, clause, clause]
    return Tree(tuple(labels), tuple(parents))


def _plain(label: str) -> str:
    """A label, without its number where it is a placeholder or a variable."""
    numbered = _NUMBERED.fullmatch(label)
    return numbered[1] if numbered else label
