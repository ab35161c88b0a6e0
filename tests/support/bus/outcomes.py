"""What a client of the service sees, as JSON on standard output: the same with each D-Bus library.

Run it as a module with the environment variable FORCED set. Unique names and numbers of processes are replaced.
"""

import asyncio
import json
import re
import tempfile
from collections.abc import Awaitable
from typing import Any

from coldvoxd.bus.client import DaemonClient
from coldvoxd.bus.interface_xml import DICTATION, ENGINE, MICROPHONE, OBJECT_PATH, PROPERTIES
from coldvoxd.bus.library import Variant
from coldvoxd.bus.library_name import NAME
from coldvoxd.core.errors import ColdvoxError, NotReady
from coldvoxd.core.file_values import FileTranscript
from coldvoxd.core.values import Word
from tests.support.bus.private_bus import BusClient, BusError, PrivateBus, RunningService, running_service

CALLS: list[tuple[str, str, str | None, list[Any]]] = [
    ("StartDictation", "", DICTATION, []),
    ("StartDictation", "", DICTATION, []),
    ("StartDictation", "s", DICTATION, ["x"]),
    ("StartDictationWithOptions", "a{sv}", DICTATION, [{"privat": Variant("b", True)}]),
    ("StartDictationWithOptions", "a{sv}", DICTATION, [{"private": Variant("as", ["x"])}]),
    ("StartDictationWithOptions", "a{sv}", DICTATION, [{"max-seconds": Variant("x", -1)}]),
    ("TranscribeFile", "ha{sv}", DICTATION, [3, {}]),
    ("StopDictation", "", None, []),
    ("StopDictation", "", DICTATION, []),
    ("Nothing", "", DICTATION, []),
    ("Nothing", "", "org.example.Nothing", []),
    ("SelectDevice", "s", MICROPHONE, ["missing"]),
    ("Get", "ss", PROPERTIES, [ENGINE, "Nothing"]),
    ("Get", "ss", PROPERTIES, ["org.example.Nothing", "State"]),
    ("Get", "ss", PROPERTIES, ["", "State"]),
    ("Get", "ss", PROPERTIES, [PROPERTIES, "State"]),
    ("GetAll", "s", PROPERTIES, [PROPERTIES]),
    ("GetAll", "s", PROPERTIES, [MICROPHONE]),
    ("GetAll", "s", PROPERTIES, [""]),
    ("Set", "ssv", PROPERTIES, [ENGINE, "Model", Variant("s", "x")]),
    ("GetMetrics", "", ENGINE, []),
    ("Introspect", "", None, []),
    ("Ping", "", None, []),
]


async def _outcome(call: Awaitable[Any]) -> Any:
    try:
        return _json(await call)
    except (BusError, ColdvoxError) as error:
        return f"{type(error).__name__} {error}"


def _json(value: Any) -> Any:
    if isinstance(value, Variant):
        return [value.signature, _json(value.value)]
    if isinstance(value, dict):
        return {key: _json(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [_json(element) for element in value]
    return re.sub(r":1\.\d+", ":1.N", value) if isinstance(value, str) else value


async def _of_calls(running: RunningService) -> list[Any]:
    found = []
    async with running.client() as client:
        for member, signature, interface, body in CALLS:
            with tempfile.TemporaryFile() as file:
                descriptors = [file.fileno()] if member == "TranscribeFile" else []
                call = client.call(member, signature, *body, interface=interface, descriptors=descriptors)
                found.append([member, await _outcome(call)])
        paths = ("/", "/org/cold", OBJECT_PATH + "/x")
        found += [[path, await _outcome(client.call("Introspect", interface=None, path=path))] for path in paths]
    return found


async def _of_signals(running: RunningService, client: BusClient) -> list[Any]:
    await client.subscribe()
    session = await client.call("StartDictationWithOptions", "a{sv}", {"words": Variant("b", True)})
    running.control.say("two words", (Word("two", 0.0, 0.5, 0.75), Word("words", 0.5, 1.0, 1.0)))
    running.announcer.level(-20)
    running.announcer.file_transcribed(1, FileTranscript("x", (), 1.0, 0.5), with_words=True, to=client.name)
    running.announcer.provider_changed("A", "B", "requested")
    await client.call("StopDictation")
    await client.settle()
    assert session
    return [[signal.member, signal.signature, _json(signal.body)] for signal in client.signals]


async def _of_our_client(running: RunningService) -> list[Any]:
    async with DaemonClient.connected(running.bus.address) as daemon:
        await daemon.subscribe()
        found = [await _outcome(daemon.start()), await _outcome(daemon.start()), await _outcome(daemon.stop())]
        running.control.fault = NotReady("The model is loading.")
        found += [await _outcome(daemon.start()), await _outcome(daemon.select_device("x\ud800"))]
        running.control.fault = None
        found += [await _outcome(daemon.microphone()), await _outcome(daemon.status())]
        found += [[event.name, _json(dict(event.fields))] for event in daemon.queued_events()]
    async with DaemonClient.connected(running.bus.address) as daemon:
        await running.connection.aclose()
        found.append(await _outcome(daemon.stop()))
    return found


async def main() -> None:
    with PrivateBus() as bus:
        async with running_service(bus) as running:
            found: dict[str, Any] = {"calls": await _of_calls(running)}
            async with BusClient(bus.address) as client:
                found["signals"] = await _of_signals(running, client)
            found["client"] = await _of_our_client(running)
    print(json.dumps({"library": NAME, "seen": found}))


if __name__ == "__main__":
    asyncio.run(main())
