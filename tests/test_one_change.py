"""What one change touches, as `tests/README.md` says, really made in a copy of the package."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STRATEGY = '''

def shortest(pool: Pool, _: Example, taken: set[int], stream: Stream) -> Iterator[int]:
    """Take the shortest examples first, equal ones at random."""
    lengths = np.array([-len(each.source) for each in pool.examples], np.float32)
    return _ranked(pool.positions, lengths, taken, stream)


STRATEGIES: Mapping'''
LANGUAGE = '''"""Programs in capital letters, for which the case does not count."""

from __future__ import annotations

from icl_gap.programs.tokens import TokenSequence


class AnyCase(TokenSequence):
    """Sequences of tokens, equal up to case and spacing."""

    name = "any_case"

    def parse(self, text: str) -> list[str]:
        """Split a text at white space, without its case."""
        return text.lower().split()

    def differences(self, prediction: list[str], target: list[str]) -> list[str] | None:
        """Return `case` for equal sequences."""
        return ["case"] if prediction == target else None


ANY_CASE = AnyCase()
'''
CARD = """\
name: shout
title: Words in capital letters
licence: CC0
citation: none
language: any_case
template: {instruction: Shout., source_label: "Words:", target_label: "Shout:"}
loader: tsv
sources: [{kind: local, folder: shout}]
default_split: plain
splits:
  plain: {files: {train: train.tsv, test: test.tsv}}
"""
RECIPE = "name: own\nx: shots\ny: accuracy\nformats: [svg]\n"
STUDY = """
import icl_gap
from icl_gap.evaluation.config import SweepSpec
from icl_gap.specs import check_spec

fields = dict(name="s", datasets=["shout"], models=["nearest"], shots=[1, 2], seeds=[0],
              selection="shortest", figures=["own"])
results = icl_gap.run_sweep(check_spec(fields, SweepSpec), "results")
print(results.frame().query_id.size, results.folder)
print(icl_gap.exact_match("a  B", "A b", dataset="shout").reason)
"""


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and of what it ships, without the weights of models."""
    ignored = shutil.ignore_patterns("__pycache__", "weights", "README.md")
    for name in ("icl_gap", "datasets", "plots", "sweeps"):
        shutil.copytree(ROOT / name, tmp_path / "copy" / name, ignore=ignored)
    return tmp_path / "copy"


def changed(folder: Path) -> set[str]:
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {
        name
        for name in files
        if not (ROOT / name).exists() or not filecmp.cmp(folder / name, ROOT / name, shallow=False)
    }


def test_a_strategy_a_language_a_benchmark_and_a_figure(copy: Path, tmp_path: Path) -> None:
    strategies = copy / "icl_gap/sampling/strategies.py"
    edit(strategies, '    "length",\n]', '    "length",\n    "shortest",\n]')
    edit(strategies, "\n\nSTRATEGIES: Mapping", STRATEGY)
    edit(strategies, '        "length": ', '        "shortest": shortest,\n        "length": ')
    assert changed(copy) == {"icl_gap/sampling/strategies.py"}

    (copy / "icl_gap/programs/any_case.py").write_text(LANGUAGE, encoding="utf-8")
    languages = copy / "icl_gap/programs/languages.py"
    edit(
        languages,
        "from icl_gap.programs.funql",
        "from icl_gap.programs.any_case import ANY_CASE\nfrom icl_gap.programs.funql",
    )
    edit(languages, "(FUNQL,", "(ANY_CASE, FUNQL,")
    (copy / "datasets/shout.yaml").write_text(CARD, encoding="utf-8")
    (copy / "plots/own.yaml").write_text(RECIPE, encoding="utf-8")
    assert changed(copy) == {
        "icl_gap/sampling/strategies.py",
        "icl_gap/programs/any_case.py",
        "icl_gap/programs/languages.py",
        "datasets/shout.yaml",
        "plots/own.yaml",
    }

    data = tmp_path / "data" / "shout"
    data.mkdir(parents=True)
    for side, letters in (("train", "abcdefgh"), ("test", "stuvwxyz")):
        rows = "".join(
            f"{one} {two}\t{one.upper()} {two.upper()}\n" for one in letters for two in letters
        )
        (data / f"{side}.tsv").write_text(rows, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", STUDY],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(copy), "ICL_GAP_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("512 ")
    assert done.stdout.splitlines()[-1] == "case"
    assert (tmp_path / "results/figures/own.svg").is_file()
