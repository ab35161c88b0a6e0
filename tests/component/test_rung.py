"""One recognizer on one lane: used no more at once, let go of when there is time."""

import math
from pathlib import Path

import numpy as np
import pytest

from coldvoxd.asr.parakeet import ParakeetRecognizer
from coldvoxd.core.errors import ProviderFault
from coldvoxd.core.values import EndReason, Precision, Utterance
from coldvoxd.models import find_model
from coldvoxd.ort import return_memory
from coldvoxd.rung import LENGTH_FLOOR_S, Rung
from tests.support.eventually import eventually
from tests.support.speech import samples


def hello() -> Utterance:
    return Utterance(1, 1, 0, samples()[0].wave(), EndReason.ENDPOINT)


async def test_a_dropped_model_is_used_no_more_at_once_and_closed_later() -> None:
    opened: list[ParakeetRecognizer] = []

    def open_mini() -> ParakeetRecognizer:
        opened.append(ParakeetRecognizer.open(find_model("mini", Precision.FP32)))
        return opened[-1]

    rung = Rung("cpu", open_mini)
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
    rung = Rung("cpu", lambda: ParakeetRecognizer.open(find_model("mini", Precision.FP32)))
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


async def test_the_memory_of_long_audio_is_given_back_after_the_answer() -> None:
    """So next to nothing is left that could be given back: a hundred megabytes would be."""
    rung = Rung("cpu", lambda: ParakeetRecognizer.open(find_model("mini", Precision.FP32)))
    await rung.open()
    noise = np.random.default_rng(0).normal(0, 0.05, 60 * 16_000).astype(np.float32)
    await rung.start(Utterance(1, 1, 0, noise, EndReason.LENGTH)).answer
    await rung._lane.submit(lambda: None)
    kept = anonymous_bytes()
    return_memory()
    assert kept - anonymous_bytes() < 10_000_000
    rung.close()


def anonymous_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
