"""The service on the bus: the object that clients call, and the daemon's name."""

from coldvoxd.bus.announcer import BusAnnouncer, Observer, PropertyChanges
from coldvoxd.bus.calls import Calls
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.engine_calls import EngineCalls
from coldvoxd.bus.file_calls import FileCalls
from coldvoxd.bus.interface import Dictation1, Engine1, Microphone1
from coldvoxd.bus.interface_xml import BUS_NAME, OBJECT_PATH
from coldvoxd.bus.library import DBusError, NameFlag, RequestNameReply
from coldvoxd.bus.properties import Properties
from coldvoxd.core.errors import NameTaken
from coldvoxd.core.ports import Controls

QUEUE_LIMIT_S = 2.0
"""One client's longest queue of calls is served in 1.3 s; see `quota`."""
QUERIES_PER_CALL = 2
"""Number of queries that a call may send to the bus, one by one, before it has any effect: see Callers.watch."""


class BusService(Observer):
    """Serves org.coldvox.Daemon1. Event loop only.

    The object is exported at construction and can be called by the connection's unique name; `own_name` makes it
    available under its well-known name and starts the signals.
    """

    def __init__(self, connection: Connection, announcer: BusAnnouncer, controls: Controls) -> None:
        self._connection = connection
        self._announcer = announcer
        self._calls = Calls(connection, controls)
        self._file_calls = FileCalls(connection, controls.files, lambda: controls.dictation.engine)
        properties = Properties(controls)
        announcer.observe(PropertyChanges(announcer, properties))
        announcer.observe(self)
        self._interfaces = (
            Dictation1(self._calls, self._file_calls, properties),
            Engine1(EngineCalls(controls.engine), properties),
            Microphone1(self._calls, properties),
        )
        for interface in self._interfaces:
            connection.objects.export(OBJECT_PATH, interface)

    async def own_name(self) -> None:
        """Become org.coldvox.Daemon1. Raises NameTaken, which names the owner, or BusUnavailable."""
        self._announcer.begin()  # a call may arrive together with the reply of the bus
        reply = RequestNameReply(
            await self._connection.ask_bus("RequestName", "su", BUS_NAME, NameFlag.DO_NOT_QUEUE.value)
        )
        if reply not in (RequestNameReply.PRIMARY_OWNER, RequestNameReply.ALREADY_OWNER):
            raise await _name_taken(self._connection)
        self._announcer.state_changed()

    async def release_name(self) -> None:
        """Release the name, and return once every call that was sent to it has been served. Raises BusUnavailable.

        If the bus can activate the daemon, it holds later calls until the name has an owner again.
        """
        await self._connection.ask_bus("ReleaseName", "s", BUS_NAME)
        await self._connection.until_served(QUEUE_LIMIT_S)
        for _ in range(QUERIES_PER_CALL + 1):  # the bus replies in order, so to the queries of calls first
            await self._connection.bus_id()

    # Implements Observer.

    def session_ended(self, session: int) -> None:
        self._calls.session_ended(session)

    def file_ended(self, job: int) -> None:
        self._file_calls.ended(job)


async def check_name_free(connection: Connection) -> None:
    """Raise NameTaken before anything is opened that another daemon may be using.

    The final decision is that of `own_name`. Raises BusUnavailable.
    """
    if await connection.is_connected(BUS_NAME):
        raise await _name_taken(connection)


async def _name_taken(connection: Connection) -> NameTaken:
    return NameTaken(
        f"{BUS_NAME} is already owned by {await _name_owner(connection)}: another coldvoxd runs in this session. "
        "Stop it first (`systemctl --user stop coldvoxd`), or use it."
    )


async def _name_owner(connection: Connection) -> str:
    """Return a description of the process that owns the daemon's name."""
    try:
        owner = await connection.ask_bus("GetNameOwner", "s", BUS_NAME)
        pid = await connection.ask_bus("GetConnectionUnixProcessID", "s", owner)
    except DBusError:
        return "a process that has just left the bus"
    return f"process {pid} ({owner})"
