"""The D-Bus signatures of the service's members; what they do is in `calls` and `service`."""

from typing import Any

from dbus_next import PropertyAccess, Variant
from dbus_next.service import ServiceInterface, dbus_property, method, signal

from coldvoxd.bus.calls import Calls
from coldvoxd.bus.engine_calls import EngineCalls
from coldvoxd.bus.file_calls import FileCalls
from coldvoxd.bus.interface_xml import DICTATION, ENGINE, MICROPHONE

_READ = PropertyAccess.READ


class Dictation1(ServiceInterface):
    """org.coldvox.Dictation1, documented in dbus/org.coldvox.Daemon1.xml."""

    def __init__(self, calls: Calls, files: FileCalls) -> None:
        super().__init__(DICTATION)
        self._calls = calls
        self._files = files

    @method()
    def StartDictation(self) -> "u":
        return self._calls.start()

    @method()
    async def StartDictationWithOptions(self, options: "a{sv}") -> "u":
        return await self._calls.start_with_options(options)

    @method()
    async def StopDictation(self) -> "s":
        return await self._calls.stop()

    @method()
    async def CancelDictation(self):  # type: ignore[no-untyped-def]  # an annotation here would be a D-Bus type
        await self._calls.cancel()

    @method()
    def ToggleDictation(self) -> "b":
        return self._calls.toggle()

    @method()
    async def RetryLast(self) -> "s":
        return await self._calls.retry_last()

    @method()
    async def TranscribeFile(self, audio: "h", options: "a{sv}") -> "u":
        return await self._files.transcribe(audio, options)

    @method()
    def CancelFile(self, job: "u"):  # type: ignore[no-untyped-def]  # an annotation here would be a D-Bus type
        self._files.cancel(job)

    @signal()
    def FileProgress(self, job: int, share: float) -> "ud":
        return [job, share]

    @signal()
    def FileTranscribed(self, job: int, text: str, details: dict[str, Variant]) -> "usa{sv}":
        return [job, text, details]

    @signal()
    def Transcribed(self, session: int, utterance: int, text: str, details: dict[str, Variant]) -> "uusa{sv}":
        return [session, utterance, text, details]

    @signal()
    def DictationStarted(self, session: int) -> "u":
        return session

    @signal()
    def DictationStopped(self, session: int, reason: str, transcript: str) -> "uss":
        return [session, reason, transcript]

    @signal()
    def SpeechStarted(self, session: int) -> "u":
        return session

    @signal()
    def SpeechEnded(self, session: int) -> "u":
        return session

    @signal()
    def Level(self, dbfs: float) -> "d":
        return dbfs

    @dbus_property(access=_READ)
    def State(self) -> "s":
        return self._property("State")

    @dbus_property(access=_READ)
    def Session(self) -> "u":
        return self._property("Session")

    def _property(self, name: str) -> Any:
        return self._calls.dictation_properties()[name]


class Engine1(ServiceInterface):
    """org.coldvox.Engine1, documented in dbus/org.coldvox.Daemon1.xml."""

    def __init__(self, calls: Calls, engine: EngineCalls) -> None:
        super().__init__(ENGINE)
        self._calls = calls
        self._engine = engine

    @method()
    async def Reload(self):  # type: ignore[no-untyped-def]  # an annotation here would be a D-Bus type
        await self._engine.reload()

    @method()
    async def SetProvider(self, provider: "s"):  # type: ignore[no-untyped-def]  # as above
        await self._engine.set_provider(provider)

    @method()
    def GetMetrics(self) -> "a{sv}":
        return self._engine.metrics()

    @signal()
    def ProviderChanged(self, before: str, after: str, reason: str) -> "sss":
        return [before, after, reason]

    @dbus_property(access=_READ)
    def Model(self) -> "s":
        return self._property("Model")

    @dbus_property(access=_READ)
    def Precision(self) -> "s":
        return self._property("Precision")

    @dbus_property(access=_READ)
    def ExecutionProvider(self) -> "s":
        return self._property("ExecutionProvider")

    @dbus_property(access=_READ)
    def AvailableProviders(self) -> "as":
        return self._property("AvailableProviders")

    @dbus_property(access=_READ)
    def UsableProviders(self) -> "as":
        return self._property("UsableProviders")

    @dbus_property(access=_READ)
    def Problems(self) -> "as":
        return self._property("Problems")

    @dbus_property(access=_READ)
    def Degraded(self) -> "s":
        return self._property("Degraded")

    @dbus_property(access=_READ)
    def Progress(self) -> "d":
        return self._property("Progress")

    @dbus_property(access=_READ)
    def LastError(self) -> "s":
        return self._property("LastError")

    @dbus_property(access=_READ)
    def AwaitingRestart(self) -> "as":
        return self._engine.properties()["AwaitingRestart"]

    @dbus_property(access=_READ)
    def Version(self) -> "s":
        return self._property("Version")

    def _property(self, name: str) -> Any:
        return self._calls.engine_properties()[name]


class Microphone1(ServiceInterface):
    """org.coldvox.Microphone1, documented in dbus/org.coldvox.Daemon1.xml."""

    def __init__(self, calls: Calls) -> None:
        super().__init__(MICROPHONE)
        self._calls = calls

    @method()
    def SelectDevice(self, name: "s"):  # type: ignore[no-untyped-def]  # an annotation here would be a D-Bus type
        self._calls.select_device(name)

    @dbus_property(access=_READ)
    def Device(self) -> "s":
        return self._property("Device")

    @dbus_property(access=_READ)
    def Devices(self) -> "a(ss)":
        return self._property("Devices")

    @dbus_property(access=_READ)
    def Selection(self) -> "s":
        return self._property("Selection")

    @dbus_property(access=_READ)
    def Open(self) -> "b":
        return self._property("Open")

    @dbus_property(access=_READ)
    def Policy(self) -> "s":
        return self._property("Policy")

    @dbus_property(access=_READ)
    def Muted(self) -> "b":
        return self._property("Muted")

    @dbus_property(access=_READ)
    def Problem(self) -> "s":
        return self._property("Problem")

    def _property(self, name: str) -> Any:
        return self._calls.microphone_properties()[name]
