"""The whole daemon as its clients see it: files during dictation, reloading, another provider, metrics."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.native.providers import available_providers
from coldvoxd.virtual.client import CommandRefused
from tests.support.bus.private_bus import BusClient, BusError, PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon, default_settings
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

CPU = "CPUExecutionProvider"


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


@pytest.fixture
async def running(bus: PrivateBus, tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with daemon(bus, tmp_path) as running:
        yield running


@pytest.fixture
async def client(running: RunningDaemon) -> AsyncIterator[BusClient]:
    async with running.client() as client:
        await client.subscribe()
        yield client


async def metrics(client: BusClient) -> dict[str, Any]:
    found = await client.call("GetMetrics", interface=ENGINE)
    return {key: value.value for key, value in found.items()}


async def dictate(running: RunningDaemon, client: BusClient, number: int) -> str:
    await client.call("StartDictation")
    await running.speak(samples()[number])
    return str(await client.call("StopDictation"))


def plain(text: str) -> list[str]:
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter == " ").split()


def assert_heard(text: str, number: int) -> None:
    assert plain(text) == plain(samples()[number].heard["fp32"])


@pytest.mark.heavy
async def test_dictation_during_a_long_file_and_the_figures_of_both(
    running: RunningDaemon, client: BusClient, tmp_path: Path
) -> None:
    room = np.random.default_rng(1).normal(0, 1e-3, 12_800).astype(np.float32)
    parts = [part for sample in samples() for part in (sample.wave(), room)]
    soundfile.write(tmp_path / "long.flac", np.concatenate(parts * 3), 16_000)
    before = await metrics(client)
    with (tmp_path / "long.flac").open("rb") as file:
        job = await client.call("TranscribeFile", "ha{sv}", 0, {}, descriptors=[file.fileno()])
    await eventually(lambda: client.bodies("FileProgress"), what="progress")
    assert_heard(await dictate(running, client, 2), 2)
    assert await client.call("RetryLast")
    [[done, text, _]] = await eventually(lambda: client.bodies("FileTranscribed"), what="the file's text")
    assert done == job
    words_said = sum(len(sample.heard["fp32"].split()) for sample in samples())
    assert len(text.split()) > 0.9 * 3 * words_said
    after = await metrics(client)
    assert (before["utterances"], before["file-segments"]) == (0, 0)
    assert (after["utterances"], after["files"], after["files-failed"]) == (1, 1, 0)
    assert after["file-segments"] >= 3 * 4
    assert after["retries-requested"] == 1
    assert after["sessions"]["stopped"] == 1
    assert after["uptime"] > before["uptime"]
    stages = {stage: figures[0] for stage, figures in after["stages"].items()}
    stages.pop("speculation-discarded", None)  # only if a pause in the sample was first taken for its end
    assert stages == {
        "key-to-first-sample": 1,
        "queue": 1,
        "features": 2,
        "encoder": 2,
        "decoder": 2,
        "endpoint-to-text": 1,
        "delivery": 1,
    }
    assert samples()[2].heard["fp32"] not in running.log


@pytest.mark.parametrize("number", [0, 5, 9])
async def test_a_text_that_was_begun_early_is_what_the_whole_utterance_gives(
    running: RunningDaemon, client: BusClient, number: int
) -> None:
    """Pins that speculation does not change the text: RetryLast recognizes the complete utterance."""
    session = await client.call("StartDictation")
    await running.speak(samples()[number])
    await eventually(lambda: client.bodies("Transcribed"), what="a text")
    await client.call("StopDictation")
    told = [text for number, _, text, _ in client.bodies("Transcribed") if number == session]
    assert told[-1] == await client.call("RetryLast")
    found = await metrics(client)
    assert found["speculative-recognitions"] >= found["speculative-recognitions-used"]


async def test_reload_amid_a_session_with_another_model_settings_and_microphone(
    running: RunningDaemon, client: BusClient
) -> None:
    session = await client.call("StartDictation")
    await running.speak(samples()[2])
    second = running.microphone.with_name("mic2")
    running.settings.write_text(
        f'[microphone]\ndevice = "virtual:{second}"\n[model]\nname = "mini"\nprecision = "int8"\nprovider = "cpu"\n'
    )
    await client.call("Reload", interface=ENGINE)
    assert await client.get(ENGINE, "Precision") == "int8"
    await eventually(second.exists, what="the other microphone")
    running.microphone = second
    await eventually(lambda: running.log.count("microphone open:") == 2, what="sound from it")
    await running.speak(samples()[4])
    text = plain(await client.call("StopDictation"))
    assert text == plain(f"{samples()[2].heard['fp32']} {samples()[4].heard['int8']}")
    assert client.bodies("DictationStopped")[0][:2] == [session, "stopped"]


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ('[model]\nname = "mini"\nprecison = "int8"\n', "InvalidOption", "line 3"),
        ("[model\n", "InvalidOption", "not TOML"),
        ("a = " + "[" * 20_000, "InvalidOption", "nested more than 32 levels deep"),
        ('[model]\nname = "no-such-model"\n', "NotReady", "no-such-model"),
    ],
)
async def test_a_reload_that_is_wrong_changes_nothing_by_call_and_by_signal(
    running: RunningDaemon, client: BusClient, settings: str, error: str, said: str
) -> None:
    running.settings.write_text(settings)
    with pytest.raises(BusError, match=said) as raised:
        await client.call("Reload", interface=ENGINE)
    assert raised.value.name == f"org.coldvox.Error.{error}"
    running.hang_up()
    await eventually(lambda: "not reloaded" in running.log, what="the signal's failure in the log")
    assert said in running.log
    assert await client.get(ENGINE, "Model") == "mini"
    assert_heard(await dictate(running, client, 2), 2)


async def test_the_signal_reloads(running: RunningDaemon, client: BusClient) -> None:
    running.settings.write_text(running.settings.read_text() + 'precision = "int8"\n')
    running.hang_up()
    async with client.expect_signal("PropertiesChanged", lambda body: "Precision" in body[1]) as changed:
        pass
    assert changed.body[1]["Precision"].value == "int8"


@pytest.mark.skipif(
    "cuda" not in available_providers(), reason="other hardware: ONNX Runtime knows CUDA on x86-64 alone"
)
async def test_a_provider_that_is_not_there_is_refused_and_dictation_goes_on(bus: PrivateBus, tmp_path: Path) -> None:
    bus.extra_environment["CUDA_VISIBLE_DEVICES"] = "-1"
    async with daemon(bus, tmp_path) as running, running.client() as client:
        await client.subscribe()
        with pytest.raises(BusError, match=r"Failed.*cuda"):
            await client.call("SetProvider", "s", "cuda", interface=ENGINE)
        with pytest.raises(BusError, match=r"InvalidOption.*frob"):
            await client.call("SetProvider", "s", "frob", interface=ENGINE)
        await client.call("SetProvider", "s", "cpu", interface=ENGINE)
        assert await client.get(ENGINE, "ExecutionProvider") == CPU
        assert client.bodies("ProviderChanged") == []
        assert_heard(await dictate(running, client, 2), 2)


@pytest.mark.heavy
async def test_words_of_a_daemon_that_was_killed_come_back_by_retry(bus: PrivateBus, tmp_path: Path) -> None:
    """A script that calls StartDictation and StopDictation hears no signals."""
    runtime = bus.directory / "login"
    runtime.mkdir(mode=0o700)
    bus.extra_environment["XDG_RUNTIME_DIR"] = str(runtime)
    async with daemon(bus, tmp_path) as first, first.client() as client:
        session = await client.call("StartDictation")
        await asyncio.to_thread(first.begin_to_speak, samples()[2])
        first.kill()
    async with daemon(bus, tmp_path) as second, second.client() as client:
        for method in ("StopDictation", "CancelDictation"):
            with pytest.raises(BusError, match=rf"Session {session} ended .* `coldvoxctl retry`"):
                await client.call(method)
        assert_heard(await client.call("RetryLast"), 2)
        await dictate(second, client, 3)
        with pytest.raises(BusError, match="No dictation session is active"):
            await client.call("StopDictation")


@pytest.mark.heavy
async def test_words_of_a_daemon_that_was_killed_after_a_stop_are_recovered(bus: PrivateBus, tmp_path: Path) -> None:
    """The daemon is killed while the session still listens to the word that was being spoken at the stop."""
    runtime = bus.directory / "login"
    runtime.mkdir(mode=0o700)
    bus.extra_environment["XDG_RUNTIME_DIR"] = str(runtime)
    settings = f"{default_settings(bus.directory / 'mic')}[dictation]\nstop_tail_ms = 2000\n"
    async with daemon(bus, tmp_path, settings) as first, first.client() as client:
        await client.subscribe()
        session = await client.call("StartDictation")
        speaking = asyncio.ensure_future(asyncio.to_thread(speak_until_killed, first, 9))
        await eventually(lambda: client.bodies("SpeechStarted"), what="speech")
        heard = len(client.bodies("Level"))
        await eventually(lambda: len(client.bodies("Level")) >= heard + 10, what="most of a second of speech")
        client.call_and_forget("StopDictation")
        await client.settle()  # the daemon has served the call
        first.kill()
        await speaking
        assert not client.bodies("DictationStopped")
    async with daemon(bus, tmp_path, settings) as second, second.client() as client:
        with pytest.raises(BusError, match=rf"Session {session} ended"):
            await client.call("StopDictation")
        assert await client.call("RetryLast"), "the words until then"


def speak_until_killed(running: RunningDaemon, number: int) -> None:
    with contextlib.suppress(CommandRefused, OSError):
        running.begin_to_speak(samples()[number])
