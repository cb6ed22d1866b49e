"""How the command line ends, whatever goes wrong."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from icl_gap.cli.exits import exit_code

COMMAND = (sys.executable, "-m", "icl_gap.cli")


def shell(script: str, *arguments: str | bytes | Path) -> subprocess.CompletedProcess[str]:
    """Run a command line through the shell, which sets its streams up."""
    words = ["sh", "-c", f'"$0" -m icl_gap.cli {script}', sys.executable, *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give `icl-gap models` a defect; return the folder of temporary files."""

    def fail() -> None:
        raise ZeroDivisionError("not\na\x1b[2J number " + "x" * 999)

    monkeypatch.setattr("icl_gap.models.zoo.zoo", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_defect_is_one_line_and_the_path_of_its_traceback(cli, broken) -> None:
    ended = cli("models")
    assert (ended.code, ended.out) == (70, "")
    told, place = ended.err.splitlines()
    assert "`icl-gap models` stopped because of a defect of the program" in told
    assert r"ZeroDivisionError: not a\x1b[2J number" in told
    assert len(told) < 450
    (path,) = broken.iterdir()
    assert place.endswith(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert text.startswith("icl-gap models\n")
    assert "Traceback" in text
    assert "in fail" in text
    cli("models")
    assert len(list(broken.iterdir())) == 2


def test_a_traceback_that_cannot_be_saved_is_printed(cli, broken, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(broken / "none"))
    ended = cli("models")
    assert ended.code == 70
    assert "Traceback" in ended.err


def test_an_error_that_cannot_say_what_it_is_is_a_defect_too(capsys) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise ValueError

    def fail() -> None:
        raise MuteError

    assert exit_code(fail) == 70
    told = capsys.readouterr().err
    assert "MuteError: (its text cannot be shown)" in told
    Path(told.split()[-1]).unlink()


def test_ctrl_c_ends_every_command_with_its_own_code(cli, monkeypatch) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("icl_gap.models.zoo.zoo", stop)
    assert cli("models") == (130, "", "icl-gap: stopped\n")


@pytest.mark.parametrize("command", ["models", "data list", "--help"])
def test_a_reader_that_went_away_is_no_error(command) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [*COMMAND, *command.split()]
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_closed_standard_output_is_told() -> None:
    done = shell("models >&-")
    assert done.returncode == 2
    assert "standard output is closed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_standard_error_leaves_the_output_alone() -> None:
    done = shell("models opps 2>&-")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_full_disk_is_told() -> None:
    done = shell("models >/dev/full")
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_of_another_alphabet_gets_escapes(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = shell('models "$1"', "\u00e9")
    assert done.returncode == 2
    assert r"found:   '\xe9'" in done.stderr
    assert shell("prompts --help").returncode == 0


def test_file_names_that_are_no_text_are_printed(cli, sweep, tmp_path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    path = sweep.rename(tmp_path / f"{odd}.yaml")
    out = tmp_path / odd
    ran = cli("run", path, "--out", out)
    assert ran.code == 0, ran.err
    assert r"caf\udce9" in ran.out
    for command in (
        ("analyze", out),
        ("report", out),
        ("plot", out, "--recipe", "gap_vs_shots"),
        ("store", "verify", out),
        ("diagnose", out, "--csv", out / f"{odd}.csv"),
    ):
        assert cli(*command).code == 0, command
    for command in (
        ("run", tmp_path / f"{odd}2.yaml"),
        ("analyze", tmp_path / f"{odd}2"),
        ("data", "info", odd),
        ("score", tmp_path / odd / odd, "--benchmark", odd),
        ("plot", out, "--recipe", odd),
    ):
        ended = cli(*command)
        assert ended.code in {1, 2}, command
        assert r"caf\udce9" in ended.err


HUGE = {
    "as many digits as Python reads": "9" * 4000,
    "more digits than Python reads": "9" * 5000,
    "hexadecimal": "0x" + "f" * 5000,
    "a float": "1.0e+400",
    "a float without a dot": "1e400",
    "below zero": "-" + "9" * 4000,
}


@pytest.mark.parametrize("number", HUGE.values(), ids=HUGE)
@pytest.mark.parametrize("key", ["seeds", "shots", "limit", "precision_check"])
def test_a_huge_number_in_a_sweep_is_the_users_to_mend(cli, sweep, key, number) -> None:
    value = f"[{number}]" if key in {"seeds", "shots"} else number
    lines = [line for line in sweep.read_text().splitlines() if not line.startswith(key)]
    sweep.write_text("\n".join([*lines, f"{key}: {value}"]))
    ended = cli("plan", sweep)
    assert ended.code == 2, ended.err[-2000:]
    assert "Traceback" not in ended.err
    assert len(ended.err) < 1000


NUMBERS: list[tuple[Any, ...]] = [
    ("split", "scan", "--method", "random", "--out", "OUT", "--seed", "9" * 5000),
    ("split", "scan", "--method", "random", "--out", "OUT", "--seed", "9" * 4000),
    ("split", "scan", "--method", "random", "--out", "OUT", "--seed", "-1"),
    ("split", "scan", "--method", "random", "--out", "OUT", "--share", "nan"),
    ("split", "scan", "--method", "random", "--out", "OUT", "--share", "inf"),
    ("split", "scan", "--method", "random", "--out", "OUT", "--share", "-0.1"),
    ("split", "scan", "--method", "random", "--out", "OUT", "--share", "1"),
    ("split", "scan", "--method", "random", "--out", "OUT", "--share", "1e400"),
    ("prompts", "SWEEP", "--cell", "9" * 5000),
    ("prompts", "SWEEP", "--cell", "9" * 30),
    ("prompts", "SWEEP", "--n", "9" * 5000),
    ("plan", "SWEEP", "--shards", "9" * 30),
    ("plan", "SWEEP", "--shards", "9" * 5000),
    ("plan", "SWEEP", "--shards", "0"),
]


@pytest.mark.parametrize(
    "words", NUMBERS, ids=lambda words: re.sub(r"9{30,}", "99..", " ".join(words))
)
def test_a_number_out_of_range_is_refused(cli, sweep, tmp_path, words) -> None:
    stand_for = {"SWEEP": sweep, "OUT": tmp_path / "out"}
    ended = cli(*(stand_for.get(word, word) for word in words))
    assert ended.code == 2, ended.err[-2000:]
    assert "Traceback" not in ended.err
    assert len(ended.err) < 1000
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("bad", ["a\0b", "./a\ud800", "~no-such-user/x"], ids=ascii)
@pytest.mark.parametrize("place", ["name", "datasets", "models", "figures"])
def test_a_name_that_no_file_can_have_is_the_users_to_mend(cli, tmp_path, place, bad) -> None:
    fields = {"name": "s", "datasets": ["scan"], "models": ["nearest"], "figures": []}
    fields |= {"name": bad} if place == "name" else {place: [f"{bad}.yaml"]}
    path = tmp_path / "sweep.yaml"
    path.write_text("\n".join(f"{key}: {json.dumps(value)}" for key, value in fields.items()))
    ended = cli("run", path, "--out", tmp_path / "out")
    assert ended.code == 2, ended.err
    assert "Traceback" not in ended.err
    assert str(path) in ended.err or "there is no such card" in ended.err


def test_without_a_home_folder_a_cache_is_asked_for(cli, monkeypatch) -> None:
    def unknown(_: object) -> None:
        raise KeyError

    for name in ("HOME", "ICL_GAP_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    ended = cli("data", "info", "geoquery")
    assert ended.code == 2
    assert "ICL_GAP_CACHE" in ended.err
