"""The prediction and joint networks on ONNX Runtime, in one graph or in two; both implement tdt.Transducer."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.prepared_form import PreparedForm
from coldvoxd.core.provider_names import short_name
from coldvoxd.engines.parakeet.decoder_ports import COUNT, FRAME, INPUT_STATES, LOGITS, STATES, TOKENS, ports_of
from coldvoxd.engines.parakeet.decoder_states import KeptState, States, copied, copy_to
from coldvoxd.native.session import OrtSession
from coldvoxd.onnx_graph.decoder_split import cut

log = logging.getLogger(__name__)

TRIES = 30
"""Measured steps; the first ones are slower, which the median ignores."""

STATE_AXES = 3
"""Layers, batch, size."""


class WholeDecoder:
    """`decoder_joint` as published: each score computes both networks."""

    def __init__(self, decoder_joint: OrtSession, blank: int) -> None:
        """Raises ModelInvalid."""
        _check(decoder_joint)
        self._session = decoder_joint
        self._blank = blank
        self._frame = _frame(decoder_joint, FRAME)
        self._token = np.zeros((1, 1), decoder_joint.inputs[TOKENS].dtype)
        self._states: tuple[States, States] = (
            _zeros(decoder_joint, INPUT_STATES),
            _zeros(decoder_joint, INPUT_STATES),
        )
        self._before = 0

        def feeds(before: int) -> dict[str, npt.NDArray[Any]]:
            told = {TOKENS: self._token} | dict(zip(INPUT_STATES, self._states[before], strict=True))
            return {FRAME: self._frame} | told | _counted(decoder_joint, COUNT)

        self._logits = _logits(decoder_joint, LOGITS, lambda: feeds(0))
        self._runs = tuple(
            decoder_joint.bound(
                feeds(before), {LOGITS: self._logits} | dict(zip(STATES, self._states[1 - before], strict=True))
            )
            for before in (0, 1)
        )

    @property
    def joint(self) -> OrtSession:
        """The session that takes encoder frames and returns scores."""
        return self._session

    @property
    def frame_size(self) -> int:
        """Values in the encoder frame that it takes."""
        return self._frame.size

    @property
    def classes(self) -> int:
        """Number of scores: of the vocabulary and of the durations, if it predicts any."""
        return self._logits.size

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

    def kept(self, token: int | None = None) -> KeptState:
        if token is None:
            return KeptState(int(self._token[0, 0]), copied(self._states[self._before]))
        return KeptState(token, copied(self._states[1 - self._before]))  # the state that the last score wrote

    def resume(self, state: KeptState) -> None:
        self._token[0, 0] = state.token
        copy_to(self._states[self._before], state.states)


class CutDecoder:
    """The prediction and the joint network in two graphs: the first runs only after a new token.

    Either coldvoxd has cut a `decoder_joint` in two, or the model has a decoder and a joiner, as sherpa-onnx's have.
    """

    def __init__(self, prediction: OrtSession, joint: OrtSession, blank: int) -> None:
        """Raises ModelInvalid."""
        self._prediction, self._joint = prediction, joint
        self._ports = ports = ports_of(prediction, joint)
        self._frame = _frame(joint, ports.frame)
        self._token = np.full((1, 1), blank, prediction.inputs[ports.token].dtype)
        self._states: tuple[States, States] = (_zeros(prediction, ports.states), _zeros(prediction, ports.states))
        self._after = 0
        """Index of the state after the tokens that the prediction network has read."""
        self._stale = False
        self._bound: _Bound | None = None
        self._classes = joint.outputs[ports.logits].shape[-1] if joint.outputs[ports.logits].shape else None

    @property
    def joint(self) -> OrtSession:
        """The session that takes encoder frames and returns scores."""
        return self._joint

    @property
    def frame_size(self) -> int:
        """Values in the encoder frame that it takes."""
        return self._frame.size

    @property
    def classes(self) -> int:
        """Number of scores: of the vocabulary and of the durations, if it predicts any. Runs graphs that do not declare it."""
        if self._classes is None:
            self._bound = self._bound or self._bind()
            self._classes = self._bound.logits.size
        return self._classes

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
        self._predict()
        self._frame[0, :, 0] = encoder_frame
        self._bound.join()
        return self._bound.logits.reshape(-1)

    def kept(self, token: int | None = None) -> KeptState:
        assert self._bound is not None  # noqa: S101 - as above
        self._predict()
        predicted = self._bound.predicted.copy() if token is None else None
        return KeptState(token or 0, copied(self._states[self._after]), predicted)

    def resume(self, state: KeptState) -> None:
        assert self._bound is not None  # noqa: S101 - as above
        copy_to(self._states[self._after], state.states)
        if state.predicted is not None:
            self._stale = False
            self._bound.predicted[:] = state.predicted
            return
        self.read(state.token)
        self._predict()
        state.states, state.predicted = copied(self._states[self._after]), self._bound.predicted.copy()

    def _predict(self) -> None:
        """Let the prediction network read the token that it has not read yet, if there is one."""
        if self._stale and self._bound is not None:
            self._bound.predict[self._after]()
            self._after = 1 - self._after
            self._stale = False

    def _bind(self) -> "_Bound":
        """Run the prediction network once: its output for blank starts every utterance, and has the size to bind."""
        ports = self._ports

        def feeds(states: States) -> dict[str, npt.NDArray[Any]]:
            return {ports.token: self._token} | dict(zip(ports.states, states, strict=True)) | counted

        counted = _counted(self._prediction, ports.count)
        start = self._prediction.run(
            (ports.predicted, *ports.next_states), feeds(_zeros(self._prediction, ports.states))
        )
        predicted = start[0].copy()

        def predict(after: int) -> Callable[[], None]:
            return self._prediction.bound(
                feeds(self._states[after]),
                {ports.predicted: predicted} | dict(zip(ports.next_states, self._states[1 - after], strict=True)),
            )

        joined = {ports.frame: self._frame, ports.read: predicted}
        logits = _logits(self._joint, ports.logits, lambda: joined)
        join = self._joint.bound(joined, {ports.logits: logits})
        return _Bound(predicted, tuple(start), logits, join, (predict(0), predict(1)))


@dataclass(frozen=True, slots=True)
class _Bound:
    """The bound runs of a decoder in two graphs, with the arrays that they read and write."""

    predicted: npt.NDArray[np.float32]
    """The prediction network's output that the joint network reads."""
    start: tuple[npt.NDArray[np.float32], ...]
    """That output and both states at the start of an utterance."""
    logits: npt.NDArray[np.float32]
    join: Callable[[], None]
    predict: tuple[Callable[[], None], Callable[[], None]]
    """Reads the first states and writes the second, and the reverse."""


