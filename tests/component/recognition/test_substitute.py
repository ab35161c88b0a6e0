"""The fallback engine behind the supervisor. The bundled model plays the engine, because its texts are known."""

import asyncio
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.capabilities import capabilities_of
from coldvoxd.core.errors import LibraryUnusable, ModelMissing, ResourcesExhausted
from coldvoxd.core.fallback import FallbackEngine
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.problems import Problem, by_severity
from coldvoxd.core.recognition_state import ModelNeeded, ModelUnneeded, SystemResumed, SystemSuspending
from coldvoxd.core.seams import SeamMethod
from coldvoxd.core.values import EndReason, EngineStatus, Hypothesis, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from coldvoxd.recognition.backends import Backends, FallbackBackend
from coldvoxd.recognition.supervisor import Supervisor
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

SAMPLE = samples()[0]
TEXT = SAMPLE.heard["fp32"]


class Held:
    """A recognizer whose runs of utterances wait until they are released, and that records its closing."""

    def __init__(self) -> None:
        self._real = open_mini()
        self.may_run = threading.Event()
        self.runs = threading.Event()
        self.is_closed = threading.Event()
        self.may_run.set()

    @property
    def provider(self) -> str:
        return self._real.provider

    @property
    def precision(self) -> Precision:
        return self._real.precision

    @property
    def features_size(self) -> int:
        return 0

    @property
    def languages(self) -> tuple[str, ...]:
        return ("en",)

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        if utterance.id:  # the warm-up has no number
            self.runs.set()
            self.may_run.wait()
        return self._real.recognize(utterance, stop)

    def close(self) -> None:
        self._real.close()
        self.is_closed.set()


def open_mini(name: str = "mini") -> ParakeetRecognizer:
    return ParakeetRecognizer.open(find_model(name, Precision.FP32))


def utterance(number: int = 1) -> Utterance:
    return Utterance(number, 1, 0, SAMPLE.wave(), EndReason.ENDPOINT)


def engine(recognizer: Recognizer | None = None, *, stops_quickly: bool = False) -> FallbackEngine:
    return FallbackEngine(
        lambda _path, _threads: recognizer or open_mini(),
        lambda _path: None,
        longest_s=30.0,
        run_s=60.0,
        stops_quickly=stops_quickly,
    )


def fallback(found: FallbackEngine) -> FallbackBackend:
    return FallbackBackend("whisper", "ggml-base.bin", lambda: found, lambda engine: engine.open(Path("model"), 1))


def supervised(place: Path, found: FallbackEngine) -> Supervisor:
    backends = Backends(lambda: open_mini(str(place)), model="own", fallback=fallback(found))
    return Supervisor(backends, EngineStatus(), lambda: None)


async def test_it_recognizes_while_the_model_is_missing_and_ends_when_it_is_there(tmp_path: Path) -> None:
    place = tmp_path / "model"
    held = Held()
    supervisor = supervised(place, engine(held))
    waiting = asyncio.create_task(supervisor.recognize(utterance()))
    loading = asyncio.create_task(supervisor.load())
    assert (await waiting).text == TEXT
    supervisor.check_ready()
    status = supervisor.state.engine
    assert (status.running.name, status.model, status.ready, status.loading) == (
        "whisper",
        "ggml-base.bin",
        True,
        False,
    )
    assert by_severity(status.problems) == (Problem.FALLBACK_ENGINE, Problem.MODEL_MISSING)
    assert "no model directory" in status.last_error
    assert status.last_error.endswith("The fallback engine whisper recognizes instead.")
    assert {"seams", "partials"}.isdisjoint(capabilities_of(status))
    assert "words" in capabilities_of(status)
    assert (supervisor.seam_method, supervisor.longest_s, supervisor.model_longest_s) == (SeamMethod.OFF, 30.0, 30.0)
    assert await supervisor.recognize_partial(utterance()) is None

    held.may_run.clear()
    held.runs.clear()
    last = asyncio.create_task(supervisor.recognize(utterance(2)))
    await asyncio.to_thread(held.runs.wait)
    shutil.copytree(find_model("mini", Precision.FP32).directory, place)
    await loading
    status = supervisor.state.engine
    assert (status.running.name, status.model, status.problems, status.last_error) == ("parakeet", "own", (), "")
    assert {"seams", "partials"} <= set(capabilities_of(status))
    assert (await supervisor.recognize(utterance(3))).text == TEXT
    assert not held.is_closed.is_set(), "an utterance is still in hand"
    held.may_run.set()
    assert (await last).text == TEXT
    await asyncio.to_thread(held.is_closed.wait)
    supervisor.close()


async def test_words_during_speech_come_from_an_engine_that_stops_quickly(tmp_path: Path) -> None:
    supervisor = supervised(tmp_path / "model", engine(stops_quickly=True))
    loading = asyncio.create_task(supervisor.load())
    await supervisor.wait_loaded()
    partial = await supervisor.recognize_partial(utterance())
    assert partial is not None
    assert partial.text == TEXT
    assert "partials" in capabilities_of(supervisor.state.engine)
    loading.cancel()
    supervisor.close()


