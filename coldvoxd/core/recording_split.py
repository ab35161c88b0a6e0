"""Where a recording is cut into pieces that a recognizer can take, from the scores of its frames."""

import numpy as np
import numpy.typing as npt

from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE

MAX_FRAMES = 20 * SAMPLE_RATE // FRAME_SAMPLES
"""A piece is at most 20 s: v3 in int8 loses accuracy beyond, and memory grows with it."""
PAD_FRAMES = -(-SAMPLE_RATE // 2 // FRAME_SAMPLES)
"""Half a second and a little of what is not speech stays at both ends of a piece, where the recording has it."""

Span = tuple[int, int]
"""Begin and end, in frames."""


def cut(
    speech: npt.NDArray[np.bool_],
    level_db: npt.NDArray[np.float32],
    *,
    max_frames: int = MAX_FRAMES,
    pad_frames: int = PAD_FRAMES,
) -> list[Span]:
    """The pieces of a recording, in order and not overlapping, that hold all of its speech.

    `speech` says of each frame whether it may hold speech, bool (n,); `level_db` how loud it is, float32 (n,). What
    fits in one piece stays one. A longer recording is cut in the middle of the longest pause in the second half of
    each piece, or at its quietest frame where there is no pause.
    """
    spoken = np.flatnonzero(speech)
    spans: list[Span] = []
    floor = 0
    while len(spoken := spoken[spoken >= floor]) > 0:
        begin = max(floor, int(spoken[0]) - pad_frames)
        end = min(int(spoken[-1]) + 1 + pad_frames, len(speech))
        if end - begin > max_frames:
            if int(spoken[-1]) < begin + max_frames:
                floor = begin + max_frames  # all the speech fits; less padding will do
            else:
                floor = _place(speech, level_db, begin + max_frames // 2, begin + max_frames)
            end = min(int(spoken[spoken < floor][-1]) + 1 + pad_frames, floor)
        else:
            floor = len(speech)
        spans.append((begin, end))
    return spans


def _place(speech: npt.NDArray[np.bool_], level_db: npt.NDArray[np.float32], begin: int, end: int) -> int:
    """The frame before which to cut, in [begin, end)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([True], speech[begin:end], [True])).astype(np.int8)))
    pauses = edges.reshape(-1, 2)
    if len(pauses) == 0:
        return begin + int(np.argmin(level_db[begin:end]))
    longest = pauses[int(np.argmax(pauses[:, 1] - pauses[:, 0]))]
    return begin + int(longest.sum()) // 2
