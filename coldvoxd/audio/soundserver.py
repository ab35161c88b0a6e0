"""The sound server's names for microphones, and the source that our capture stream records.

PulseAudio and PipeWire both implement PulseAudio's protocol. Every call here blocks, and hangs while the server is
frozen: `look` and `hold_to` run on the device thread; `SoundWatch` has its own thread.
"""

import asyncio
import contextlib
import ctypes.util
import itertools
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from coldvoxd.audio.device_retry import surroundings
from coldvoxd.core.sound_sources import DEFAULT, SoundView, Source

log = logging.getLogger(__name__)


def _import_pulsectl() -> Any | None:
    """The binding; None without libpulse. By default it would search for the library by running ldconfig and gcc."""
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
"""Marks this process's streams on the server: PIDs are not unique across containers."""
_NUMBER_TAG = "coldvoxd.stream"
_numbers = itertools.count(1)
"""Numbers of this process's streams, in the order of their opening: two are open while the microphone is switched."""
FOLLOW = "@DEFAULT_SOURCE@"
"""The server's name for its default source. With it, our stream follows the default, whatever the server has stored."""
SETTLE_S = 0.05
"""Changes come in bursts: seconds to wait after the first one before the server is read."""
FIRST_RETRY_S = 0.25
LAST_RETRY_S = 10.0
POLL_S = 0.5
"""Seconds between two checks for the server's socket while there is none: a few stat calls."""


@contextlib.contextmanager
def _connected() -> Iterator[Any]:
    """A temporary connection; raises ConnectionError if no server answers or it exits."""
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
    """The current state of the server; None if there is none."""
    try:
        with _connected() as server:
            return _view(server)
    except ConnectionError:
        return None


def steer(wanted: str, *, unmixed: bool = False) -> None:
    """Set the source for the next stream of this process: a source's name, or `default`.

    `unmixed`: the source's channels without remixing, which only PipeWire supports.

    Uses libpulse's environment variables, the only way to configure the ALSA device. They are first set at startup and
    only overwritten later, so that no other thread reads an environment block that is being moved.
    """
    os.environ["PULSE_SOURCE"] = FOLLOW if wanted == DEFAULT else wanted
    remix = " stream.dont-remix=true" if unmixed else ""
    tags = f"{_TAG}={_INSTANCE} {_NUMBER_TAG}={next(_numbers)}"
    os.environ["PULSE_PROP"] = f"application.id=org.coldvox.Daemon1 {tags}{remix}"


def hold_to(name: str) -> SoundView | None:
    """Make sure that our newest stream records that source; return the state of the server for that stream."""
    try:
        with _connected() as server:
            target = next((source for source in server.source_list() if source.name == name), None)
            for stream in _ours(server)[-1:]:
                if target is not None and stream.source != target.index:
                    log.info(
                        "moving the capture stream to %s; the sound server had connected it to another source", name
                    )
                    server.source_output_move(stream.index, target.index)
            return _view(server, newest=True)
    except ConnectionError:
        return None


def _ours(server: Any) -> list[Any]:
    """Return the streams of this process, the oldest first."""
    ours = [stream for stream in server.source_output_list() if stream.proplist.get(_TAG) == _INSTANCE]
    return sorted(ours, key=_number)


def _number(stream: Any) -> int:
    return int(stream.proplist.get(_NUMBER_TAG, 0))


def _view(server: Any, *, newest: bool = False) -> SoundView:
    """The state of the server. While the microphone is switched, the old stream is the one in use, unless `newest`."""
    listed = server.source_list()
    ours = _ours(server)[-1 if newest else 0 :][:1]
    names = {source.index: source.name for source in listed}
    about = server.server_info()
    return SoundView(
        sources=tuple(_source(source) for source in listed),
        default=about.default_source_name or "",
        heard=names.get(ours[0].source, "") if ours else "",
        stream=_number(ours[0]) if ours else 0,
        stream_muted=bool(ours and ours[0].mute),
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
    """Reports the state of the sound server, now and after each change; None while there is no server.

    Uses no CPU time while nothing changes. `on_view` is called on the event loop. A frozen server blocks only this
    thread; capture detects missing audio by itself.
    """

    def __init__(self, on_view: Callable[[SoundView | None], None]) -> None:
        self._on_view = on_view
        self._loop = asyncio.get_running_loop()
        self._ended = threading.Event()
        self._server: Any = None

    def start(self) -> None:
        threading.Thread(target=self._run, name="sound-server", daemon=True).start()

    def close(self) -> None:
        """Stop reporting; the thread ends with the server's next change."""
        self._ended.set()
        if self._server is not None:
            with contextlib.suppress(Exception):  # it may have just ended
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
            with contextlib.suppress(RuntimeError):  # the loop is closed: the process is exiting
                self._loop.call_soon_threadsafe(self._hand_over, view)

    def _hand_over(self, view: SoundView | None) -> None:
        if not self._ended.is_set():
            self._on_view(view)
