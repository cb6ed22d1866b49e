"""FunQL, the language of GeoQuery's programs."""

from __future__ import annotations

from functools import lru_cache

from icl_gap.programs.funql.execution import QueryResult, run_funql
from icl_gap.programs.funql.funql_parser import (
    FunqlProgram,
    Node,
    fold,
    number_values,
    parse_funql,
)
from icl_gap.programs.funql.funql_prefix import can_become_program, parse_target_program
from icl_gap.programs.funql.geobase import Entity, read_geobase
from icl_gap.programs.language import Database, Language, NotExecutableError
from icl_gap.programs.trees import Tree, without_number

_LONGEST_CACHED = 2000
"""Characters of the longest program whose result is kept."""


class FunQL(Language[FunqlProgram]):
    """FunQL, equal up to spacing, redundant brackets and the order of `intersection`'s arguments.

    Nothing else is equated: every other operator's arguments keep their places, `city ( all )` is
    not `city`, and an intersection within an intersection stays one.
    """

    name = "funql"
    execution = "run"
    needs_database = True

    def parse(self, text: str) -> FunqlProgram:
        """Parse a program, as `parse_funql` does."""
        return parse_funql(text)

    def differences(self, prediction: FunqlProgram, target: FunqlProgram) -> list[str] | None:
        """List the differences of two equal programs; None if they are not equal."""
        numbers: dict[Node, int] = {}

        def number(node: Node) -> int:
            return numbers.setdefault(node, len(numbers))

        if number_values(prediction.steps, number) != number_values(target.steps, number):
            return None
        signs = {
            "argument order": prediction.steps != target.steps,
            "brackets": prediction.extra_brackets != target.extra_brackets,
            "spacing": prediction.plain != target.plain,
        }
        return [name for name, differs in signs.items() if differs] or ["spacing"]

    def can_continue(self, text: str, target: str) -> bool:
        """Return whether some continuation of a text is equal to a target; exact."""
        program = parse_target_program(target)
        return program is not None and can_become_program(text, program)

    def tree(self, text: str) -> Tree:
        """Return a program as a tree, operators above their arguments."""
        # Each value is a subtree in preorder: labels with the sizes of their subtrees.
        return _tree_from_sizes(fold(parse_funql(text.strip()).steps, _preorder))

    def execute(
        self, program: str, database: Database | None = None, example_id: str | None = None
    ) -> QueryResult:
        """Run a program over geobase, as `run_funql` does."""
        if database is None or example_id is None or example_id not in database.bindings:
            raise NotExecutableError("FunQL needs its database and the id of an example in it")
        run = _run_once if len(program) <= _LONGEST_CACHED else _run
        return run(program, database, example_id)


def _preorder(name: str, arguments: list[list[tuple[str, int]]]) -> list[tuple[str, int]]:
    inner = [node for argument in arguments for node in argument]
    return [(without_number(name), 1 + len(inner)), *inner]


def _tree_from_sizes(nodes: list[tuple[str, int]]) -> Tree:
    """Return the tree of nodes in preorder with the sizes of their subtrees."""
    parents: list[int] = []
    open_nodes: list[tuple[int, int]] = []  # each with the end of its subtree
    for number, (_, size) in enumerate(nodes):
        while open_nodes and open_nodes[-1][1] <= number:
            open_nodes.pop()
        parents.append(open_nodes[-1][0] if open_nodes else -1)
        open_nodes.append((number, number + size))
    return Tree(tuple(label for label, _ in nodes), tuple(parents))


def _run(program: str, database: Database, example_id: str) -> QueryResult:
    bindings = {name: _entity(text) for name, text in database.bindings[example_id].items()}
    return run_funql(program, read_geobase(database.facts), bindings)


_run_once = lru_cache(maxsize=4096)(_run)


def _entity(text: str) -> Entity:
    """Read an entity such as `cityid('austin', 'tx')`."""
    entity_type, _, names = text.partition("(")
    listed = names.rstrip(" )").split(",")
    return (entity_type.strip(), *(name.strip(" '") for name in listed))


FUNQL = FunQL()
