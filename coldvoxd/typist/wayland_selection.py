"""Owns a selection in Wayland by ext-data-control-v1 or wlr-data-control-unstable-v1, whose requests are the same."""

import asyncio
import os
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress

from coldvoxd.typist.clipboard_content import Content
from coldvoxd.typist.errors import Refused, Unavailable
from coldvoxd.typist.settings import Selection
from coldvoxd.typist.wayland import Wayland, string

MANAGERS = {"ext_data_control_manager_v1": 1, "zwlr_data_control_manager_v1": 2}
"""The version of each that has the primary selection."""
FINISH_S = 10.0
"""Seconds that programs get to read the rest of content that was replaced meanwhile."""

_CREATE_SOURCE, _GET_DEVICE = 0, 1
_OFFER = 0
_SET_SELECTION, _SET_PRIMARY = 0, 2
_SEND, _CANCELLED = 0, 1
"""Events of the source."""


async def own(
    content: Content,
    selection: Selection,
    environment: Mapping[str, str],
    wanted: Callable[[], bool],
    held: Callable[[], None],
) -> None:
    """Put `content` into the selection if it is still `wanted`, call `held`, and return once it was replaced.

    Raises Unavailable if the compositor gives its selections to no such program, and Refused if it does not respond.
    """
    wayland = await Wayland.connect(environment)
    try:
        source, device = _objects(wayland)
        for kind in content:
            wayland.send(source, _OFFER, string(kind))
        await wayland.sync()
        if not wanted():
            return
        primary = selection is Selection.PRIMARY
        wayland.send(device, _SET_PRIMARY if primary else _SET_SELECTION, struct.pack("=I", source))
        await wayland.sync()
        held()
        await _serve(wayland, source, content)
    finally:
        wayland.close()


def _objects(wayland: Wayland) -> tuple[int, int]:
    """Return a new source and the device of the first seat."""
    seat = wayland.bind("wl_seat")
    for name, version in MANAGERS.items():
        if wayland.version(name) >= version:
            manager = wayland.bind(name, version)
            return wayland.create(manager, _CREATE_SOURCE), wayland.create(manager, _GET_DEVICE, then=(seat,))
    raise Unavailable(f"the compositor does not offer {' or '.join(MANAGERS)}")


async def _serve(wayland: Wayland, source: int, content: Content) -> None:
    """Send the content to each program that asks, until it was replaced or the compositor ends."""
    sending: set[asyncio.Task[None]] = set()
    replaced = False
    with suppress(Refused):  # the desktop has ended, and the selection with it
        while not replaced:
            await wayland.until_event(source)
            for opcode, body in wayland.events(source):
                replaced = replaced or opcode == _CANCELLED
                if opcode == _SEND:
                    kind = body[4 : 3 + struct.unpack_from("=I", body)[0]].decode()
                    task = asyncio.create_task(_send(wayland.take_descriptor(), content.get(kind, b"")))
                    sending.add(task)
                    task.add_done_callback(sending.discard)
    if sending:
        await asyncio.wait(sending, timeout=FINISH_S)


async def _send(descriptor: int, part: bytes) -> None:
    try:
        os.set_blocking(descriptor, False)
        rest = memoryview(part)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                await _writable(descriptor)
    except OSError:
        return  # the program does not read on
    finally:
        os.close(descriptor)


async def _writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(descriptor)
