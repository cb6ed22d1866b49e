"""Work in the background: in order, whole, and with its errors raised."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.evaluation.background import in_background


class StopError(Exception):
    """Stands for whatever can go wrong."""


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name == "icl-gap-background":
            thread.join(1)  # it may be on its last line
            assert not thread.is_alive()


def feed(submit: Callable[[int], None], items: Iterable[int], submitted: list[int]) -> None:
    for item in items:
        submit(item)
        submitted.append(item)


@given(items=st.lists(st.integers(), max_size=600))
def test_all_items_are_processed_in_order_by_the_end_of_the_block(items) -> None:
    found: list[int] = []
    with in_background(found.append) as submit:
        for item in items:
            submit(item)
    assert found == items


def test_the_feeding_work_goes_on_meanwhile() -> None:
    gate, found = threading.Event(), []

    def work(item: int) -> None:
        assert gate.wait(10)
        found.append((item, threading.current_thread() is threading.main_thread()))

    with in_background(work) as submit:
        submit(1)
        submit(2)
        assert found == []
        gate.set()
    assert found == [(1, False), (2, False)]


def test_a_feeder_that_is_far_ahead_waits() -> None:
    found: list[int] = []

    def work(item: int) -> None:
        time.sleep(0.0005)
        found.append(item)

    with in_background(work) as submit:
        for number in range(400):
            submit(number)
            assert number - len(found) <= 258  # those that wait, one in work, and this one


@given(bad=st.integers(0, 20), total=st.integers(1, 400))
def test_an_error_ends_the_work_and_reaches_the_feeder(bad, total) -> None:
    bad = min(bad, total - 1)
    found: list[int] = []

    def work(item: int) -> None:
        if item == bad:
            raise StopError(item)
        found.append(item)

    submitted: list[int] = []
    with pytest.raises(StopError), in_background(work) as submit:
        feed(submit, range(total), submitted)
    assert len(submitted) > bad
    assert found == list(range(bad))


def test_an_error_of_the_feeder_leaves_what_was_submitted_to_be_processed() -> None:
    found: list[int] = []

    def work(item: int) -> None:
        time.sleep(0.001)
        found.append(item)

    def items() -> Iterator[int]:
        yield from range(30)
        raise StopError

    with pytest.raises(StopError), in_background(work) as submit:
        feed(submit, items(), [])
    assert found == list(range(30))


def test_ctrl_c_while_the_rest_is_awaited_waits_for_it_too() -> None:
    found: list[int] = []

    def work(item: int) -> None:
        time.sleep(0.05)
        if item == 0:
            os.kill(os.getpid(), signal.SIGINT)
        found.append(item)

    with pytest.raises(KeyboardInterrupt), in_background(work) as submit:
        feed(submit, range(5), [])
    assert found == list(range(5))
