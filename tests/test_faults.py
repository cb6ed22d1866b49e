"""Faults of the machine: a run that they stop says why, and what was stored is whole."""

from __future__ import annotations

import json
import random
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from toys import sweep

from icl_gap.evaluation.config import read_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.results import open_results, verify_store
from icl_gap.schema import CellResult

RUN = [sys.executable, "-m", "icl_gap.cli", "run"]


RANDOM_INIT = {"kind": "random_init", "hidden_size": 16, "layers": 1}


def sweep_file(toy_card: str, place: Path, **changes: object) -> Path:
    path = place / "sweep.yaml"
    spec = sweep(toy_card, figures=[], **changes)
    path.write_text(yaml.safe_dump(spec.model_dump(mode="json")), encoding="utf-8")
    return path


@pytest.fixture
def path(toy_card: str, tmp_path: Path) -> Path:
    """A sweep of 200 cells."""
    return sweep_file(toy_card, tmp_path, seeds=list(range(25)), limit=20)


def plain(cell: CellResult) -> str:
    records = [
        (r.query_id, r.exemplar_ids, r.status, r.scores.get("raw"), r.prediction)
        for r in cell.records
    ]
    return json.dumps([cell.info.key, records])


def check_healed(path: Path, out: Path, undisturbed: Path) -> None:
    """What was stored is whole, and a run on better ground ends as if nothing had been."""
    assert verify_store(out) == []
    again = evaluate_sweep(read_sweep(path), out)
    assert [plain(cell) for cell in again] == [
        plain(cell) for cell in evaluate_sweep(read_sweep(path), undisturbed)
    ]
    assert not (out / "damaged").exists()


def limited(kind: int, most: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (most, most))


@pytest.mark.parametrize(
    ("changes", "kind", "most", "said"),
    [
        pytest.param(
            {"models": [RANDOM_INIT], "seeds": list(range(10))},
            resource.RLIMIT_NOFILE,
            40,
            "cannot be written: Too many open files",
            marks=pytest.mark.slow,
        ),
        ({"limit": 30}, resource.RLIMIT_FSIZE, 9_000, "cannot be written: File too large"),
    ],
    ids=["open files", "quota"],
)
def test_a_limit_of_the_process_stops_the_run_with_a_clear_word(
    toy_card, tmp_path, changes, kind, most, said
) -> None:
    path = sweep_file(toy_card, tmp_path, **changes)
    out = tmp_path / "out"
    done = subprocess.run(
        [*RUN, path, "--out", out],
        preexec_fn=limited(kind, most),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert sum(file.stat().st_size for file in out.glob("cells/*")) > 0
    check_healed(path, out, tmp_path / "undisturbed")


MOUNTED = """
mount -t tmpfs -o size={size} none {disk} && mkdir {disk}/out && {prepare}
{run} {sweep} --out {disk}/out
code=$?
cp -r {disk}/out {copy}
exit $code
"""


def on_a_small_disk(path: Path, place: Path, *, size: str, prepare: str) -> tuple[int, str]:
    """Run a sweep on a file system of its own, and keep a copy of what it left there."""
    disk = place / "disk"
    disk.mkdir()
    script = MOUNTED.format(
        size=size,
        disk=disk,
        prepare=prepare.format(disk=disk),
        run=shlex.join(RUN),
        sweep=path,
        copy=place / "copy",
    )
    inside = ["unshare", "--map-root-user", "--mount", "sh", "-c", script]
    done = subprocess.run(inside, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def may_mount() -> bool:
    """Whether this system lets a user mount a file system in a name space of one's own."""
    test = ["unshare", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs none /mnt"]
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(test, capture_output=True, check=False).returncode == 0


mounting = pytest.mark.skipif(not may_mount(), reason="no leave to mount a file system")


@mounting
@pytest.mark.parametrize(
    "size",
    [
        pytest.param("100k", marks=pytest.mark.slow),
        "400k",
        pytest.param("700k", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_stops_the_run_with_a_clear_word(path, tmp_path, size) -> None:
    code, err = on_a_small_disk(path, tmp_path, size=size, prepare="true")
    assert code == 1
    assert "cannot be written: No space left on device" in err
    assert "Traceback" not in err
    check_healed(path, tmp_path / "copy", tmp_path / "undisturbed")


@mounting
def test_a_folder_that_may_only_be_read_stops_the_run_with_a_clear_word(path, tmp_path) -> None:
    code, err = on_a_small_disk(path, tmp_path, size="10m", prepare="mount -o remount,ro {disk}")
    assert code == 1
    assert "cannot be written: Read-only file system" in err
    assert "Traceback" not in err
    assert list((tmp_path / "copy").iterdir()) == []


KILLS = 50
COUNTED = """
import os, sys
from icl_gap import read_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models.hf.engine.scheduling import Engine

log = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
run = Engine._run_batch

def counted(self, batch, *rest, **more):
    os.write(log, b"%d\\n" % sum(1 for _ in batch.branches))
    return run(self, batch, *rest, **more)

Engine._run_batch = counted
evaluate_sweep(read_sweep(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.slow
def test_killed_at_fifty_random_moments_it_ends_as_if_nothing_had_been(tmp_path) -> None:
    model = {"model": "nano-codegen-l", "kv_cache_tokens": 2048}
    path = sweep_file("scan", tmp_path, models=[model], shots=[1, 5], seeds=[0, 1, 2], limit=60)

    def start(out: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", COUNTED, path, tmp_path / out, tmp_path / f"{out}.log"]
        return subprocess.Popen(command)

    def batches_of(out: str) -> list[int]:
        log = tmp_path / f"{out}.log"
        return [int(n) for n in log.read_text().split()] if log.exists() else []

    begin, process = time.monotonic(), start("undisturbed")
    while not batches_of("undisturbed"):
        time.sleep(0.01)
    loading = time.monotonic() - begin
    assert process.wait() == 0
    computing = time.monotonic() - begin - loading
    chance = random.Random(0)  # noqa: S311 (moments to kill at are no secret)
    inside = 0
    for _ in range(KILLS):
        before, process = len(batches_of("killed")), start("killed")
        if chance.random() < 0.2:
            time.sleep(chance.uniform(0, loading))
        else:
            while len(batches_of("killed")) == before and process.poll() is None:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, computing / KILLS))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        inside += len(batches_of("killed")) > before
    assert start("killed").wait() == 0
    print(f"killed {KILLS} times, {inside} of them at work")
    assert inside > KILLS / 2
    one, two = (open_results(tmp_path / out) for out in ("undisturbed", "killed"))
    assert [plain(cell) for cell in two] == [plain(cell) for cell in one]
    waves, again = batches_of("undisturbed"), batches_of("killed")
    print(f"{sum(waves)} answers in waves of at most {max(waves)}; {sum(again)} computed in all")
    # What was computed twice was in the one batch that a kill broke off.
    assert sum(again) - sum(waves) <= inside * max(waves)
