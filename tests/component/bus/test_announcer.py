"""Before the daemon owns its name the announcer sends nothing, but keeps its state up to date."""

from coldvoxd.bus.announcer import Observer
from coldvoxd.core.failover_notice import Notice
from coldvoxd.core.values import EngineStatus, StopReason
from tests.support.bus.private_bus import BusClient, PrivateBus, ScriptedControl, serve


class Noting(Observer):
    def __init__(self) -> None:
        self.noted: list[str] = []

    def state_changed(self) -> None:
        self.noted.append("state")

    def session_started(self, session: int) -> None:
        self.noted.append(f"started {session}")

    def session_ended(self, session: int) -> None:
        self.noted.append(f"ended {session}")

    def file_ended(self, job: int) -> None:
        self.noted.append(f"file {job}")


async def test_nothing_is_sent_before_the_name_is_owned_and_then_what_has_changed(bus: PrivateBus) -> None:
    control = ScriptedControl()
    connection, announcer, service = await serve(control, bus.address)
    observer, accepted = Noting(), []
    announcer.observe(observer)
    try:
        async with BusClient(bus.address) as client:
            await client.subscribe()
            control.engine = EngineStatus(model="mini", ready=True)
            announcer.state_changed()
            announcer.dictation_started(1)
            announcer.dictation_stopped(1, StopReason.STOPPED, "words", None)
            announcer.file_ended(2)
            announcer.level(-20.0)
            announcer.provider_changed("A", "B", "requested")
            announcer.notify(Notice("title", "body"))
            announcer.when_accepted(lambda: accepted.append(True))
            assert accepted == [True]
            assert observer.noted == ["state", "started 1", "ended 1", "file 2"]
            await service.own_name()
            await client.settle()
            ours = [signal for signal in client.signals if signal.interface != "org.freedesktop.DBus"]
            [changed] = ours
            assert changed.member == "PropertiesChanged"
            assert {name: value.value for name, value in changed.body[1].items()} == {"Model": "mini"}
            assert observer.noted[-1] == "state"
    finally:
        await connection.aclose()
