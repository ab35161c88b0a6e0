"""Records the page that a user reads for `coldvoxctl doctor --first-run`. The audio stays in memory."""

import contextlib
import os
import queue
import select
import sys
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from coldvoxd.assembly.microphone import open_microphone
from coldvoxd.cli.output import Output, StatusLine, is_terminal, print_remark
from coldvoxd.core.audio_values import Chunk
from coldvoxd.core.errors import CaptureFault
from coldvoxd.core.mixdown import mixed
from coldvoxd.core.settings import EndpointSettings, MicrophoneSettings
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE
from coldvoxd.evaluate.engines import as_file
from coldvoxd.first_run.speech import page
from coldvoxd.vad.silero import SileroDetector
from coldvoxd.virtual.microphone import VirtualMicrophone

LONGEST_S = 240.0
"""Seconds after which a recording ends in any case; the page takes about one minute."""
QUIET_S = 6.0
"""Seconds of silence after speech that end it."""
PATIENCE_S = 30.0
"""Seconds without any speech after which it is given up."""
DEAD_S = 5.0
"""Seconds without any audio after which it is given up."""
_QUESTION = (
    "Would you read a page aloud? It takes a minute, and shows how well the model understands your voice. Audio and text stay in "
    "memory, and only numbers are in the report. [y/N] "
)


def is_wanted(wanted: bool | None, output: Output) -> bool:
    """Return whether the user reads: as the option says, otherwise as asked on a terminal. Never blocks without one."""
    if wanted is not None:
        return wanted
    if output.as_json or not is_terminal(sys.stdin) or not is_terminal(sys.stderr):
        return False
    print_remark(_QUESTION, end="")
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}


@contextlib.contextmanager
def read_page(settings: MicrophoneSettings) -> Iterator[int]:
    """Show the page, record, and yield the descriptor of a memory file with what was said. Raises CaptureFault."""
    print_remark(f"\n{page()}")
    has_keys = is_terminal(sys.stdin)
    if has_keys:
        print_remark("Press Enter, read the page aloud, and press Enter again. ", end="")
        sys.stdin.readline()
    else:
        print_remark("Read the page aloud now; six seconds of silence end it.")
    samples = _recorded(settings, has_keys=has_keys)
    with as_file(samples.astype(np.float32) / np.float32(32768)) as descriptor:
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor


def _recorded(settings: MicrophoneSettings, *, has_keys: bool) -> npt.NDArray[np.int16]:
    """Return what was said, int16 (n,) at 16 kHz. Raises CaptureFault if nothing was."""
    chunks: queue.Queue[npt.NDArray[np.int16]] = queue.Queue()

    def deliver(chunk: Chunk) -> None:
        chunks.put(chunk.samples if chunk.samples.ndim == 1 else mixed(chunk.samples))

    microphone = open_microphone(settings)
    opened = microphone.open(deliver)
    try:
        return _until_the_end(chunks, opened.name, has_keys=has_keys)
    finally:
        microphone.close()
        if isinstance(microphone, VirtualMicrophone):
            microphone.shutdown()


def _until_the_end(chunks: "queue.Queue[npt.NDArray[np.int16]]", name: str, *, has_keys: bool) -> npt.NDArray[np.int16]:
    """Return the audio up to Enter, a long silence, or the limit. Raises CaptureFault."""
    detector, line = SileroDetector(), StatusLine()
    threshold = EndpointSettings().threshold
    heard = np.zeros(0, np.int16)
    parts: list[npt.NDArray[np.int16]] = []
    count, spoken_at = 0, -1
    try:
        while not (has_keys and _is_pressed()):
            try:
                part = chunks.get(timeout=DEAD_S)
            except queue.Empty:
                raise CaptureFault(f"“{name}” delivered no audio for {DEAD_S:g} s") from None
            parts.append(part)
            heard = np.concatenate((heard, part))
            while len(heard) >= FRAME_SAMPLES:
                count += FRAME_SAMPLES
                if detector.score(heard[:FRAME_SAMPLES]) >= threshold:
                    spoken_at = count
                heard = heard[FRAME_SAMPLES:]
            seconds = count / SAMPLE_RATE
            line.show(f"listening to “{name}”", f" {seconds:.0f} s{'; Enter ends it' if has_keys else ''}")
            if seconds >= LONGEST_S or (spoken_at >= 0 and count - spoken_at >= QUIET_S * SAMPLE_RATE):
                break
            if spoken_at < 0 and seconds >= PATIENCE_S:
                break
    finally:
        line.clear()
    if spoken_at < 0:
        raise CaptureFault(f"no speech was heard from “{name}”")
    return np.concatenate(parts)


def _is_pressed() -> bool:
    """Return whether Enter was pressed; it is taken from standard input."""
    if not select.select([sys.stdin], [], [], 0)[0]:
        return False
    sys.stdin.readline()
    return True
