"""The wheel, built from what git tracks: every module is in it and can be imported."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
IMPORT_ALL = """
import importlib, pkgutil, sys, icl_gap
assert icl_gap.__file__.startswith(sys.argv[1]), icl_gap.__file__
found = [m.name for m in pkgutil.walk_packages(icl_gap.__path__, "icl_gap.", onerror=exit)]
for name in found:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(*found)
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of what git tracks or would, unpacked."""
    clone, out = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("wheel")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    tracked = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():  # a file that is removed may still be in git's index
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out]
    subprocess.run(build, cwd=clone, check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    shutil.unpack_archive(wheel, out / "unpacked", "zip")
    return out / "unpacked"


def test_it_holds_every_module_and_all_that_ships(unpacked: Path) -> None:
    def modules(root: Path) -> set[str]:
        return {str(path.relative_to(root)) for path in (root / "icl_gap").rglob("*.py")}

    assert modules(unpacked) == modules(ROOT)
    for folder in ("datasets", "sweeps", "plots"):
        here = {path.name for path in (ROOT / folder).iterdir()}
        assert {path.name for path in (unpacked / "icl_gap/_shipped" / folder).iterdir()} == here


def test_every_module_of_it_can_be_imported(unpacked: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", IMPORT_ALL, str(unpacked)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(unpacked), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "icl_gap.cli.sweeps" in done.stdout.split()
