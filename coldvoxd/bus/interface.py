"""Methods and properties of the service with their D-Bus signatures; signals are in `announcer`.

The implementations are in `calls`, `engine_calls`, `file_calls` and `properties`.
"""

from typing import Any

from coldvoxd.bus.calls import Calls
from coldvoxd.bus.engine_calls import EngineCalls
from coldvoxd.bus.file_calls import FileCalls
from coldvoxd.bus.interface_xml import DICTATION, ENGINE, MICROPHONE
from coldvoxd.bus.library import PropertyAccess, ServiceInterface, dbus_property, method
from coldvoxd.bus.properties import Properties

_READ = PropertyAccess.READ


class Dictation1(ServiceInterface):
    """org.coldvox.Dictation1, documented in dbus/org.coldvox.Daemon1.xml."""

    def __init__(self, calls: Calls, files: FileCalls, properties: Properties) -> None:
        super().__init__(DICTATION)
        self._calls = calls
        self._files = files
        self._properties = properties

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
    async def StopDictationWithOptions(self, options: "a{sv}") -> "s":
        return await self._calls.stop_with_options(options)

    @method()
    async def CancelDictation(self):  # type: ignore[no-untyped-def]  # an annotation here would be a D-Bus type
        await self._calls.cancel()

    @method()
    def ToggleDictation(self) -> "b":
        return self._calls.toggle()

    @method()
    async def ToggleDictationWithOptions(self, options: "a{sv}") -> "b":
        return await self._calls.toggle_with_options(options)

    @method()
    def GetSessionOptions(self, session: "u") -> "a{sv}":
        return self._calls.session_options(session)

    @method()
    async def RetryLast(self) -> "s":
        return await self._calls.retry_last()

    @method()
    async def RetryLastWithOptions(self, options: "a{sv}") -> "s":
        return await self._calls.retry_last_with_options(options)

    @method()
    async def RetryLastWithDetails(self, options: "a{sv}") -> "sa{sv}":
        return await self._calls.retry_last_with_details(options)

    @method()
    async def TranscribeFile(self, audio: "h", options: "a{sv}") -> "u":
        return await self._files.transcribe(audio, options)

    @method()
    def CancelFile(self, job: "u"):  # type: ignore[no-untyped-def]  # an annotation here would be a D-Bus type
        self._files.cancel(job)

    @dbus_property(access=_READ)
    def State(self) -> "s":
        return self._property("State")

    @dbus_property(access=_READ)
    def Session(self) -> "u":
        return self._property("Session")

    def _property(self, name: str) -> Any:
        return self._properties.dictation()[name]


class Engine1(ServiceInterface):
    """org.coldvox.Engine1, documented in dbus/org.coldvox.Daemon1.xml."""

    def __init__(self, engine: EngineCalls, properties: Properties) -> None:
        super().__init__(ENGINE)
        self._engine = engine
        self._properties = properties

    @method()
    async def Reload(self):  # type: ignore[no-untyped-def]  # an annotation here would be a D-Bus type
        await self._engine.reload()

    @method()
    async def SetProvider(self, provider: "s"):  # type: ignore[no-untyped-def]  # as above
        await self._engine.set_provider(provider)

    @method()
    def GetMetrics(self) -> "a{sv}":
        return self._engine.metrics()

    @dbus_property(access=_READ)
    def Engine(self) -> "s":
        return self._property("Engine")

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
    def Provider(self) -> "s":
        return self._property("Provider")

    @dbus_property(access=_READ)
    def ProviderDevice(self) -> "s":
        return self._property("ProviderDevice")

    @dbus_property(access=_READ)
    def ProviderNote(self) -> "s":
        return self._property("ProviderNote")

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
    def Capabilities(self) -> "as":
        return self._property("Capabilities")

    @dbus_property(access=_READ)
    def Languages(self) -> "as":
        return self._property("Languages")

    @dbus_property(access=_READ)
    def Language(self) -> "s":
        return self._property("Language")

    @dbus_property(access=_READ)
    def Progress(self) -> "d":
        return self._property("Progress")

    @dbus_property(access=_READ)
    def LastError(self) -> "s":
        return self._property("LastError")

    @dbus_property(access=_READ)
    def AwaitingRestart(self) -> "as":
        return self._property("AwaitingRestart")

    @dbus_property(access=_READ)
    def Version(self) -> "s":
        return self._property("Version")

    def _property(self, name: str) -> Any:
        return self._properties.engine()[name]


class Microphone1(ServiceInterface):
    """org.coldvox.Microphone1, documented in dbus/org.coldvox.Daemon1.xml."""

    def __init__(self, calls: Calls, properties: Properties) -> None:
        super().__init__(MICROPHONE)
        self._calls = calls
        self._properties = properties

    @method()
    async def SelectDevice(self, name: "s"):  # type: ignore[no-untyped-def]  # an annotation here would be a D-Bus type
        await self._calls.select_device(name)

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
        return self._properties.microphone()[name]
