"""One recognizer on one lane: used no more at once, let go of when there is time."""

import asyncio
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from coldvoxd.core.errors import ProviderFault
from coldvoxd.core.values import EndReason, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from coldvoxd.native.malloc import give_back
from coldvoxd.recognition.worker import LENGTH_FLOOR_S, RecognizerWorker
from tests.support.eventually import eventually
from tests.support.sound.speech import samples


def hello() -> Utterance:
    return Utterance(1, 1, 0, samples()[0].wave(), EndReason.ENDPOINT)


async def test_a_dropped_model_is_used_no_more_at_once_and_closed_later() -> None:
    opened: list[ParakeetRecognizer] = []

    def open_mini() -> ParakeetRecognizer:
        opened.append(ParakeetRecognizer.open(find_model("mini", Precision.FP32)))
        return opened[-1]

    rung = RecognizerWorker("cpu", open_mini)
    await rung.open()
    generation = rung.generation
    rung.drop(0.3)
    assert not rung.is_open
    assert rung.generation != generation
    with pytest.raises(ProviderFault, match="no model loaded"):
        rung.start(hello())
    assert opened[0].recognize(hello()).text, "it is freed once the CPU had time to answer"

    def is_closed() -> bool:
        try:
            opened[0].recognize(hello())
        except ProviderFault:
            return True
        return False

    await eventually(is_closed)
    await rung.open()
    run = rung.start(hello())
    assert (await run.answer).text == samples()[0].heard["fp32"]
    rung.close()


async def test_what_runs_take_bounds_the_length_of_utterances() -> None:
    """By the median, so that a run which was disturbed changes nothing; and never to less than makes sense."""
    rung = RecognizerWorker("cpu", lambda: ParakeetRecognizer.open(find_model("mini", Precision.FP32)))
    await rung.open()
    assert rung.longest_s == math.inf
    for seconds_a_second, longest_s in ((0.125, 20.0), (0.125, 20.0), (9.0, 20.0), (9.0, LENGTH_FLOOR_S)):
        run = rung.start(hello())
        await run.answer
        run.took_s = seconds_a_second * hello().duration_s
        rung.learn(run)
        if longest_s != LENGTH_FLOOR_S:
            assert rung.longest_s == pytest.approx(longest_s)
    rung.learn(run)
    assert rung.longest_s == LENGTH_FLOOR_S
    rung.close()


async def test_the_memory_of_runs_is_given_back_once_it_is_quiet() -> None:
    """So next to nothing is left that could be given back: a hundred megabytes would be."""
    rung = RecognizerWorker("cpu", lambda: ParakeetRecognizer.open(find_model("mini", Precision.FP32)), quiet_s=0.1)
    await rung.open()
    noise = np.random.default_rng(0).normal(0, 0.05, 60 * 16_000).astype(np.float32)
    await rung.start(Utterance(1, 1, 0, noise, EndReason.LENGTH)).answer
    await asyncio.sleep(0.2)
    await rung.let_go()
    kept = anonymous_bytes()
    give_back()
    assert kept - anonymous_bytes() < 10_000_000
    rung.close()


def test_freed_memory_is_kept_for_the_next_run_with_no_page_cleared_anew() -> None:
    """In a process of its own: how the C library keeps memory is the process's."""
    program = """
import resource
from coldvoxd.native.malloc import give_back, keep_freed, share_one_heap
share_one_heap()
keep_freed()
def faults(count, size):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        b"x" * size
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
first, others = faults(1, 30_000_000), faults(10, 30_000_000)
give_back()
print(first, others, faults(1, 30_000_000), faults(5, 100_000_000))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    first, others, after, very_large = map(int, ran.stdout.split())
    # 7,324 pages of 4 KB, or 14 of 2 MB where the system gives such by itself.
    assert first >= 14
    assert others < first / 2
    assert after >= first / 2
    assert very_large >= 5 * 3 * first / 2, "these go back at once"


def anonymous_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
