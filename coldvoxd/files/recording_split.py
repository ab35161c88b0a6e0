"""Cuts a recording into pieces that a recognizer can take. Pure: computed from the scores of its frames."""

import numpy as np
import numpy.typing as npt

from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE

MAX_FRAMES = 20 * SAMPLE_RATE // FRAME_SAMPLES
"""Maximum length of a piece, 20 s: Parakeet v3 in int8 loses accuracy in longer ones, and memory grows with length."""
PAD_FRAMES = -(-SAMPLE_RATE // 2 // FRAME_SAMPLES)
"""Frames without speech that are kept at both ends of a piece if the recording has them: 0.5 s, rounded up."""

Span = tuple[int, int]
"""Begin and end of a piece, in frames."""


def cut(
    speech: npt.NDArray[np.bool_],
    level_db: npt.NDArray[np.float32],
    *,
    max_frames: int = MAX_FRAMES,
    pad_frames: int = PAD_FRAMES,
) -> list[Span]:
    """Return the pieces of a recording, in order and not overlapping, that contain all of its speech.

    `speech` is bool (n,), whether each frame may contain speech; `level_db` is float32 (n,), the level of each frame in
    dBFS. A recording whose speech fits in one piece is not cut. A longer one is cut in the middle of the longest pause
    in the second half of each piece, or at the quietest frame of that half if it has no pause.
    """
    spoken = np.flatnonzero(speech)
    spans: list[Span] = []
    floor = 0
    while len(spoken := spoken[spoken >= floor]) > 0:
        begin = max(floor, int(spoken[0]) - pad_frames)
        end = min(int(spoken[-1]) + 1 + pad_frames, len(speech))
        if end - begin > max_frames:
            if int(spoken[-1]) < begin + max_frames:
                floor = begin + max_frames  # all the speech fits if the padding is shortened
            else:
                floor = _place(speech, level_db, begin + max_frames // 2, begin + max_frames)
            end = min(int(spoken[spoken < floor][-1]) + 1 + pad_frames, floor)
        else:
            floor = len(speech)
        spans.append((begin, end))
    return spans


def _place(speech: npt.NDArray[np.bool_], level_db: npt.NDArray[np.float32], begin: int, end: int) -> int:
    """Return the frame before which to cut, in [begin, end)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([True], speech[begin:end], [True])).astype(np.int8)))
    pauses = edges.reshape(-1, 2)
    if len(pauses) == 0:
        return begin + int(np.argmin(level_db[begin:end]))
    longest = pauses[int(np.argmax(pauses[:, 1] - pauses[:, 0]))]
    return begin + int(longest.sum()) // 2
