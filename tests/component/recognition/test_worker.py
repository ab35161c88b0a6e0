"""One recognizer on one call thread: out of use immediately, closed when there is time."""

import asyncio
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
from coldvoxd.recognition.worker import RecognizerWorker
from tests.support.eventually import eventually
from tests.support.sound.speech import samples


def hello() -> Utterance:
    return Utterance(1, 1, 0, samples()[0].wave(), EndReason.ENDPOINT)


async def test_a_dropped_model_is_used_no_more_at_once_and_closed_later() -> None:
    opened: list[ParakeetRecognizer] = []

    def open_mini() -> ParakeetRecognizer:
        opened.append(ParakeetRecognizer.open(find_model("mini", Precision.FP32)))
        return opened[-1]

    worker = RecognizerWorker("cpu", open_mini)
    await worker.open()
    generation = worker.generation
    worker.drop(0.3)
    assert not worker.is_open
    assert worker.generation != generation
    with pytest.raises(ProviderFault, match="no model loaded"):
        worker.start(hello())
    assert opened[0].recognize(hello()).text, "it is freed after the CPU had time to answer"

    def is_closed() -> bool:
        try:
            opened[0].recognize(hello())
        except ProviderFault:
            return True
        return False

    await eventually(is_closed)
    await worker.open()
    run = worker.start(hello())
    assert (await run.answer).text == samples()[0].heard["fp32"]
    worker.close()


async def test_only_runs_whose_answer_was_used_count() -> None:
    worker = RecognizerWorker("cpu", lambda: ParakeetRecognizer.open(find_model("mini", Precision.FP32)))
    await worker.open()
    run = worker.start(hello())
    await run.answer
    assert not worker.times.durations_s
    worker.learn(run)
    assert run.took_s is not None
    assert worker.times.durations_s == (run.took_s,)
    assert worker.times.time_factors == (run.took_s / hello().duration_s,)
    worker.close()


async def test_the_memory_of_runs_is_given_back_once_it_is_quiet() -> None:
    """At most 10 MB can then still be released; a hundred megabytes would be typical otherwise."""
    worker = RecognizerWorker("cpu", lambda: ParakeetRecognizer.open(find_model("mini", Precision.FP32)), idle_s=0.1)
    await worker.open()
    noise = np.random.default_rng(0).normal(0, 0.05, 60 * 16_000).astype(np.float32)
    await worker.start(Utterance(1, 1, 0, noise, EndReason.LENGTH)).answer
    await asyncio.sleep(0.2)
    await worker.drained()
    kept = anonymous_bytes()
    give_back()
    assert kept - anonymous_bytes() < 10_000_000
    worker.close()


def test_freed_memory_is_kept_for_the_next_run_with_no_page_cleared_anew() -> None:
    """Runs in a separate process, because the C library's memory settings are per process."""
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
    # 7,324 pages of 4 KB, or 14 of 2 MB if the system uses huge pages automatically.
    assert first >= 14
    assert others < first / 2
    assert after >= first / 2
    assert very_large >= 5 * 3 * first / 2, "these are released immediately"


def anonymous_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
