"""Speech without recognized words is reported by sessions of the pipeline, and by the daemon to the desktop and bus."""

import asyncio
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.core.errors import RecognitionFailed
from coldvoxd.core.failover_notice import Notice
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.problems import Problem
from coldvoxd.dictation.no_words_notice import NOTHING_HEARD, NOTHING_RECOGNIZED, NOTHING_WORKED
from coldvoxd.dictation.outcomes import Outcomes
from coldvoxd.virtual.client import command
from tests.support.bus.notifications import NotificationService
from tests.support.bus.private_bus import BusClient, PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon
from tests.support.dictation_scene import Scene, playing
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

SETTINGS = """
[microphone]
device = "virtual:{directory}/mic"
[model]
name = "mini"
provider = "virtual:{directory}/gpu"
[notifications]
no_words = {wanted}
"""


class Told:
    """A scene whose outcomes are recorded as in the daemon."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.notices: list[Notice] = []
        self.metrics = Metrics()
        self.muted = False
        self.outcomes = Outcomes(self.metrics, self.notices.append, is_muted=lambda: self.muted)
        self.scene.sinks.on_outcome = self.outcomes.note
        self.scene.engine.wordless = {"2000"}

    def codes(self) -> tuple[Problem, ...]:
        return self.outcomes.problems

    @property
    def counted(self) -> int:
        return self.metrics.figures().counts[Count.SESSIONS_WITHOUT_WORDS]


async def test_a_session_whose_speech_gave_no_words_is_reported_until_one_gives_some() -> None:
    told = Told()
    async with playing(told.scene) as scene:
        scene.start(private=True)
        scene.hear(2000, 10)
        assert await scene.stop() == ""
        assert (told.codes(), told.notices, told.counted) == ((Problem.NO_WORDS,), [NOTHING_RECOGNIZED], 1)
        scene.start()
        scene.hush(40)
        assert await scene.stop() == ""
        assert told.codes() == (Problem.NO_WORDS,), "there was no speech"
        scene.start()
        scene.hear(2000, 10)
        scene.hush()
        scene.hear(3000, 10)
        assert await scene.stop() == "3000"
        assert (told.codes(), told.counted) == ((), 1)


async def test_a_session_without_speech_or_that_was_thrown_away_reports_nothing() -> None:
    told = Told()
    async with playing(told.scene) as scene:
        scene.start()
        scene.hush(40)
        await scene.stop()
        scene.start()
        scene.hear(2000, 10)
        scene.hush()
        await eventually(lambda: scene.engine.heard)
        await scene.pipeline.cancel(":1.1")
        scene.start(bind_to_caller=True)
        scene.hear(2000, 10)
        scene.hush()
        await eventually(lambda: len(scene.engine.heard) > 1)
        scene.pipeline.caller_left(":1.1")
        assert (told.codes(), told.notices, told.counted) == ((), [], 0)


async def test_noise_too_short_for_an_utterance_is_counted_and_speech_in_such_pieces_is_reported() -> None:
    told = Told()
    async with playing(told.scene) as scene:
        scene.start()
        scene.hear(3000, 2)
        scene.hush()
        assert await scene.stop() == ""
        assert scene.metrics.figures().counts[Count.SHORT_SPEECH] == 1
        assert told.notices == []
        scene.start()
        for _ in range(2):
            scene.hear(3000, 2)
            scene.hush()
        assert await scene.stop() == ""
        assert told.notices == [NOTHING_RECOGNIZED]


async def test_a_session_in_which_recognition_failed_is_reported_as_that() -> None:
    told = Told()
    async with playing(told.scene) as scene:
        scene.engine.failing = {"3000"}
        scene.start()
        scene.hear(3000, 10)
        with pytest.raises(RecognitionFailed):
            await scene.stop()
        assert (told.codes(), told.notices) == ((Problem.NO_WORDS,), [NOTHING_WORKED])


async def test_a_retry_that_finds_words_ends_the_problem() -> None:
    told = Told()
    async with playing(told.scene) as scene:
        scene.start()
        scene.hear(2000, 10)
        await scene.stop()
        assert await scene.last.retry_last(":1.1") == ""
        assert told.codes() == (Problem.NO_WORDS,)
        scene.engine.wordless = set()
        assert await scene.last.retry_last(":1.1") == "2000"
        assert told.codes() == ()


async def test_a_shutdown_that_does_not_wait_for_the_text_reports_nothing() -> None:
    told = Told()
    async with playing(told.scene) as scene:
        scene.engine.gate.clear()
        scene.start()
        scene.hear(3000, 10)
        await scene.pipeline.shutdown(0.01)
        assert (told.codes(), told.notices) == ((), [])


async def test_a_session_in_a_muted_microphone_is_reported_and_one_with_speech_is_what_it_was() -> None:
    told = Told()
    told.muted = True
    async with playing(told.scene) as scene:
        scene.start()
        scene.hush(40)
        await scene.stop()
        assert (told.codes(), told.notices, told.counted) == ((), [NOTHING_HEARD], 0)
        told.muted = False
        scene.start()
        scene.hush(40)
        await scene.stop()
        assert told.notices == [NOTHING_HEARD], "it was not muted, and there was no speech"


async def dictate(running: RunningDaemon, client: BusClient) -> str:
    await client.call("StartDictation")
    await running.speak(samples()[0])
    return str(await client.call("StopDictation"))


@pytest.mark.parametrize("wanted", ["true", "false"])
async def test_the_daemon_notifies_the_desktop_and_publishes_the_problem(tmp_path: Path, wanted: str) -> None:
    with PrivateBus() as bus:
        (bus.directory / "gpu.script").write_text("REFUSE absent 9\n")
        settings = SETTINGS.format(directory=bus.directory, wanted=wanted)
        async with (
            NotificationService(bus.address) as desktop,
            daemon(bus, tmp_path, settings) as running,
            running.client() as client,
        ):
            await client.subscribe()
            await asyncio.to_thread(command, bus.directory / "gpu", "CPU FAULT empty 50")
            assert await dictate(running, client) == ""
            assert "no-words" in await client.get(ENGINE, "Problems")
            metrics = await client.call("GetMetrics", interface=ENGINE)
            assert metrics["sessions-without-words"].value == 1
            await client.settle()
            assert [(body[0], body[3]) for body in desktop.shown] == [("coldvoxd", NOTHING_RECOGNIZED.title)] * (
                wanted == "true"
            )
            await asyncio.to_thread(command, bus.directory / "gpu", "WELL")
            async with client.expect_signal(
                "PropertiesChanged",
                lambda body: "Problems" in body[1] and "no-words" not in body[1]["Problems"].value,
            ):
                assert await dictate(running, client)