Decoder = WholeDecoder | CutDecoder


class OpenGraph(Protocol):
    """Opens a graph: a file, or `content` with the weights beside the file."""

    def __call__(self, path: Path, content: bytes | None = None, /) -> OrtSession: ...


def open_decoder(
    paths: tuple[Path, ...],
    blank: int,
    open_graph: OpenGraph,
    wrap: Callable[[OrtSession], OrtSession],
) -> Decoder:
    """The decoder in two graphs where the model has two, or where `decoder_joint` can be cut, otherwise in one.

    `open_graph` opens a file, or a graph in its place; `wrap` may replace the session that scores. Raises what opening
    raises, and ModelInvalid.
    """
    if len(paths) > 1:
        prediction, joint = paths
        return CutDecoder(open_graph(prediction), wrap(open_graph(joint)), blank)
    (path,) = paths
    try:
        halves = cut(path.read_bytes())
    except (OSError, ValueError):  # opening the file reports the fault
        halves = None
    if halves is None:
        return WholeDecoder(wrap(open_graph(path)), blank)
    return CutDecoder(open_graph(path, halves.prediction), wrap(open_graph(path, halves.joint)), blank)


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
    frame = np.zeros(decoder.frame_size, np.float32)
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
    open_graph: Callable[[Path], OrtSession],
    wrap: Callable[[OrtSession], OrtSession],
) -> Decoder:
    """The decoder of a prepared form; otherwise as `open_decoder`."""
    if len(form.decoder) == 1:
        return WholeDecoder(wrap(open_graph(form.decoder[0])), blank)
    prediction, joint = form.decoder
    return CutDecoder(open_graph(prediction), wrap(open_graph(joint)), blank)


def _check(decoder_joint: OrtSession) -> None:
    missing = {FRAME, TOKENS, LOGITS, *INPUT_STATES, *STATES} - {*decoder_joint.inputs, *decoder_joint.outputs}
    if missing:
        raise ModelInvalid(
            f"{decoder_joint.path} is not the decoder_joint of a Parakeet transducer: it lacks {', '.join(sorted(missing))}"
        )


def _frame(joint: OrtSession, name: str) -> npt.NDArray[np.float32]:
    shape = joint.inputs[name].shape
    size = shape[1] if len(shape) > 1 else None
    if size is None:
        raise ModelInvalid(f"{joint.path} leaves the size of {name} open; it is not an export of this layout")
    return np.zeros((1, size, 1), np.float32)


def _logits(joint: OrtSession, name: str, feeds: Callable[[], dict[str, npt.NDArray[Any]]]) -> npt.NDArray[np.float32]:
    """An array for the scores. If the graph leaves their number open, it runs once."""
    shape = joint.outputs[name].shape
    classes = shape[-1] if shape else None
    if classes is None:
        (given,) = joint.run((name,), feeds())
        classes = given.shape[-1]
    return np.zeros((1, 1, 1, classes), np.float32)


def _counted(session: OrtSession, name: str) -> dict[str, npt.NDArray[Any]]:
    """The input with the number of tokens, if the graph has it."""
    return {name: np.ones(1, session.inputs[name].dtype)} if name in session.inputs else {}


def _zeros(session: OrtSession, names: tuple[str, str]) -> States:
    first, second = (_zero(session, name) for name in names)
    return first, second


def _zero(session: OrtSession, name: str) -> npt.NDArray[np.float32]:
    shape = session.inputs[name].shape
    layers, size = (shape[0], shape[2]) if len(shape) == STATE_AXES else (None, None)
    if layers is None or size is None:
        raise ModelInvalid(f"{session.path} leaves the size of {name} open; it is not an export of this layout")
    return np.zeros((layers, 1, size), np.float32)
