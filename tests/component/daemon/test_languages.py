"""Languages in the whole daemon and in coldvoxctl, with a crafted multilingual model whose texts show the language."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.bus.library import Variant
from tests.support.bus.private_bus import BusClient, BusError, PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon
from tests.support.eventually import eventually
from tests.support.models.multilingual import TEXTS, write_multilingual_parakeet
from tests.support.sound.speech import samples

SPOKEN = samples()[0]


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_multilingual_parakeet(tmp_path / "multilingual")


def settings(bus: PrivateBus, model: object, language: str = "auto") -> str:
    return (
        f'[microphone]\ndevice = "virtual:{bus.directory / "mic"}"\n[model]\nname = "{model}"\nprovider = "cpu"\n'
        f'[dictation]\nlanguage = "{language}"\n'
    )


async def dictated(running: RunningDaemon, client: BusClient, language: str = "") -> str:
    options = {"language": Variant("s", language)} if language else {}
    await client.call("StartDictationWithOptions", "a{sv}", options)
    await running.speak(SPOKEN)
    return str(await client.call("StopDictation"))


async def transcribed(client: BusClient, language: str = "") -> str:
    descriptor = os.open(SPOKEN.path, os.O_RDONLY)
    options = {"language": Variant("s", language)} if language else {}
    async with client.expect_signal("FileTranscribed") as found:
        await client.call("TranscribeFile", "ha{sv}", 0, options, descriptors=[descriptor])
    os.close(descriptor)
    return str(found.body[1])


@pytest.mark.heavy
async def test_sessions_retries_and_files_have_a_language(bus: PrivateBus, tmp_path: Path, model: Path) -> None:
    async with daemon(bus, tmp_path, settings(bus, model, "de")) as running, running.client() as client:
        await client.subscribe()
        assert await client.get(ENGINE, "Languages") == ["de", "en", "ja", "ru"]
        assert await client.get(ENGINE, "Language") == "de"
        assert "language" in await client.get(ENGINE, "Capabilities")
        assert await dictated(running, client) == TEXTS["de"], "the setting"
        assert await dictated(running, client, "en-GB") == TEXTS["en"]
        assert await client.call("RetryLast") == TEXTS["en"], "the language of the session"
        for language in ("ru", "auto"):
            retried = await client.call("RetryLastWithOptions", "a{sv}", {"language": Variant("s", language)})
            assert retried == TEXTS[language]
        assert await transcribed(client) == TEXTS["de"]
        assert await transcribed(client, "ru") == TEXTS["ru"]
        with pytest.raises(BusError, match=r"NotSupported.*Possible are: auto, de, en, ja, ru"):
            await dictated(running, client, "fr")


@pytest.mark.heavy
async def test_another_model_changes_what_is_possible_and_a_session_in_between_loses_nothing(
    bus: PrivateBus, tmp_path: Path, model: Path
) -> None:
    async with daemon(bus, tmp_path, settings(bus, model, "de")) as running, running.client() as client:
        await client.subscribe()
        await client.call("StartDictationWithOptions", "a{sv}", {"language": Variant("s", "ru")})
        running.settings.write_text(settings(bus, "mini", "de"))
        await client.call("Reload", interface=ENGINE)
        await running.speak(SPOKEN)
        assert await client.call("StopDictation") == SPOKEN.heard["fp32"]
        assert "the model has no language 'ru': utterances are recognized without it" in running.log
        assert "language" in await client.get(ENGINE, "Problems"), "the setting"
        assert await client.get(ENGINE, "Languages") == ["en"]
        assert await client.get(ENGINE, "Language") == "auto", "the model lacks the setting's"
        assert "language" not in await client.get(ENGINE, "Capabilities")
        assert await dictated(running, client) == SPOKEN.heard["fp32"], "the daemon dictates nevertheless"
        with pytest.raises(BusError, match=r"NotSupported.*mini recognizes 'en' only.*parakeet-tdt-0.6b-v3"):
            await dictated(running, client, "de")
        assert await dictated(running, client, "en") == SPOKEN.heard["fp32"]
        running.settings.write_text(settings(bus, "mini"))
        await client.call("Reload", interface=ENGINE)
        await eventually(
            lambda: any("language" not in body[1]["Problems"].value for body in client.bodies("PropertiesChanged")[-3:]
                        if "Problems" in body[1]),
            what="the end of the problem",
        )  # fmt: skip


@pytest.mark.heavy
async def test_the_session_of_a_killed_daemon_is_completed_in_its_language(
    bus: PrivateBus, tmp_path: Path, model: Path
) -> None:
    runtime = bus.directory / "login"
    runtime.mkdir(mode=0o700)
    bus.extra_environment["XDG_RUNTIME_DIR"] = str(runtime)
    async with daemon(bus, tmp_path, settings(bus, model, "en")) as first, first.client() as client:
        await client.call("StartDictationWithOptions", "a{sv}", {"language": Variant("s", "ru")})
        await asyncio.to_thread(first.begin_to_speak, SPOKEN)
        first.kill()
    async with daemon(bus, tmp_path, settings(bus, model, "de")) as second, second.client() as client:
        with pytest.raises(BusError, match="NotActive"):
            await client.call("StopDictation")
        assert await client.call("RetryLast") == TEXTS["ru"]
