"""Sweeps on a real Ray cluster: the same records, whoever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import psutil
import pytest
import yaml
from serving import Body, Connection, chat_only, query_of, serving
from toys import sweep

from icl_gap.errors import InferenceError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.evaluation.spending import read_spending
from icl_gap.models import RandomInitSpec, save_random_init
from icl_gap.progress import Progress, no_progress
from icl_gap.results import open_results, verify_store
from icl_gap.schema import CellResult, Record

T = TypeVar("T")
NANO = {"models": ["nano-codegen-xs", "nano-codegen-m"], "shots": [1], "seeds": [0], "limit": 20}


def plain(results: Iterable[CellResult]) -> list[tuple[str, list[Record]]]:
    return [(c.info.key, [replace(r, seconds=0.0) for r in c.records]) for c in results]


def at_step(number: int, act: Callable[[], object]) -> Progress:
    """Progress that does something once, after some steps of answering."""

    def progress(items: Iterable[T], description: str, total: int) -> Iterable[T]:
        del total
        for done, item in enumerate(items):
            if description == "answering" and done == number:
                act()
            yield item

    return progress


def processes(name: str) -> list[psutil.Process]:
    """Those of Ray that belong to this user and have a name in their command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if name in " ".join(process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def gone(name: str, seconds: float = 20.0) -> bool:
    """Whether no process of a name is left, soon."""
    until = time.monotonic() + seconds
    while processes(name) and time.monotonic() < until:
        time.sleep(0.1)
    return not processes(name)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run starts a cluster of its own."""
    monkeypatch.setenv("RAY_ADDRESS", "local")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes with a processor each."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.add_node(num_cpus=1)
    made.wait_for_nodes()
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    yield made
    made.shutdown()


def on_ray(spec: SweepSpec) -> SweepSpec:
    return spec.model_copy(update={"executor": "ray"})


@pytest.mark.usefixtures("alone")
def test_a_sweep_on_ray_gives_the_records_of_one_process_and_leaves_nothing(
    toy_card, tmp_path
) -> None:
    spec = sweep(toy_card)
    results = evaluate_sweep(on_ray(spec), tmp_path / "ray")
    assert plain(results) == plain(evaluate_sweep(spec, tmp_path / "local"))
    assert [cell.info.key for cell in results] == [
        cell.info.key for cell in evaluate_sweep(spec, tmp_path / "ray")
    ]
    assert gone("raylet/raylet")


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_two_nodes_give_the_records_of_one_process(tmp_path) -> None:
    spec = sweep("scan", **NANO)
    assert plain(evaluate_sweep(on_ray(spec), tmp_path / "ray")) == plain(
        evaluate_sweep(spec, tmp_path / "local")
    )


@pytest.mark.slow
def test_a_node_that_goes_costs_nothing_but_time(cluster, tmp_path) -> None:
    spec = sweep("scan", **NANO)
    (node,) = cluster.worker_nodes
    lost: list[None] = []

    def lose() -> None:
        cluster.remove_node(node)
        lost.append(None)

    results = evaluate_sweep(on_ray(spec), tmp_path / "ray", progress=at_step(30, lose))
    assert lost
    assert plain(results) == plain(evaluate_sweep(spec, tmp_path / "local"))


@pytest.mark.slow
def test_a_model_goes_where_gpus_are(cluster, tmp_path) -> None:
    """Ray is told of two GPUs on one of three nodes; what is there is not looked at."""
    import ray

    cluster.add_node(num_cpus=2, num_gpus=2)
    cluster.wait_for_nodes()
    free: list[float] = []

    def look() -> None:
        until = time.monotonic() + 30
        while ray.available_resources().get("GPU", 0.0) and time.monotonic() < until:
            time.sleep(0.1)
        free.extend(ray.available_resources().get(kind, 0.0) for kind in ("GPU", "CPU"))

    spec = sweep("scan", **NANO)
    results = evaluate_sweep(on_ray(spec), tmp_path / "ray", progress=at_step(10, look))
    assert free == [0.0, 2.0]  # a model on each, and nothing on the other nodes
    assert plain(results) == plain(evaluate_sweep(spec, tmp_path / "local"))


@pytest.mark.slow
def test_a_node_that_joins_is_used(cluster, tmp_path) -> None:
    spec = sweep("scan", **NANO)
    (node,) = cluster.worker_nodes
    cluster.remove_node(node)
    workers: list[int] = []

    def join() -> None:
        workers.append(len(processes("ray::Worker")))
        cluster.add_node(num_cpus=1)
        until = time.monotonic() + 60
        while len(processes("ray::Worker")) < 2 and time.monotonic() < until:
            time.sleep(0.1)
        workers.append(len(processes("ray::Worker")))

    results = evaluate_sweep(on_ray(spec), tmp_path / "ray", progress=at_step(10, join))
    assert workers == [1, 2]
    assert plain(results) == plain(evaluate_sweep(spec, tmp_path / "local"))


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_a_worker_that_is_killed_costs_nothing_but_time(tmp_path) -> None:
    spec = sweep("scan", **NANO)
    killed: list[int] = []

    def kill() -> None:
        for worker in processes("ray::Worker"):
            worker.kill()
            killed.append(worker.pid)

    results = evaluate_sweep(on_ray(spec), tmp_path / "ray", progress=at_step(30, kill))
    assert killed
    assert plain(results) == plain(evaluate_sweep(spec, tmp_path / "local"))


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_a_model_that_does_not_load_leaves_the_others_alone(toy_card, tmp_path) -> None:
    broken = tmp_path / "broken"
    save_random_init(RandomInitSpec(hidden_size=16, layers=1), broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    spec = sweep(toy_card, models=[str(broken), "nearest"])
    with pytest.raises(InferenceError, match=r"all 16 of broken.*models\[0\]"):
        evaluate_sweep(on_ray(spec), tmp_path / "out")
    results = open_results(tmp_path / "out")
    assert {cell.info.model for cell in results} == {"nearest"}
    assert len(results.unfinished) == 16


DEADLY = """
import os, signal
from transformers import OPTForCausalLM

class Deadly(OPTForCausalLM):
    @classmethod
    def from_pretrained(cls, *_, **__):
        with open({deaths!r}, "a") as deaths:
            deaths.write(".")
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_max_cost_holds_over_several_runs_on_ray(toy_card, tmp_path) -> None:
    usage = {"prompt_tokens": 0, "completion_tokens": 10, "reasoning_tokens": 9}
    probe = {"prompt_tokens": 0, "completion_tokens": 0}

    def respond(connection: Connection, body: Body) -> None:
        asked = query_of(body).startswith("Q: ")
        connection.send_message("A 1", usage=usage if asked else probe)

    with serving(chat_only(respond)) as server:
        dollar = {"prompt": 1_000_000, "completion": 1_000_000}
        model = {"kind": "openai", "model": "m", "base_url": server.url, "price": dollar}
        limits = {"concurrency": 1, "max_attempts": 1}
        for max_cost, n in ((45, 5), (45, 5), (75, 8)):
            spec = sweep(
                toy_card,
                models=[{**model, **limits, "max_cost": max_cost}],
                executor="ray",
                shots=[2],
                seeds=[0],
            )
            with pytest.raises(InferenceError, match=rf"max_cost \(\${max_cost}\) is reached"):
                evaluate_sweep(spec, tmp_path / "r")
            chats = [body for body in server.bodies if "messages" in body]
            assert sum(query_of(body).startswith("Q: ") for body in chats) == n
    assert read_spending(tmp_path / "r")[0].dollars == 80.0


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_a_model_that_kills_its_workers_is_given_up(toy_card, tmp_path) -> None:
    deadly = tmp_path / "deadly"
    save_random_init(RandomInitSpec(hidden_size=16, layers=1), deadly)
    config = json.loads((deadly / "config.json").read_text(encoding="utf-8"))
    config["auto_map"] = {"AutoModelForCausalLM": "deadly.Deadly"}
    (deadly / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (deadly / "deadly.py").write_text(DEADLY.format(deaths=str(tmp_path / "deaths")))
    model = {"model": str(deadly), "trust_remote_code": True}
    spec = sweep(toy_card, models=[model, "nearest"])
    with pytest.raises(InferenceError, match="all 16 of deadly: its worker died 3 times"):
        evaluate_sweep(on_ray(spec), tmp_path / "out")
    assert (tmp_path / "deaths").read_text(encoding="utf-8") == "..."
    assert {cell.info.model for cell in open_results(tmp_path / "out")} == {"nearest"}


def started(spec: SweepSpec, place: Path) -> subprocess.Popen[bytes]:
    """A run on Ray in a process of its own, once it has stored something."""
    path = place / "sweep.yaml"
    path.write_text(yaml.safe_dump(on_ray(spec).model_dump(mode="json")), encoding="utf-8")
    command = [sys.executable, "-m", "icl_gap.cli", "run", path, "--out", place / "out"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not any((place / "out").glob("cells/*")):
        time.sleep(0.05)
    assert process.poll() is None
    return process


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_a_driver_that_is_killed_goes_on_where_it_was(tmp_path) -> None:
    spec = sweep("scan", **NANO, figures=[])
    process = started(spec, tmp_path)
    process.kill()
    process.wait()
    assert gone("ray::Worker"), "nobody answers for a driver that is gone"
    assert verify_store(tmp_path / "out") == []
    results = evaluate_sweep(on_ray(spec), tmp_path / "out")
    assert plain(results) == plain(evaluate_sweep(spec, tmp_path / "local"))


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_ctrl_c_leaves_nothing_running(tmp_path) -> None:
    process = started(sweep("scan", **NANO, figures=[]), tmp_path)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert gone("ray::Worker")
    assert gone("raylet/raylet")


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nowhere"])
def test_a_cluster_that_is_not_there_is_named(toy_card, tmp_path, monkeypatch, address) -> None:
    from icl_gap.errors import InputError

    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(InputError, match="no Ray cluster"):
        evaluate_sweep(on_ray(sweep(toy_card)), tmp_path / "out", progress=no_progress)


@pytest.mark.slow
@pytest.mark.parametrize("named", ["", "auto"])
def test_a_cluster_that_died_and_is_still_noted_is_not_waited_for(
    toy_card, tmp_path, monkeypatch, named
) -> None:
    # Sockets in Ray's folder need short paths, and its agents write there to their end.
    with TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as folder:
        (Path(folder) / "ray").mkdir()
        (Path(folder) / "ray" / "ray_current_cluster").write_text("127.0.0.1:9")
        monkeypatch.setenv("RAY_TMPDIR", folder)
        monkeypatch.setenv("RAY_ADDRESS", named)
        begin = time.monotonic()
        assert len(evaluate_sweep(on_ray(sweep(toy_card)), tmp_path / "out")) == 16
        assert time.monotonic() - begin < 60


@pytest.mark.slow
def test_a_cluster_that_runs_here_is_joined_unnamed(
    cluster, toy_card, tmp_path, monkeypatch
) -> None:
    import ray

    del cluster
    monkeypatch.delenv("RAY_ADDRESS")
    started_by = len(processes("raylet/raylet"))
    seen: list[int] = []
    joined = at_step(0, lambda: seen.append(len(ray.nodes())))
    evaluate_sweep(on_ray(sweep(toy_card)), tmp_path / "out", progress=joined)
    assert seen == [2]
    assert len(processes("raylet/raylet")) == started_by


def test_without_ray_it_is_told_what_to_install(toy_card, tmp_path, monkeypatch) -> None:
    from icl_gap.errors import InputError
    from icl_gap.evaluation.executors import ray_cluster as cluster

    monkeypatch.setattr(cluster, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="ray is not installed"):
        evaluate_sweep(on_ray(sweep(toy_card)), tmp_path / "out")


def test_where_a_sweep_runs_changes_no_key(toy_card) -> None:
    from icl_gap.evaluation.planning import outline_sweep

    spec = sweep(toy_card)
    keys = [[c.info.key for c in outline_sweep(s).cells] for s in (spec, on_ray(spec))]
    assert keys[0] == keys[1]
