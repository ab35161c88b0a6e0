"""What a user sees of a fallback engine: the real daemon, OpenAI's tiny.en on whisper.cpp, and Vosk, on a private bus."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coldvoxd.bus.interface_xml import DICTATION, ENGINE
from tests.support.bus.private_bus import BusClient, BusError, PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon
from tests.support.eventually import eventually_answered
from tests.support.models.fallback import korean, tiny_en
from tests.support.sound.speech import mini, samples

SAMPLE = samples()[0]
FILES = ("encoder-model.onnx", "decoder_joint-model.onnx", "vocab.txt", "config.json")


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where Parakeet's model is put."""
    return tmp_path / "parakeet"


def settings(bus: PrivateBus, place: Path, engine: str = "whisper", model: Path | None = None) -> str:
    return (
        f'[microphone]\ndevice = "virtual:{bus.directory / "mic"}"\n'
        f'[model]\nname = "{place}"\nprovider = "cpu"\nthreads = 1\n'
        f'fallback = "{engine}"\nfallback_model = "{model or tiny_en()}"\n'
    )


def put(place: Path) -> None:
    """Put a model there, complete at once."""
    made = place.with_name("made")
    made.mkdir()
    for name in FILES:
        if (mini() / name).exists():
            shutil.copy(mini() / name, made)
    made.rename(place)


async def dictate(running: RunningDaemon, client: BusClient) -> str:
    await client.call("StartDictation")
    await running.speak(SAMPLE)
    return str(await client.call("StopDictation"))


async def engine_is(client: BusClient, wanted: str) -> None:
    async def is_wanted() -> bool:
        return bool(await client.get(ENGINE, "Engine") == wanted)

    await eventually_answered(is_wanted, what=f"the engine {wanted}")


async def seen(client: BusClient) -> dict[str, Any]:
    names = (
        "Engine",
        "Model",
        "Precision",
        "Provider",
        "Problems",
        "Degraded",
        "LastError",
        "Capabilities",
        "Languages",
    )
    return {name: await client.get(ENGINE, name) for name in names} | {"State": await client.get(DICTATION, "State")}


def plain(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


async def test_whisper_serves_while_the_model_is_missing_and_ends_when_it_is_there(
    bus: PrivateBus, tmp_path: Path, place: Path
) -> None:
    async with daemon(bus, tmp_path, settings(bus, place)) as running, running.client() as client:
        await client.subscribe()
        found = await seen(client)
        assert found == {
            "Engine": "whisper",
            "Model": "ggml-tiny.en.bin",
            "Precision": "fp16",
            "Provider": "cpu",
            "Problems": ["fallback-engine", "model-missing"],
            "Degraded": "fallback-engine",
            "LastError": found["LastError"],
            "Capabilities": [
                "bind-to-caller",
                "max-seconds",
                "private",
                "provider-devices",
                "single-utterance",
                "words",
            ],
            "Languages": ["en"],
            "State": "idle",
        }
        assert str(place) in found["LastError"]
        assert "fallback engine whisper" in found["LastError"]
        assert plain(await dictate(running, client)) == ["open", "the", "file"]
        transcribed = next(signal for signal in client.signals if signal.member == "Transcribed")
        assert plain(transcribed.body[2]) == ["open", "the", "file"]

        put(place)
        await engine_is(client, "parakeet")
        found = await seen(client)
        assert (found["Problems"], found["LastError"], found["Model"]) == ([], "", str(place))
        assert {"partials", "seams"} <= set(found["Capabilities"])
        assert plain(await dictate(running, client)) == plain(SAMPLE.heard["fp32"])
        assert not re.search("open the file", running.log, re.IGNORECASE)


@pytest.mark.heavy
async def test_a_model_that_is_removed_while_it_is_loaded_serves_until_a_restart(
    bus: PrivateBus, tmp_path: Path, place: Path
) -> None:
    put(place)
    async with daemon(bus, tmp_path, settings(bus, place)) as running, running.client() as client:
        shutil.rmtree(place)
        assert plain(await dictate(running, client)) == plain(SAMPLE.heard["fp32"])
        assert await client.get(ENGINE, "Engine") == "parakeet"
    async with daemon(bus, tmp_path, settings(bus, place)) as running, running.client() as client:
        assert await client.get(ENGINE, "Engine") == "whisper"
        assert plain(await dictate(running, client)) == ["open", "the", "file"]


@pytest.mark.heavy
async def test_vosk_serves_with_its_own_model(bus: PrivateBus, tmp_path: Path, place: Path) -> None:
    async with daemon(bus, tmp_path, settings(bus, place, "vosk", korean())) as running, running.client() as client:
        found = await seen(client)
        assert (found["Engine"], found["Model"], found["State"]) == ("vosk", "model", "idle")
        assert found["Problems"] == ["fallback-engine", "model-missing"]
        assert "partials" in found["Capabilities"]
        assert await dictate(running, client)  # Korean words
        put(place)
        await engine_is(client, "parakeet")
        assert plain(await dictate(running, client)) == plain(SAMPLE.heard["fp32"])


@pytest.mark.heavy
async def test_a_reload_selects_another_fallback_while_one_serves(bus: PrivateBus, tmp_path: Path, place: Path) -> None:
    missing = tmp_path / "nothing.bin"
    text = settings(bus, place, "whisper", missing)
    async with daemon(bus, tmp_path, text, until="unavailable") as running, running.client() as client:
        assert await client.get(ENGINE, "Problems") == ["model-missing"]
        assert f"There is no file {missing}" in await client.get(ENGINE, "LastError")
        running.settings.write_text(settings(bus, place))
        try:
            await client.call("Reload", interface=ENGINE)
        except BusError as error:  # on a machine so busy that the engine opens more slowly than callers wait
            if error.name != "org.coldvox.Error.Timeout":
                raise
        await engine_is(client, "whisper")
        running.settings.write_text(settings(bus, place, "vosk", korean()))
        running.hang_up()
        await engine_is(client, "vosk")


@pytest.mark.heavy
@pytest.mark.programs("strace")
async def test_the_engines_open_no_network_connection(bus: PrivateBus, tmp_path: Path, place: Path) -> None:
    """A trace of each socket of the daemon with its threads and children has no family but Unix."""
    for engine, model in (("whisper", tiny_en()), ("vosk", korean())):
        trace = tmp_path / f"{engine}.strace"
        # With -D the daemon stays the child of this process, and strace follows it from beside.
        under = ("strace", "-D", "-f", "-qq", "-e", "trace=socket,connect", "-o", str(trace))
        text = settings(bus, place, engine, model)
        async with daemon(bus, tmp_path, text, under) as running, running.client() as client:
            assert await client.get(ENGINE, "Engine") == engine
            assert await dictate(running, client)
        calls = trace.read_text()
        assert calls.count("AF_UNIX") > 3
        assert not re.search(r"AF_INET|AF_NETLINK|AF_PACKET", calls), calls
