"""A descriptor that is closed in time by a thread of the C library, even while Python is blocked."""

import ctypes
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from coldvoxd.host.sleep_inhibitor import SleepInhibitor


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """The reading and the writing end of a pipe; the inhibitor owns the writing end."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    yield reading, writing
    os.close(reading)


def closed(reading: int, patience_s: float) -> bool:
    """Return whether the writing end is closed within `patience_s` seconds."""
    return bool(select.select([reading], [], [], patience_s)[0])


def test_it_burns_down_by_itself(ends: tuple[int, int]) -> None:
    fuse = SleepInhibitor(ends[1])
    assert not closed(ends[0], 0)
    fuse.close_after(0.2)
    assert not closed(ends[0], 0)
    assert closed(ends[0], 30)
    fuse.forget()


def test_it_can_be_closed_before_its_time(ends: tuple[int, int]) -> None:
    fuse = SleepInhibitor(ends[1])
    fuse.close_after(3600)
    fuse.close()
    assert closed(ends[0], 0)
    fuse.forget()
    fuse.forget()


def test_one_that_was_never_lit_is_closed_with_its_end(ends: tuple[int, int]) -> None:
    SleepInhibitor(ends[1]).forget()
    assert closed(ends[0], 0)


def test_it_burns_while_native_code_holds_the_interpreter(ends: tuple[int, int]) -> None:
    """A driver that hangs while a session is freed blocks every Python thread in the same way."""
    reading, writing = ends
    watch = f"import select, time; print('watching', flush=True); select.select([{reading}], [], []); print(time.monotonic())"
    with subprocess.Popen(
        [sys.executable, "-c", watch], pass_fds=[reading], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "watching\n"
        fuse = SleepInhibitor(writing)
        fuse.close_after(0.2)
        ctypes.PyDLL(None).usleep(999_999)  # PyDLL does not release the interpreter lock
        free_s = time.monotonic()
        assert float(other.stdout.readline()) < free_s
    fuse.forget()


@pytest.mark.parametrize("burns", [False, True])
def test_the_descriptor_is_closed_exactly_once(ends: tuple[int, int], burns: bool) -> None:
    fuse = SleepInhibitor(ends[1])
    if burns:
        fuse.close_after(0.01)
    else:
        fuse.close()
    assert closed(ends[0], 30)
    again = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    assert again == ends[1], "the lowest free number"
    fuse.close()
    fuse.close_after(0.001)
    fuse.forget()
    time.sleep(0.05)  # a second close would happen in this time
    assert os.fstat(again)
    os.close(again)
