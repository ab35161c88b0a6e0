"""Keeps JACK's library from being called in this process.

PortAudio's initialization opens a JACK client twice: as one of its own audio systems, and through ALSA's PCM of type
`jack`, since it opens every PCM that ALSA's configuration names. For each, libjack opens a Berkeley DB environment in
/dev/shm/jack_db-UID before it looks for a server. A process that dies at that moment, or that has no file descriptor left,
leaves the environment half made; from then on `Pa_Initialize` never returns in any process of that user. No
option and no variable of libjack's avoids the database, so both callers are removed.
"""

import ctypes
import functools
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyaudio

log = logging.getLogger(__name__)

JACK, ALSA = "PaJack_Initialize", "PaAlsa_Initialize"
LARGEST_TABLE = 16
"""Entries. PortAudio has fewer than ten audio systems on Unix."""
MAPS = Path("/proc/self/maps")
PCM_TYPE = b"jack"
CLIENT = """
import ctypes
jack = ctypes.CDLL("libjack.so.0")
jack.jack_client_open(b"coldvoxd-doctor", 1, ctypes.byref(ctypes.c_int()))
"""
"""Opens a client with JackNoStartServer (1). It ends with an exception where the machine has no libjack."""
_WORD = ctypes.sizeof(ctypes.c_void_p)


def keep_jack_out() -> bool:
    """Remove JACK from the audio systems of the next `Pa_Initialize`; return whether that was possible.

    Call before each `Pa_Initialize`, on its thread. Takes about 1 ms if ALSA's configuration is already loaded.
    """
    library = ctypes.CDLL(pyaudio.pa.__file__)  # also finds the functions of the libraries that it is linked with
    return all((_remove_from_portaudio(), _remove_from_alsa(library)))


def database() -> Path:
    """The directory of libjack's Berkeley DB environment, by common/JackTools.cpp of JACK 1.9; it need not exist."""
    return Path(f"/dev/shm/jack_db-{os.getuid()}")  # noqa: S108 - JACK's choice


def database_hangs(limit_s: float) -> bool:
    """Whether a program that uses JACK hangs: starts one, and kills it after `limit_s`. Blocks."""
    try:
        subprocess.run(  # noqa: S603 - our own
            [sys.executable, "-c", CLIENT], timeout=limit_s, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired:
        return True
    return False


class _Mapping(NamedTuple):
    """A line of /proc/PID/maps."""

    start: int
    end: int
    access: str
    file: str

    @classmethod
    def parsed(cls, line: str) -> "_Mapping":
        addresses, access, _offset, _device, _inode, *file = line.split(maxsplit=5)
        start, end = (int(address, 16) for address in addresses.split("-"))
        return cls(start, end, access, *(file or [""]))

    def holds(self, address: int) -> bool:
        return self.start <= address < self.end


@functools.cache
def _remove_from_portaudio() -> bool:
    """Remove JACK from `paHostApiInitializers`, a writable, NULL-terminated array of functions, for the whole process.

    See src/os/unix/pa_unix_hostapis.c. Many builds hide the name of the array, so it is found by its content.
    """
    library = ctypes.CDLL(pyaudio.pa.__file__)
    jack, alsa = _address(library, JACK), _address(library, ALSA)
    if jack is None or alsa is None:
        return jack is None
    try:
        table = _table(jack, alsa)
    except OSError as error:
        log.warning("cannot keep JACK out of PortAudio: %s", error)
        return False
    if table is None:
        log.warning("cannot keep JACK out of PortAudio: its table of audio systems was not found")
        return False
    others = [entry for entry in table if entry != jack]
    for index in range(len(table)):
        table[index] = others[index] if index < len(others) else None
    return True


def _address(library: ctypes.CDLL, name: str) -> int | None:
    function = getattr(library, name, None)
    return ctypes.cast(function, ctypes.c_void_p).value if function is not None else None


def _table(jack: int, alsa: int) -> "ctypes.Array[ctypes.c_void_p] | None":
    """PortAudio's table without the NULL at its end; None if no array looks like it. Raises OSError."""
    mappings = [_Mapping.parsed(line) for line in MAPS.read_text().splitlines()]
    file = next(mapping.file for mapping in mappings if mapping.holds(jack))
    own = [mapping for mapping in mappings if mapping.file == file]
    code = [mapping for mapping in own if "x" in mapping.access]
    for mapping in own:
        if not mapping.access.startswith("rw"):
            continue
        for address, entries in _arrays(mapping):
            functions = all(any(part.holds(entry) for part in code) for entry in entries)
            if {jack, alsa} <= set(entries) and len(entries) <= LARGEST_TABLE and functions:
                return (ctypes.c_void_p * len(entries)).from_address(address)
    return None


def _arrays(mapping: _Mapping) -> Iterator[tuple[int, list[int]]]:
    """Address and words of each array in a mapping that ends with a zero word."""
    words = (ctypes.c_size_t * ((mapping.end - mapping.start) // _WORD)).from_address(mapping.start)
    array: list[int] = []
    for index, word in enumerate(words):
        if word:
            array.append(word)
        elif array:
            yield mapping.start + _WORD * (index - len(array)), array
            array = []


def _remove_from_alsa(library: ctypes.CDLL) -> bool:
    """Delete the PCMs of type `jack` from the configuration that ALSA holds in memory.

    PortAudio's termination frees that configuration, so this is done before each initialization.
    """
    if _address(library, "snd_config_update") is None:
        return True
    if (error := library.snd_config_update()) < 0:
        log.debug("cannot keep JACK out of ALSA: its configuration cannot be read (error %d)", error)
        return False
    root, pcms = ctypes.c_void_p.in_dll(library, "snd_config"), ctypes.c_void_p()
    if library.snd_config_search(root, b"pcm", ctypes.byref(pcms)) < 0:
        return True
    for node in list(_children(library, pcms)):
        if _pcm_type(library, node) == PCM_TYPE:
            library.snd_config_delete(node)
    return True


def _children(library: ctypes.CDLL, node: ctypes.c_void_p) -> Iterator[ctypes.c_void_p]:
    for name in ("first", "next", "end", "entry"):
        getattr(library, f"snd_config_iterator_{name}").restype = ctypes.c_void_p
    end = library.snd_config_iterator_end(node)
    at = library.snd_config_iterator_first(node)
    while at != end:
        yield ctypes.c_void_p(library.snd_config_iterator_entry(ctypes.c_void_p(at)))
        at = library.snd_config_iterator_next(ctypes.c_void_p(at))


def _pcm_type(library: ctypes.CDLL, node: ctypes.c_void_p) -> bytes | None:
    found, text = ctypes.c_void_p(), ctypes.c_char_p()
    if library.snd_config_search(node, b"type", ctypes.byref(found)) < 0:
        return None
    if library.snd_config_get_string(found, ctypes.byref(text)) < 0:
        return None
    return text.value
