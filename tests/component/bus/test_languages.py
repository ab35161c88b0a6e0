"""The option `language` of sessions, retries and files on a real bus, and what clients can read of languages."""

import os

import pytest

from coldvoxd.bus.client import DaemonClient
from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.bus.library import Variant
from coldvoxd.core.errors import NotSupported
from coldvoxd.core.file_values import FileOptions
from coldvoxd.core.values import EngineStatus, SessionOptions
from tests.support.bus.private_bus import BusClient, BusError, RunningService
from tests.support.sound.speech import samples

SEVERAL = EngineStatus(model="multilingual", ready=True, languages=("de", "en"))
ENGLISH = EngineStatus(model="parakeet-tdt-0.6b-v2", ready=True, languages=("en",))
GERMAN = {"language": Variant("s", "de-DE")}


async def transcribe(client: BusClient, options: dict[str, Variant]) -> int:
    descriptor = os.open(samples()[0].path, os.O_RDONLY)
    try:
        return int(await client.call("TranscribeFile", "ha{sv}", 0, options, descriptors=[descriptor]))
    finally:
        os.close(descriptor)


async def test_a_language_of_the_model_is_passed_by_its_code(running: RunningService, client: BusClient) -> None:
    control = running.control
    control.engine = SEVERAL
    session = await client.call("StartDictationWithOptions", "a{sv}", GERMAN)
    assert control.options == SessionOptions(language="de")
    found = await client.call("GetSessionOptions", "u", session)
    assert found["language"].value == "de"
    control.say("eins")
    await client.call("RetryLastWithOptions", "a{sv}", {"language": Variant("s", "auto")})
    assert control.retried_in == "auto"
    await client.call("RetryLastWithOptions", "a{sv}", {"utterance": Variant("u", 1)})
    assert control.retried_in == ""
    await client.call("StopDictation")
    await client.call("ToggleDictationWithOptions", "a{sv}", GERMAN)
    assert control.options == SessionOptions(language="de")
    job = await transcribe(client, GERMAN)
    assert control.files[job][2] == FileOptions(language="de")


@pytest.mark.parametrize(
    ("engine", "code", "message"),
    [
        (SEVERAL, "fr", "multilingual does not recognize the language 'fr'. Possible are: auto, de, en."),
        (ENGLISH, "de", "parakeet-tdt-0.6b-v2 recognizes 'en' only"),
        (ENGLISH, "de", "`coldvoxctl model pull parakeet-tdt-0.6b-v3 --use`"),
        (EngineStatus(), "german", "There is no language 'german'"),
    ],
)
async def test_a_language_that_the_model_lacks_is_not_supported_and_nothing_begins(
    running: RunningService, client: BusClient, engine: EngineStatus, code: str, message: str
) -> None:
    control = running.control
    control.engine = engine
    options = {"language": Variant("s", code)}
    for method in ("StartDictationWithOptions", "ToggleDictationWithOptions", "RetryLastWithOptions"):
        with pytest.raises(BusError) as raised:
            await client.call(method, "a{sv}", options)
        assert raised.value.name == "org.coldvox.Error.NotSupported"
        assert message in raised.value.message
    with pytest.raises(BusError, match=r"NotSupported"):
        await transcribe(client, options)
    assert (control.started, control.files) == ([], {})
    await client.call("StartDictation")
    with pytest.raises(BusError, match=r"NotSupported"):
        await client.call("ToggleDictationWithOptions", "a{sv}", options)
    assert control.session == 1, "a toggle that would stop checks the options too"


async def test_a_model_of_one_language_accepts_it(running: RunningService, client: BusClient) -> None:
    running.control.engine = ENGLISH
    await client.call("StartDictationWithOptions", "a{sv}", {"language": Variant("s", "EN")})
    assert running.control.options == SessionOptions(language="en")


async def test_the_languages_follow_the_model(running: RunningService, client: BusClient) -> None:
    """A model is loaded at a reload: clients read again what they can offer."""
    await client.subscribe("PropertiesChanged")
    for engine, has_option in ((ENGLISH, False), (SEVERAL, True), (ENGLISH, False)):

        def published(body: list[object], engine: EngineStatus = engine) -> bool:
            changed = body[1]
            return (
                isinstance(changed, dict)
                and "Languages" in changed
                and changed["Languages"].value == [*engine.languages]
            )

        async with client.expect_signal("PropertiesChanged", published):
            running.control.engine = engine
            running.announcer.state_changed()
        assert await client.get(ENGINE, "Languages") == [*engine.languages]
        assert ("language" in await client.get(ENGINE, "Capabilities")) is has_option


async def test_our_own_client_passes_the_language(running: RunningService) -> None:
    running.control.engine = SEVERAL
    async with DaemonClient.connected(running.bus.address) as daemon:
        with pytest.raises(NotSupported, match="Possible are: auto, de, en"):
            await daemon.start({"language": "fr"})
        session = await daemon.start({"language": "de"})
        assert (await daemon.session_options(session))["language"] == "de"
        descriptor = os.open(samples()[0].path, os.O_RDONLY)
        try:
            job = await daemon.transcribe_file(descriptor, words=False, language="en")
        finally:
            os.close(descriptor)
        assert running.control.files[job][2] == FileOptions(language="en")
