"""Checks of LaTeX by its structure, where no engine is at hand."""

from __future__ import annotations

import re


def check_latex(text: str) -> None:
    """Check that groups, environments and formulas close, and that rows have all their cells."""
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    text = "\n".join(lines)
    plain = re.sub(r"\\[\\{}$&#_%]", "", text)
    depth = 0
    for character in plain:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0
    assert plain.count("$") % 2 == 0
    assert "%" not in plain
    assert "#" not in plain
    in_text = re.sub(r"\$[^$]*\$", "", plain)
    for argument in (r"\\label\{[^}]*\}", r"\\cite\{[^}]*\}"):
        in_text = re.sub(argument, "", in_text)
    assert "_" not in in_text
    assert "^" not in in_text
    _check_environments(text)


def _check_environments(text: str) -> None:
    open_ones: list[str] = []
    columns = 0
    for line in text.splitlines():
        for command, name in re.findall(r"\\(begin|end)\{(\w+)\}", line):
            if command == "begin":
                open_ones.append(name)
            else:
                assert open_ones.pop() == name
        if found := re.match(r"\\begin\{tabular\}\{(\w+)\}", line):
            columns = len(found[1])
        elif line.endswith(r"\\"):
            cells = len(re.findall(r"(?<!\\)&", line)) + 1
            spanned = re.match(r"\\multicolumn\{(\d+)\}", line)
            assert (int(spanned[1]) if spanned else cells) == columns
    assert open_ones == []
