"""The sound server's own names for microphones, and which of them our stream hears.

PulseAudio and PipeWire both speak PulseAudio's protocol. Every call here blocks, and hangs for as long as the server is
frozen: `look` and `hold_to` belong to the device lane; `SoundWatch` has a thread of its own.
"""

import asyncio
import contextlib
import ctypes.util
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from coldvoxd.audio.device_retry import surroundings
from coldvoxd.core.microphone_rules import DEFAULT, SoundView, Source

log = logging.getLogger(__name__)


def _import_pulsectl() -> Any | None:
    """The binding; None where the machine has no libpulse. It would search the library by running ldconfig and gcc."""
    search, ctypes.util.find_library = ctypes.util.find_library, lambda name: None  # noqa: ARG005
    try:
        import pulsectl
    except OSError as error:
        log.info("microphones cannot be selected by name: libpulse cannot be loaded (%s)", error)
        return None
    finally:
        ctypes.util.find_library = search
    return pulsectl


_pulsectl = _import_pulsectl()
_TAG = "coldvoxd.instance"
_INSTANCE = uuid.uuid4().hex
"""Marks this process's streams on the server: process numbers are not unique across containers."""
FOLLOW = "@DEFAULT_SOURCE@"
"""The server's name for its default source. Named like this our stream follows it, whatever was remembered of us."""
SETTLE_S = 0.05
"""Changes come in bursts: so long after the first of them the server is looked at."""
FIRST_RETRY_S = 0.25
LAST_RETRY_S = 10.0
POLL_S = 0.5
"""How often the server's socket is looked for while there is none: a few stat calls."""


@contextlib.contextmanager
def _connected() -> Iterator[Any]:
    """A connection of the moment; raises ConnectionError where no server answers or it goes away meanwhile."""
    if _pulsectl is None:
        raise ConnectionError("libpulse is missing")
    server = _pulsectl.Pulse("coldvoxd", connect=False)
    try:
        server.connect()
        yield server
    except (_pulsectl.PulseError, _pulsectl.PulseDisconnected) as error:
        raise ConnectionError(f"the connection to the sound server was lost: {error}") from error
    finally:
        server.close()


def look() -> SoundView | None:
    """The server as it is now; None where there is none."""
    try:
        with _connected() as server:
            return _view(server)
    except ConnectionError:
        return None


def steer(wanted: str, *, unmixed: bool = False) -> None:
    """What the next stream of this process asks the server for: a source's name, or `default`.

    `unmixed`: the source's channels without any remixing; PipeWire alone knows this.

    Through libpulse's environment: the ALSA device can't be told otherwise. First set while the daemon is put together, and
    only overwritten later, so that no other thread reads a list that moves.
    """
    os.environ["PULSE_SOURCE"] = FOLLOW if wanted == DEFAULT else wanted
    remix = " stream.dont-remix=true" if unmixed else ""
    os.environ["PULSE_PROP"] = f"application.id=org.coldvox.Daemon1 {_TAG}={_INSTANCE}{remix}"


def hold_to(name: str) -> SoundView | None:
    """See that our own new stream, and nobody else's, records that source; the server as it is then."""
    try:
        with _connected() as server:
            target = next((source for source in server.source_list() if source.name == name), None)
            for stream in _ours(server):
                if target is not None and stream.source != target.index:
                    log.info(
                        "moving the capture stream to %s; the sound server had connected it to another source", name
                    )
                    server.source_output_move(stream.index, target.index)
            return _view(server)
    except ConnectionError:
        return None


def _ours(server: Any) -> list[Any]:
    return [stream for stream in server.source_output_list() if stream.proplist.get(_TAG) == _INSTANCE]


def _view(server: Any) -> SoundView:
    listed = server.source_list()
    ours = _ours(server)
    names = {source.index: source.name for source in listed}
    about = server.server_info()
    return SoundView(
        sources=tuple(_source(source) for source in listed),
        default=about.default_source_name or "",
        heard=names.get(ours[-1].source, "") if ours else "",
        stream_muted=bool(ours and ours[-1].mute),
        pipewire="PipeWire" in (about.server_name or ""),
    )


def _source(source: Any) -> Source:
    properties = source.proplist
    return Source(
        name=source.name,
        description=source.description or source.name,
        monitor=bool(source.monitor_of_sink_name) or properties.get("device.class") == "monitor",
        bluetooth=properties.get("device.bus") == "bluetooth"
        or properties.get("device.api", "").startswith("bluez")
        or source.name.startswith("bluez"),
        muted=bool(source.mute) or source.volume.value_flat == 0,
        positions=tuple(source.channel_list),
    )


class SoundWatch:
    """Tells what the sound server shows, now and whenever it changes; None while there is no server.

    Costs nothing while nothing changes. `on_view` is called on the event loop. A frozen server holds this thread up and
    nothing else: capture notices by itself that no audio comes.
    """

    def __init__(self, on_view: Callable[[SoundView | None], None]) -> None:
        self._on_view = on_view
        self._loop = asyncio.get_running_loop()
        self._ended = threading.Event()
        self._server: Any = None

    def start(self) -> None:
        threading.Thread(target=self._run, name="sound-server", daemon=True).start()

    def close(self) -> None:
        """Nothing is told any more; the thread ends with the server's next change."""
        self._ended.set()
        if self._server is not None:
            with contextlib.suppress(Exception):  # it may be just going away
                self._server.event_listen_stop()

    def _run(self) -> None:
        told_absent = False
        retry_s = FIRST_RETRY_S
        while not self._ended.is_set():
            seen = surroundings()
            try:
                with _connected() as server:
                    self._listen(server)
            except ConnectionError as error:
                log.debug("sound server: %s", error)
            if self._server is not None:
                self._server, told_absent, retry_s = None, False, FIRST_RETRY_S
            if not told_absent:
                told_absent = True
                self._tell(None)
            due_s = time.monotonic() + retry_s
            while not self._ended.wait(POLL_S) and time.monotonic() < due_s and surroundings() == seen:
                pass
            retry_s = min(LAST_RETRY_S, 2 * retry_s)

    def _listen(self, server: Any) -> None:
        changed = False

        def on_event(_event: Any) -> None:
            nonlocal changed
            changed = True
            raise _pulsectl.PulseLoopStop  # type: ignore[union-attr]  # there is a server, so there is a binding

        server.event_mask_set("server", "source", "source_output")
        server.event_callback_set(on_event)
        self._server = server
        last: SoundView | None = None
        while not self._ended.is_set():
            changed = False
            if (view := _view(server)) != last:
                last = view
                self._tell(view)
            if not changed:
                server.event_listen()
            self._ended.wait(SETTLE_S)

    def _tell(self, view: SoundView | None) -> None:
        if not self._ended.is_set():
            with contextlib.suppress(RuntimeError):  # the loop has closed: the process is on its way out
                self._loop.call_soon_threadsafe(self._hand_over, view)

    def _hand_over(self, view: SoundView | None) -> None:
        if not self._ended.is_set():
            self._on_view(view)
