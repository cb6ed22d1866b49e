"""The rules of the house that no linter holds: one name for one thing, and plain docstrings."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import icl_gap

PACKAGE = Path(icl_gap.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
COMMANDS = "cli"
"""The package whose functions and modules are named as the commands of `icl-gap` are."""
OBSCURE = re.compile(r"(What|Of|As|That of|Those|Whose|In which|How|Which|Whether)\b")
PRIVATE = re.compile(
    "alike|asks|asked|hope|going|reply|wave|piece|tail|sheet|unit|subject|study|world|places|look|"
    "strip|kinds|ruler|told|talkers|quiet|words"
)
"""Names that tell nothing to a reader who knows the field; its own terms stand in their place."""
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def definitions(path: Path) -> Iterator[Definition]:
    return (node for node in ast.walk(parsed(path)) if isinstance(node, Definition))


def public(path: Path) -> Iterator[Definition]:
    """The classes and functions that other modules may import."""
    return (
        node
        for node in parsed(path).body
        if isinstance(node, Definition) and not node.name.startswith("_")
    )


def in_commands(path: Path) -> bool:
    return path.relative_to(PACKAGE).parts[0] == COMMANDS


def test_no_public_name_is_defined_twice() -> None:
    places = defaultdict(set)
    for path in MODULES:
        for node in public(path):
            if not in_commands(path):
                places[node.name].add(str(path.relative_to(PACKAGE)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_name_stands_for_a_second_thing_in_the_package_itself() -> None:
    """What `icl_gap.NAME` gives is what any module means by that name."""
    for path in MODULES:
        for node in public(path):
            if node.name in icl_gap.__all__ and not in_commands(path):
                home = getattr(icl_gap, node.name).__module__
                module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
                assert module.removesuffix(".__init__") == home, (node.name, module, home)


def test_module_names_repeat_only_where_they_must() -> None:
    """Benchmarks stand beside their languages; commands are named after what they command."""
    places = defaultdict(list)
    for path in MODULES:
        loader = path.parent.name == "loaders"
        if path.stem not in {"__init__", "__main__"} and not in_commands(path) and not loader:
            places[path.stem].append(str(path.relative_to(PACKAGE)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstrings_begin_with_a_verb_or_say_what_a_thing_is(path: Path) -> None:
    nodes = [parsed(path), *definitions(path)]
    documented = [(getattr(n, "name", "module"), ast.get_docstring(n) or "") for n in nodes]
    assert [(name, text[:60]) for name, text in documented if OBSCURE.match(text)] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_names_are_the_field_s_own(path: Path) -> None:
    named = {node.name for node in definitions(path)}
    named |= {path.stem, path.parent.name}
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            named.add(node.target.id)
        elif isinstance(node, ast.arguments):
            named |= {each.arg for each in (*node.posonlyargs, *node.args, *node.kwonlyargs)}
    assert sorted(name for name in named if PRIVATE.fullmatch(name.strip("_").lower())) == []
