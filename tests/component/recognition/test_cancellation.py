"""A recognition without a waiting caller ends early, and leaves no state behind."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import ProviderFault, Stopped
from coldvoxd.core.features import log_mel
from coldvoxd.core.values import EndReason, Hypothesis, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from coldvoxd.recognition.worker import RecognizerWorker
from tests.support.eventually import eventually
from tests.support.models.tiny_graphs import write_tiny_parakeet
from tests.support.sound.speech import samples

BUSY_S = 0.05
"""CPU time in seconds that only a thread inside the endless encoder reaches."""
PATIENCE_S = 60


def noise(seconds: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 0.1, seconds * 16_000).astype(np.float32)


SHORT, ENDLESS = noise(1), noise(3)


@pytest.fixture
def recognizer(tmp_path: Path) -> ParakeetRecognizer:
    """A recognizer whose encoder runs indefinitely on ENDLESS."""
    return ParakeetRecognizer.open(
        find_model(str(write_tiny_parakeet(tmp_path / "endless", fault="endless")), Precision.FP32), threads=1
    )


class Working:
    """A recognition on a separate thread."""

    def __init__(self, recognizer: ParakeetRecognizer, stop: CancellationToken) -> None:
        self._outcome: Future[Hypothesis] = Future()

        def work() -> None:
            try:
                self._outcome.set_result(recognizer.recognize_samples(ENDLESS, stop=stop))
            except BaseException as error:  # noqa: BLE001 - the outcome carries it
                self._outcome.set_exception(error)

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def worked_s(self) -> float:
        assert self._thread.ident is not None
        return time.clock_gettime(time.pthread_getcpuclockid(self._thread.ident))

    def outcome(self) -> Hypothesis:
        return self._outcome.result(PATIENCE_S)


async def test_a_run_under_way_ends_when_it_is_asked_and_the_next_is_as_ever(recognizer: ParakeetRecognizer) -> None:
    expected = recognizer.recognize_samples(SHORT)
    stop = CancellationToken()
    working = Working(recognizer, stop)
    await eventually(lambda: working.worked_s() > BUSY_S)
    stop.ask()
    with pytest.raises(Stopped):
        working.outcome()
    again = recognizer.recognize_samples(SHORT, stop=CancellationToken())
    assert (again.text, again.tokens) == (expected.text, expected.tokens)


def test_a_run_that_is_asked_at_any_moment_ends(recognizer: ParakeetRecognizer) -> None:
    """Before, at and after the start of the native run: a run that missed the request would never end."""
    for _ in range(200):
        stop = CancellationToken()
        working = Working(recognizer, stop)
        stop.ask()
        with pytest.raises(Stopped):
            working.outcome()


def test_a_run_that_was_asked_beforehand_does_not_begin(recognizer: ParakeetRecognizer) -> None:
    stop = CancellationToken()
    stop.ask()
    with pytest.raises(Stopped):
        recognizer.recognize_samples(ENDLESS, stop=stop)


def test_the_decoder_ends_between_two_steps() -> None:
    mini = ParakeetRecognizer.open(find_model("mini", Precision.FP32), threads=1)
    encoded = mini.encode(log_mel(SHORT, 128))
    stop = CancellationToken()
    stop.ask()
    with pytest.raises(Stopped):
        mini.decode(encoded, stop)


def test_a_fault_is_a_fault_although_somebody_asked(tmp_path: Path) -> None:
    """A broken device must be taken out of service even if its fault is reported while no caller waits."""
    broken = ParakeetRecognizer.open(
        find_model(str(write_tiny_parakeet(tmp_path / "broken", fault="raise")), Precision.FP32), threads=1
    )

    class AskedAtTheEnd(CancellationToken):
        """A token that is asked to stop at the end of the first native run, regardless of its outcome."""

        @contextlib.contextmanager
        def heard_by(self, listener: Callable[[], None]) -> Iterator[None]:  # noqa: ARG002 - deliberately ignored
            try:
                yield
            finally:
                self.ask()

    with pytest.raises(ProviderFault, match="Gather"):
        broken.recognize_samples(SHORT, stop=AskedAtTheEnd())


async def test_a_stopped_run_frees_its_lane_for_the_next() -> None:
    worker = RecognizerWorker("cpu", lambda: ParakeetRecognizer.open(find_model("mini", Precision.FP32)))
    await worker.open()
    clip = samples()[0]
    utterance = Utterance(1, 1, 0, clip.wave(), EndReason.ENDPOINT)
    dropped, wanted = worker.start(utterance), worker.start(utterance)
    dropped.stop.ask()
    with pytest.raises(Stopped):
        await dropped.answer
    assert (await wanted.answer).text == clip.heard["fp32"]
    assert dropped.took_s is None, "a stopped run says nothing about run times"
    worker.close()


def test_whoever_listens_hears_of_what_was_asked_before_and_after() -> None:
    stop, heard = CancellationToken(), list[str]()
    with stop.heard_by(lambda: heard.append("first")):
        assert not stop.asked
        stop.ask()
    with stop.heard_by(lambda: heard.append("second")):
        pass
    stop.ask()
    assert heard == ["first", "second"]
