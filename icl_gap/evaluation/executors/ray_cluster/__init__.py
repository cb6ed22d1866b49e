"""Executor that runs the jobs of a sweep on a cluster, by Ray.

This process plans and stores; workers on the cluster's nodes hold the models. Only the keys of
cells go to a worker, which plans these cells again, and records come back as they are made.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from icl_gap.errors import InputError, Place
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.jobs import Job
from icl_gap.evaluation.spending import Ledger

__all__ = ["run_jobs"]

_ADDRESS = "RAY_ADDRESS"
_PATIENCE = 10.0
"""Seconds."""
_OBJECT_STORE = 100 * 1024**2
"""Bytes, for records under way on a cluster of our own; Ray takes no less than 75 MiB."""


def run_jobs(sweep: SweepSpec, jobs: Sequence[Job], ledger: Ledger) -> Generator[None]:
    """Run jobs on a cluster that is running, or on one of this machine.

    Closing the iterator leaves no worker and, where the cluster is its own, no process.

    Args:
        sweep: The sweep that the jobs are of.
        jobs: The jobs. One that fails is refused, and the others go on.
        ledger: Keeps what models cost.

    Yields:
        A step for each request of the cells that are not finished.

    Raises:
        InputError: Ray is not installed, or the cluster that `RAY_ADDRESS` names is not there.
        OSError: A record cannot be stored.
    """
    if find_spec("ray") is None:
        raise InputError(
            "ray is not installed",
            value="ray",
            allowed="pip install 'icl-gap[ray]', or `executor: local`",
        ).at(key="executor")
    with _connected():
        from icl_gap.evaluation.executors.ray_cluster.dispatch import Dispatch

        yield from Dispatch(sweep, jobs, ledger).steps()


@contextmanager
def _connected() -> Iterator[None]:
    """Connect to a cluster; leave it at the end, and stop it if it was started here."""
    import ray

    if ray.is_initialized():  # the caller's own, which stays
        yield
        return
    _connect()
    try:
        yield
    finally:
        ray.shutdown()


def _connect() -> None:
    """Join the cluster of `RAY_ADDRESS`, or one that runs on this machine; else start one."""
    import ray

    named = os.environ.get(_ADDRESS, "")
    given = named not in {"", "auto", "local"}
    address = named if given or named == "local" else _last_started()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a sweep tells nobody that it runs
    # Errors of workers come with their records.
    init = partial(
        ray.init, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False
    )
    if _is_there(address):
        try:
            init(address=address)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise _no_cluster(address) from error
    elif given:
        raise _no_cluster(address)
    else:
        init(address="local", object_store_memory=_OBJECT_STORE)


def _last_started() -> str:
    """Return the address of the cluster last started on this machine, which may be gone.

    Ray notes it in a file of its folder.
    """
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 (as Ray does)
    try:
        return Path(folder, "ray", "ray_current_cluster").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _is_there(address: str) -> bool:
    """Return whether something listens at HOST:PORT; Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_PATIENCE):
            return True
    except (OSError, ValueError, OverflowError):
        return False


def _no_cluster(address: str) -> InputError:
    return InputError(
        "there is no Ray cluster that a run on this machine can join",
        value=address,
        allowed=f"HOST:PORT of a cluster that this machine is a node of, by the Ray and the Python "
        f"that run here; or no {_ADDRESS}",
        place=Place(key=_ADDRESS),
    )
