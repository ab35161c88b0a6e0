"""The prediction and joint networks on ONNX Runtime, in one graph or in two; both implement tdt.Transducer."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.prepared_form import PreparedForm
from coldvoxd.core.provider_names import short_name
from coldvoxd.native.session import OrtSession
from coldvoxd.onnx_graph.decoder_split import FRAME, LOGITS, STATES, cut

log = logging.getLogger(__name__)

INPUT_STATES = ("input_states_1", "input_states_2")
TOKENS = "targets"
COUNT = "target_length"
TRIES = 30
"""Measured steps; the first ones are slower, which the median ignores."""

States = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


class WholeDecoder:
    """`decoder_joint` as published: each score computes both networks."""

    def __init__(self, decoder_joint: OrtSession, blank: int, classes: int) -> None:
        """`classes` is the number of scores: the vocabulary and the durations. Raises ModelInvalid."""
        _check((decoder_joint,), decoder_joint)
        self._session = decoder_joint
        self._blank = blank
        self._frame = _frame(decoder_joint)
        self._token = np.zeros((1, 1), decoder_joint.inputs[TOKENS].dtype)
        self._states: tuple[States, States] = (_zeros(decoder_joint), _zeros(decoder_joint))
        self._before = 0
        self._logits = np.zeros((1, 1, 1, classes), np.float32)
        self._runs = tuple(
            decoder_joint.bound(
                {FRAME: self._frame} | _feeds(decoder_joint, self._token, self._states[before]),
                {LOGITS: self._logits} | dict(zip(STATES, self._states[1 - before], strict=True)),
            )
            for before in (0, 1)
        )

    @property
    def joint(self) -> OrtSession:
        """The session that takes encoder frames and returns scores."""
        return self._session

    def close(self) -> None:
        self._session.close()

    def begin(self) -> None:
        self._token[0, 0] = self._blank
        for state in self._states[self._before]:
            state[:] = 0

    def read(self, token: int) -> None:
        # The token of the last run is accepted, and with it the state that the run wrote: the next run reads it.
        self._before = 1 - self._before
        self._token[0, 0] = token

    def score(self, encoder_frame: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self._frame[0, :, 0] = encoder_frame
        self._runs[self._before]()
        return self._logits.reshape(-1)


class CutDecoder:
    """`decoder_joint` in two graphs: a score runs the joint network, and the prediction network only after a new token."""

    def __init__(self, prediction: OrtSession, joint: OrtSession, link: str, blank: int, classes: int) -> None:
        """`link` is the output of `prediction` that `joint` reads. Raises ModelInvalid."""
        _check((prediction, joint), joint)
        self._prediction, self._joint = prediction, joint
        self._link = link
        self._frame = _frame(joint)
        self._token = np.full((1, 1), blank, prediction.inputs[TOKENS].dtype)
        self._states: tuple[States, States] = (_zeros(prediction), _zeros(prediction))
        self._logits = np.zeros((1, 1, 1, classes), np.float32)
        self._after = 0
        """Index of the state after the tokens that the prediction network has read."""
        self._stale = False
        self._bound: _Bound | None = None

    @property
    def joint(self) -> OrtSession:
        """The session that takes encoder frames and returns scores."""
        return self._joint

    def close(self) -> None:
        self._joint.close()
        self._prediction.close()

    def begin(self) -> None:
        if self._bound is None:
            self._bound = self._bind()
        self._stale = False
        for kept, start in zip((self._bound.predicted, *self._states[self._after]), self._bound.start, strict=True):
            kept[:] = start

    def read(self, token: int) -> None:
        self._token[0, 0] = token
        self._stale = True

    def score(self, encoder_frame: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        assert self._bound is not None  # noqa: S101 - `begin` precedes `score`
        if self._stale:
            self._bound.predict[self._after]()
            self._after = 1 - self._after
            self._stale = False
        self._frame[0, :, 0] = encoder_frame
        self._bound.join()
        return self._logits.reshape(-1)

    def _bind(self) -> "_Bound":
        """Run the prediction network once: its output for blank starts every utterance, and has the size to bind."""
        start = self._prediction.run(
            (self._link, *STATES), _feeds(self._prediction, self._token, _zeros(self._prediction))
        )
        predicted = start[0].copy()

        def predict(after: int) -> Callable[[], None]:
            return self._prediction.bound(
                _feeds(self._prediction, self._token, self._states[after]),
                {self._link: predicted} | dict(zip(STATES, self._states[1 - after], strict=True)),
            )

        join = self._joint.bound({FRAME: self._frame, self._link: predicted}, {LOGITS: self._logits})
        return _Bound(predicted, tuple(start), join, (predict(0), predict(1)))


@dataclass(frozen=True, slots=True)
class _Bound:
    """The bound runs of a decoder in two graphs, with the arrays that they read and write."""

    predicted: npt.NDArray[np.float32]
    """The prediction network's output that the joint network reads."""
    start: tuple[npt.NDArray[np.float32], ...]
    """That output and both states at the start of an utterance."""
    join: Callable[[], None]
    predict: tuple[Callable[[], None], Callable[[], None]]
    """Reads the first states and writes the second, and the reverse."""