async def test_a_model_that_is_invalid_or_too_large_has_its_code_after_that_of_the_fallback(tmp_path: Path) -> None:
    place = tmp_path / "model"
    place.mkdir()
    supervisor = supervised(place, engine())
    loading = asyncio.create_task(supervisor.load())
    await supervisor.wait_loaded()
    assert by_severity(supervisor.state.engine.problems) == (Problem.FALLBACK_ENGINE, Problem.MODEL_INVALID)
    loading.cancel()
    supervisor.close()

    def too_large() -> Recognizer:
        raise ResourcesExhausted("The model needs 2.5 GB of memory.")

    supervisor = Supervisor(Backends(too_large, fallback=fallback(engine())), EngineStatus())
    loading = asyncio.create_task(supervisor.load())
    assert (await supervisor.recognize_on_cpu(utterance())).text == TEXT
    assert by_severity(supervisor.state.engine.problems) == (Problem.FALLBACK_ENGINE, Problem.RESOURCES_EXHAUSTED)
    loading.cancel()
    supervisor.close()


async def test_an_engine_that_cannot_be_used_is_reported_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coldvoxd.recognition.supervisor.RELOAD_PAUSE_S", 0.05)
    is_installed = False

    def find() -> FallbackEngine:
        if not is_installed:
            raise LibraryUnusable("The engine whisper needs the extra `whisper`.")
        return engine()

    backend = FallbackBackend("whisper", "ggml-base.bin", find, lambda engine: engine.open(Path("model"), 1))
    supervisor = Supervisor(
        Backends(lambda: open_mini(str(tmp_path / "model")), model="own", fallback=backend), EngineStatus()
    )
    loading = asyncio.create_task(supervisor.load())
    with pytest.raises(
        ModelMissing, match=r"no model directory .* The fallback engine whisper cannot be used: .*extra"
    ):
        await supervisor.recognize(utterance())
    status = supervisor.state.engine
    assert (status.running.name, status.ready, status.problems) == ("", False, (Problem.MODEL_MISSING,))
    assert "extra `whisper`" in status.last_error
    is_installed = True
    await eventually(lambda: supervisor.state.engine.running.name == "whisper")
    assert (await supervisor.recognize(utterance())).text == TEXT
    loading.cancel()
    supervisor.close()


async def test_a_suspend_leaves_the_codes_of_the_fallback(tmp_path: Path) -> None:
    supervisor = supervised(tmp_path / "model", engine())
    loading = asyncio.create_task(supervisor.load())
    await supervisor.wait_loaded()
    before = supervisor.state.engine
    supervisor.handle(SystemSuspending())
    supervisor.handle(SystemResumed())
    assert supervisor.state.engine == before
    loading.cancel()
    supervisor.close()


async def test_a_model_that_is_removed_while_it_is_released_is_replaced_until_it_is_back(tmp_path: Path) -> None:
    place = tmp_path / "model"
    shutil.copytree(find_model("mini", Precision.FP32).directory, place)
    supervisor = supervised(place, engine())
    await supervisor.load()
    assert (await supervisor.recognize(utterance())).text == TEXT
    supervisor._cpu.packed.drop()
    place.rename(tmp_path / "elsewhere")
    assert (await supervisor.recognize(utterance(2))).text == TEXT
    await eventually(lambda: supervisor.state.engine.running.name == "whisper")
    assert by_severity(supervisor.state.engine.problems) == (Problem.FALLBACK_ENGINE, Problem.MODEL_MISSING)
    assert (await supervisor.recognize(utterance(3))).text == TEXT
    (tmp_path / "elsewhere").rename(place)
    await eventually(lambda: supervisor.state.engine.running.name == "parakeet")
    assert (await supervisor.recognize(utterance(4))).text == TEXT
    assert supervisor.state.engine.problems == ()
    supervisor.close()


async def test_a_removed_model_is_replaced_while_the_user_speaks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not only once the utterance is there; and the engine is opened once, although both ask for it."""
    place = tmp_path / "model"
    shutil.copytree(find_model("mini", Precision.FP32).directory, place)
    opened: list[ParakeetRecognizer] = []

    def open_once() -> ParakeetRecognizer:
        opened.append(open_mini())
        return opened[-1]

    found = replace(engine(), open=lambda _path, _threads: open_once())
    supervisor = supervised(place, found)
    await supervisor.load()
    supervisor.handle(ModelUnneeded())
    await eventually(lambda: not supervisor._cpu.packed.is_open)
    place.rename(tmp_path / "elsewhere")
    supervisor.handle(ModelNeeded())
    await eventually(lambda: supervisor.state.engine.running.name == "whisper")
    assert (await supervisor.recognize(utterance())).text == TEXT
    assert len(opened) == 1
    supervisor.handle(ModelUnneeded())
    (tmp_path / "elsewhere").rename(place)
    await eventually(lambda: supervisor.state.engine.running.name == "parakeet")
    assert "abandoned" not in caplog.text
    supervisor.handle(ModelUnneeded())
    await eventually(lambda: not supervisor._cpu.packed.is_open)
    place.rename(tmp_path / "elsewhere")
    supervisor.handle(ModelNeeded())
    both = await asyncio.gather(*(supervisor.recognize(utterance(number)) for number in (2, 3)))
    assert [one.text for one in both] == [TEXT, TEXT]
    assert len(opened) == 2
    supervisor.close()


async def test_without_a_fallback_a_model_that_is_gone_is_an_error(tmp_path: Path) -> None:
    place = tmp_path / "model"
    shutil.copytree(find_model("mini", Precision.FP32).directory, place)
    supervisor = Supervisor(Backends(lambda: open_mini(str(place))), EngineStatus())
    await supervisor.load()
    supervisor._cpu.packed.drop()
    shutil.rmtree(place)
    with pytest.raises(ModelMissing):
        await supervisor.recognize(utterance())
    supervisor.close()
