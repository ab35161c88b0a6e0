"""Cuts a recording into pieces that a recognizer can take. Pure: computed from the scores of its frames."""

import numpy as np
import numpy.typing as npt

from coldvoxd.core.quiet_place import WEIGHTS
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE

MAX_FRAMES = 20 * SAMPLE_RATE // FRAME_SAMPLES
"""Maximum length of a piece, 20 s: Parakeet v3 in int8 loses accuracy in longer ones, and memory grows with length."""
PAD_FRAMES = -(-SAMPLE_RATE // 2 // FRAME_SAMPLES)
"""Frames without speech that are kept at both ends of a piece if the recording has them: 0.5 s, rounded up."""
SHORTEST_PAUSE_FRAMES = 6
"""A pause in which a recording is cut has at least this many frames, 0.19 s: shorter ones are within a word."""
OVERLAP_FRAMES = -(-SAMPLE_RATE * 3 // 2 // FRAME_SAMPLES)
"""Frames by which two pieces reach beyond a cut that is not in a pause: 1.5 s, rounded up. `overlap` joins their words."""

Span = tuple[int, int]
"""Begin and end of a piece, in frames."""


def max_frames(seconds: float) -> int:
    """Return the maximum number of frames of a piece that may have at most this many seconds: MAX_FRAMES or fewer."""
    return (
        MAX_FRAMES
        if seconds >= MAX_FRAMES * FRAME_SAMPLES / SAMPLE_RATE
        else int(seconds * SAMPLE_RATE) // FRAME_SAMPLES
    )


def cut(
    speech: npt.NDArray[np.bool_],
    level_db: npt.NDArray[np.float32],
    *,
    max_frames: int = MAX_FRAMES,
    pad_frames: int = PAD_FRAMES,
    overlap_frames: int = OVERLAP_FRAMES,
    shortest_pause_frames: int = SHORTEST_PAUSE_FRAMES,
) -> list[Span]:
    """Return the pieces of a recording, in order, that contain all of its speech.

    `speech` is bool (n,), whether each frame may contain speech; `level_db` is float32 (n,), the level of each frame in
    dBFS. A recording whose speech fits in one piece is not cut. A longer one is cut in the middle of the longest pause
    in the second half of each piece. If that half has no pause, it is cut at its quietest place, and the pieces on both
    sides overlap there.
    """
    spoken = np.flatnonzero(speech)
    spans: list[Span] = []
    floor = 0
    while len(spoken := spoken[spoken >= floor]) > 0:
        begin = max(floor, int(spoken[0]) - pad_frames)
        end = min(int(spoken[-1]) + 1 + pad_frames, len(speech))
        if end - begin <= max_frames:
            floor = len(speech)
        elif int(spoken[-1]) < begin + max_frames:
            end = floor = begin + max_frames  # all the speech fits if the padding is shortened
        else:
            half, limit = begin + max_frames // 2, begin + max_frames
            place = pause(speech[half:limit], shortest_pause_frames)
            if place is not None:
                floor = half + place
                end = min(int(spoken[spoken < floor][-1]) + 1 + pad_frames, floor)
            else:
                place = half + quietest(level_db[half : limit - overlap_frames])
                floor, end = place - overlap_frames, place + overlap_frames
        spans.append((begin, end))
    return spans


def quietest(level_db: npt.NDArray[np.float32]) -> int:
    """Return the middle of the quietest stretch of frames, as in dictation (`core.quiet_place`)."""
    power = np.power(10, level_db.astype(np.float64) / 10)
    if len(power) < len(WEIGHTS):
        return int(np.argmin(power))
    return len(WEIGHTS) // 2 + int(np.argmin(np.convolve(power, WEIGHTS, "valid")))


def pause(speech: npt.NDArray[np.bool_], shortest_frames: int = SHORTEST_PAUSE_FRAMES) -> int | None:
    """Return the middle of the longest pause, in frames; None if no pause has `shortest_frames`."""
    edges = np.flatnonzero(np.diff(np.concatenate(([True], speech, [True])).astype(np.int8)))
    pauses = edges.reshape(-1, 2)
    if len(pauses) == 0:
        return None
    longest = pauses[int(np.argmax(pauses[:, 1] - pauses[:, 0]))]
    return int(longest.sum()) // 2 if longest[1] - longest[0] >= shortest_frames else None