Decoder = WholeDecoder | CutDecoder


def open_decoder(
    path: Path,
    blank: int,
    classes: int,
    open_graph: Callable[[bytes | None], OrtSession],
    wrap: Callable[[OrtSession], OrtSession],
) -> Decoder:
    """The decoder in two graphs where `decoder_joint` can be cut, otherwise in one.

    `open_graph` opens a graph from its content, or the file itself for None; `wrap` may replace the session that scores.
    Raises what opening raises, and ModelInvalid.
    """
    try:
        halves = cut(path.read_bytes())
    except (OSError, ValueError):  # opening the file reports the fault
        halves = None
    if halves is None:
        return WholeDecoder(wrap(open_graph(None)), blank, classes)
    return CutDecoder(open_graph(halves.prediction), wrap(open_graph(halves.joint)), halves.link, blank, classes)


def faster(one: Decoder, other: Decoder) -> Decoder:
    """Measure both decoders, return the faster one and close the other. Raises ProviderFault.

    A step is so little work that starting it on an accelerator may take longer than computing it on the CPU.
    """
    seconds = {id(decoder): _step_s(decoder) for decoder in (one, other)}
    first, second = sorted((one, other), key=lambda decoder: seconds[id(decoder)])
    log.info(
        "the decoder runs on %s: %.2f ms per step, %.2f on %s",
        short_name(first.joint.provider),
        1000 * seconds[id(first)],
        1000 * seconds[id(second)],
        short_name(second.joint.provider),
    )
    second.close()
    return first


def _step_s(decoder: Decoder) -> float:
    """Median time in seconds of a score and the reading of a token."""
    frame = np.zeros(decoder.joint.inputs[FRAME].shape[1] or 1, np.float32)
    took = []
    decoder.begin()
    for _ in range(TRIES):
        began_s = time.perf_counter()
        decoder.score(frame)
        decoder.read(0)
        took.append(time.perf_counter() - began_s)
    return sorted(took)[TRIES // 2]


def open_prepared(
    form: PreparedForm,
    blank: int,
    classes: int,
    open_graph: Callable[[Path], OrtSession],
    wrap: Callable[[OrtSession], OrtSession],
) -> Decoder:
    """The decoder of a prepared form; otherwise as `open_decoder`."""
    if len(form.decoder) == 1:
        return WholeDecoder(wrap(open_graph(form.decoder[0])), blank, classes)
    prediction, joint = form.decoder
    return CutDecoder(open_graph(prediction), wrap(open_graph(joint)), form.link, blank, classes)


def _check(sessions: tuple[OrtSession, ...], joint: OrtSession) -> None:
    known = {name for session in sessions for name in (*session.inputs, *session.outputs)}
    missing = {FRAME, TOKENS, LOGITS, *INPUT_STATES, *STATES} - known
    if missing:
        raise ModelInvalid(
            f"{joint.path} is not the decoder_joint of a Parakeet TDT: it lacks {', '.join(sorted(missing))}"
        )


def _frame(joint: OrtSession) -> npt.NDArray[np.float32]:
    size = joint.inputs[FRAME].shape[1]
    if size is None:
        raise ModelInvalid(f"{joint.path} leaves the size of {FRAME} open; it is not an export of this layout")
    return np.zeros((1, size, 1), np.float32)


def _feeds(session: OrtSession, token: npt.NDArray[Any], states: States) -> dict[str, npt.NDArray[Any]]:
    feeds = {TOKENS: token} | dict(zip(INPUT_STATES, states, strict=True))
    if COUNT in session.inputs:
        feeds[COUNT] = np.ones(1, session.inputs[COUNT].dtype)
    return feeds


def _zeros(session: OrtSession) -> States:
    first, second = (_zero(session, name) for name in INPUT_STATES)
    return first, second


def _zero(session: OrtSession, name: str) -> npt.NDArray[np.float32]:
    layers, _, size = session.inputs[name].shape
    if layers is None or size is None:
        raise ModelInvalid(f"{session.path} leaves the size of {name} open; it is not an export of this layout")
    return np.zeros((layers, 1, size), np.float32)
