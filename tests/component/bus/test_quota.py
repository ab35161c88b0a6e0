"""Quotas of senders, and the order in which waiting calls are served."""

import itertools
import math
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldvoxd.bus.header import Fields, Lengths
from coldvoxd.bus.quota import (
    ALL_WAITING,
    ALL_WAITING_BYTES,
    ALL_WAITING_DESCRIPTORS,
    BURST,
    BYTES_A_CALL,
    CALLS_A_SECOND,
    SENDERS_KEPT,
    WAITING,
    WAITING_BYTES,
    WAITING_DESCRIPTORS,
    Call,
    CallQueue,
)
from coldvoxd.bus.reader import Frame
from tests.support.bus.wire import EXACT


def call(sender: str, number: int = 0, *, size: int = 100, descriptors: int = 0, now_s: float = 0.0) -> Call:
    """Return a call whose descriptor numbers are not open in any process: the queue only counts them."""
    lengths = Lengths(little_endian=True, type=1, flags=0, serial=number, header_bytes=16, body_bytes=size - 16)
    fields = Fields(sender=sender, descriptors=descriptors)
    return Call(Frame(lengths, fields, bytes(size), tuple(range(1000, 1000 + descriptors))), now_s)


def offer(queue: CallQueue, sender: str, number: int = 0, **properties: float) -> bool:
    """Add a call if it is admitted; return whether it was."""
    made = call(sender, number, **properties)  # type: ignore[arg-type]
    admitted = queue.admits(sender, len(made.frame.data), len(made.frame.descriptors))
    if admitted:
        queue.add(sender, made)
    return admitted


def served(queue: CallQueue, now_s: float) -> list[tuple[str, int]]:
    """Return the sender and number of each call that may be served at that time."""
    found = []
    while one := queue.next(now_s):
        found.append((str(one.frame.fields.sender), one.frame.lengths.serial))
    return found


def test_a_burst_is_served_at_once_and_the_rest_at_the_rate() -> None:
    queue = CallQueue()
    for number in range(BURST):
        assert offer(queue, ":1.1", number)
    assert [number for _, number in served(queue, 0.0)] == list(range(BURST))
    assert queue.seconds_to_wait(0.0) is None
    for number in range(100):
        assert offer(queue, ":1.1", number)
    assert served(queue, 0.0) == []
    wait_s = queue.seconds_to_wait(0.0)
    assert wait_s == pytest.approx(1 / CALLS_A_SECOND)
    assert [number for _, number in served(queue, 0.25)] == list(range(50))
    assert len(served(queue, 10.0)) == 50
    assert len(queue) == 0


def test_senders_take_turns() -> None:
    queue = CallQueue()
    for sender, count in ((":1.1", 200), (":1.2", 3), (":1.3", 1)):
        for number in range(count):
            offer(queue, sender, number)
    order = served(queue, 0.0)
    assert order[:7] == [(":1.1", 0), (":1.2", 0), (":1.3", 0), (":1.1", 1), (":1.2", 1), (":1.1", 2), (":1.2", 2)]


def test_a_sender_without_tokens_keeps_nobody_waiting() -> None:
    queue = CallQueue()
    for _ in range(2):
        for number in range(WAITING):
            offer(queue, ":1.1", number)
        served(queue, 0.0)
    offer(queue, ":1.2", 7)
    assert served(queue, 0.0) == [(":1.2", 7)]


@pytest.mark.parametrize(
    ("size", "descriptors", "most"),
    [
        (100, 0, WAITING),
        (256 * 1024, 0, WAITING_BYTES // (256 * 1024)),
        (100, 8, WAITING_DESCRIPTORS // 8),
        (100, 1, WAITING_DESCRIPTORS),
    ],
)
def test_what_waits_of_one_sender_is_limited(size: int, descriptors: int, most: int) -> None:
    queue = CallQueue()
    admitted = sum(offer(queue, ":1.1", size=size, descriptors=descriptors) for _ in range(2 * most))
    assert admitted == most
    assert queue.is_full(":1.1") == (most == WAITING)
    assert not queue.is_full(":1.2")
    assert offer(queue, ":1.2", size=size, descriptors=descriptors)


@pytest.mark.parametrize(
    ("size", "descriptors", "most"),
    [
        (100, 0, ALL_WAITING),
        (128 * 1024, 0, ALL_WAITING_BYTES // (128 * 1024)),
        (100, 1, ALL_WAITING_DESCRIPTORS),
    ],
)
def test_what_waits_of_all_senders_is_limited(size: int, descriptors: int, most: int) -> None:
    queue = CallQueue()
    senders = itertools.cycle([f":1.{number}" for number in range(100)])
    assert sum(offer(queue, next(senders), size=size, descriptors=descriptors) for _ in range(2 * most)) == most
    assert queue.is_full(":1.999") == (most == ALL_WAITING)
    assert offer(queue, ":1.999") == (descriptors > 0)


def test_calls_with_files_that_are_refused_do_not_refuse_those_without() -> None:
    queue = CallQueue()
    while offer(queue, ":1.1", descriptors=WAITING_DESCRIPTORS):
        pass
    assert offer(queue, ":1.1")


def test_a_long_call_costs_as_many_as_it_is_long() -> None:
    queue = CallQueue()
    offer(queue, ":1.1", size=BURST * BYTES_A_CALL)
    offer(queue, ":1.1", 1)
    assert len(served(queue, 0.0)) == 1
    wait_s = queue.seconds_to_wait(0.0)
    assert wait_s is not None
    assert wait_s == pytest.approx(2 / CALLS_A_SECOND)
    assert served(queue, wait_s + 1e-6) == [(":1.1", 1)]


def test_drained_calls_are_all_that_waited_and_leave_nothing() -> None:
    queue = CallQueue()
    for number in range(10):
        offer(queue, f":1.{number % 3}", number)
    queue.next(0.0)
    assert len(list(queue.drain())) == 9
    assert len(queue) == 0
    assert queue.next(0.0) is None
    assert queue.seconds_to_wait(0.0) is None
    assert offer(queue, ":1.1", size=100)


@pytest.mark.parametrize("live_s", [0.01, 0.5])
def test_clients_that_come_and_go_leave_nothing(live_s: float) -> None:
    """Tests 10,000 clients, each with one call."""
    queue = CallQueue()
    largest = 0
    for number in range(10_000):
        now_s = number * live_s
        offer(queue, f":1.{number}", now_s=now_s)
        assert served(queue, now_s) == [(f":1.{number}", 0)]
        largest = max(largest, len(queue._senders))
    assert largest <= 2 * SENDERS_KEPT


def test_clients_that_all_come_at_once_are_forgotten_later() -> None:
    queue = CallQueue()
    for number in range(10_000):
        offer(queue, f":1.{number}")
        served(queue, 0.0)
    for number in range(10_000, 30_000):
        now_s = number / 100
        offer(queue, f":1.{number}", now_s=now_s)
        served(queue, now_s)
    assert len(queue._senders) <= 2 * SENDERS_KEPT


Step = tuple[str, int, int, float]
STEPS = st.lists(
    st.tuples(
        st.sampled_from([":1.1", ":1.2", ":1.3"]),
        st.integers(1, 300),
        st.sampled_from([16, 100, 2000, 200_000]),
        st.floats(0.0, 2.0),
    ),
    max_size=12,
)
"""Sender, number of calls, size of each, seconds until the next step."""


@EXACT
@given(STEPS)
def test_whatever_comes_each_sender_keeps_its_order_its_limit_and_its_rate(steps: list[Step]) -> None:
    queue = CallQueue()
    now_s = 0.0
    offered: dict[str, list[int]] = defaultdict(list)
    got: dict[str, list[int]] = defaultdict(list)
    cost: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    numbers = itertools.count()
    for sender, count, size, pause_s in steps:
        for number in itertools.islice(numbers, count):
            if offer(queue, sender, number, size=size, now_s=now_s):
                offered[sender].append(number)
                waiting[sender] += 1
        assert waiting[sender] <= WAITING
        while one := queue.next(now_s):
            name = str(one.frame.fields.sender)
            got[name].append(one.frame.lengths.serial)
            cost[name] += 1 + len(one.frame.data) // BYTES_A_CALL
            waiting[name] -= 1
        for spent in cost.values():
            assert spent <= BURST + now_s * CALLS_A_SECOND + WAITING_BYTES / BYTES_A_CALL + 1
        assert len(queue) == sum(waiting.values())
        wait_s = queue.seconds_to_wait(now_s)
        assert (wait_s is None) == (len(queue) == 0)
        assert wait_s is None or wait_s > 0
        now_s += pause_s
    while (wait_s := queue.seconds_to_wait(now_s)) is not None:
        assert wait_s == 0 or queue.next(now_s + 0.9 * wait_s) is None
        now_s = math.nextafter(now_s + wait_s, math.inf) + 1e-6
        one = queue.next(now_s)
        assert one is not None
        got[str(one.frame.fields.sender)].append(one.frame.lengths.serial)
    assert got == offered
