"""Injected faults inside the encoder or the decoder of a real recognizer's run."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import numpy as np
import numpy.typing as npt

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import ProviderFault, Stopped
from coldvoxd.core.ports import BatchEncoder, Recognizer, Searcher
from coldvoxd.core.values import Hypothesis, Precision, Utterance
from coldvoxd.native.session import OrtSession
from coldvoxd.onnx_graph.decoder_split import FRAME

MESSAGES = {
    "memory": "CUDA failure 2: out of memory",
    "illegal": "CUDA failure 700: an illegal memory access was encountered",
    "lost": "CUDA failure 999: unknown error",
    "fault": "an unknown fault",
}
"""ONNX Runtime's messages for such faults on a real GPU."""
ANSWERS = ("wrong", "empty")
"""Wrong results instead of faults."""
AFTER_A_RUN = ("nan", *ANSWERS)
"""Applied to the real output of a part or a run, and therefore not to a cancelled run."""
STALL = "stall"
"""The decoder returns blank as described in `engines.parakeet.holes`; a kind of its own command."""
DURATIONS = 5
"""Number of scores after that of blank: TDT's durations 0 to 4."""
KINDS = (*MESSAGES, "nan", "broken", *ANSWERS)
"""`nan`: the part's real output times NaN. `broken`: the part is run with inputs that ONNX Runtime rejects."""
PARTS = ("start", "encoder", "decoder")
"""Where in a run: before it, or inside the run of a graph."""

Wrap = Callable[[OrtSession], OrtSession]
"""Wraps a recognizer's encoder session, then its decoder's."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The faults of one run; none by default."""

    kind: str = ""
    part: str = "encoder"
    longer_s: float = 0.0
    """Seconds added to that part, before anything else happens."""
    tokens: int = 0
    """Number of tokens before the stall."""
    frames: int = 0
    """Length of the stall in encoder frames; 0 for a stall that ends when decoding starts from a fresh state."""


class Script:
    """The faults of the next runs, and the results of earlier ones. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: deque[Plan] = deque()
        self.runs = self.faults = 0
        self.run_s = self.fault_s = 0.0
        """`time.monotonic()` at the start of the last run with a plan, and at the last fault."""

    @property
    def pending(self) -> int:
        return len(self._plans)

    def tell(self, plan: Plan, times: int = 1) -> None:
        with self._lock:
            self._plans.extend([plan] * times)

    def forget(self) -> None:
        with self._lock:
            self._plans.clear()

    def begin(self) -> Plan:
        """Start a run."""
        with self._lock:
            self.runs += 1
            plan = self._plans.popleft() if self._plans else Plan()
            if plan != Plan():
                self.run_s = time.monotonic()
            return plan

    def give_back(self, plan: Plan) -> None:
        """Return an unused fault, for the next run."""
        with self._lock:
            self._plans.appendleft(plan)

    def happened(self) -> None:
        with self._lock:
            self.faults += 1
            self.fault_s = time.monotonic()


class FaultyRecognizer:
    """A Recognizer with the faults of a script. `open_recognizer` allows its sessions to be wrapped; blocks."""

    def __init__(
        self,
        open_recognizer: Callable[[Wrap], Recognizer],
        script: Script,
        provider: str = "",
        durations: int = DURATIONS,
    ) -> None:
        """`durations` is the number of scores after that of blank, for a stall: 0 for an RNN-T."""
        self.durations = durations
        self._script = script
        self._provider = provider
        self._parts = cycle(PARTS[1:])
        self._plan = Plan()
        self._real = open_recognizer(self._wrapped)

    @property
    def provider(self) -> str:
        return self._provider or self._real.provider

    @property
    def precision(self) -> Precision:
        return self._real.precision

    @property
    def features_size(self) -> int:
        return self._real.features_size

    @property
    def languages(self) -> tuple[str, ...]:
        return self._real.languages

    @property
    def has_alternatives(self) -> bool:
        return isinstance(self._real, Searcher) and self._real.has_alternatives

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        self._plan = plan = self._script.begin()
        if plan.part == "start":
            self.meet(plan, self.provider)
        try:
            hypothesis = replace(self._real.recognize(utterance, stop), provider=self.provider)
        except Stopped:  # as a speculative run is, if speech continues
            if self._plan != Plan() or plan.kind in AFTER_A_RUN:
                self._script.give_back(plan)
            raise
        if plan.kind not in ANSWERS:
            return hypothesis
        self._script.happened()
        if plan.kind == "wrong":
            return replace(hypothesis, text="Something else entirely.", words=())
        return replace(hypothesis, text="", tokens=(), words=(), confidence=0.0)

    def encode_ahead(
        self, utterances: tuple[Utterance, ...], stop: CancellationToken | None = None
    ) -> tuple[Utterance, ...]:
        """Encode utterances ahead; this counts as a run, and meets the faults of one."""
        self._plan = plan = self._script.begin()
        if plan.part == "start":
            self.meet(plan, self.provider)
        return self._real.encode_ahead(utterances, stop) if isinstance(self._real, BatchEncoder) else utterances

    def close(self) -> None:
        self._real.close()

    def plan_for(self, part: str) -> Plan | None:
        """The faults for this part of the current run, once."""
        if self._plan == Plan() or self._plan.part != part:
            return None
        plan, self._plan = self._plan, Plan()
        return plan

    def meet(self, plan: Plan, where: str) -> None:
        """Wait as commanded, then raise the fault if it is one of MESSAGES."""
        time.sleep(plan.longer_s)
        if plan.kind in MESSAGES:
            self._script.happened()
            raise ProviderFault(f"{where} failed: {MESSAGES[plan.kind]}")

    def noted(self) -> None:
        """Record that a fault of ONNX Runtime itself happens now."""
        self._script.happened()

    def _wrapped(self, session: OrtSession) -> OrtSession:
        return FaultySession(session, next(self._parts), self)


class Stall:
    """A decoder that stays on blank: after some tokens, for some frames or until it starts from a fresh state."""

    def __init__(self, plan: Plan, feeds: Mapping[str, npt.NDArray[Any]], durations: int) -> None:
        """`feeds` are the inputs of the first score; they have the fresh state."""
        self._durations = durations
        self._tokens = plan.tokens
        self._frames = plan.frames or math.inf
        self._fresh = {name: values.copy() for name, values in feeds.items() if name != FRAME}

    def apply(self, feeds: Mapping[str, npt.NDArray[Any]], logits: npt.NDArray[Any]) -> bool:
        """Change the scores of a frame while it lasts; return whether it lasts or is yet to come."""
        scores = logits.reshape(-1)
        blank = len(scores) - self._durations - 1
        if self._tokens > 0:
            self._tokens -= int(scores[: blank + 1].argmax() != blank)
            return True
        started_again = self._frames == math.inf and all(
            np.array_equal(feeds[name], values) for name, values in self._fresh.items()
        )
        if started_again or self._frames <= 0:
            return False
        self._frames -= 1
        scores[:] = 0.0
        scores[[blank, blank + 2] if self._durations else [blank]] = 10.0  # blank, and a duration of one frame
        return True


class FaultySession(OrtSession):
    """A real session whose first run for an utterance may fail."""

    def __init__(self, real: OrtSession, part: str, recognizer: FaultyRecognizer) -> None:
        # Not the base class's: the only native session is that of the wrapped one.
        self._real = real
        self._part = part
        self._recognizer = recognizer
        self.path = real.path
        self.provider = real.provider
        self.inputs = real.inputs
        self.outputs = real.outputs
        self._stall: Stall | None = None

    def run(
        self, outputs: Sequence[str], feeds: Mapping[str, npt.NDArray[Any]], stop: CancellationToken | None = None
    ) -> list[npt.NDArray[Any]]:
        plan = self._recognizer.plan_for(self._part)
        if plan is None:
            return self._real.run(outputs, feeds, stop)
        self._recognizer.meet(plan, f"{self._recognizer.provider} in {self.path.name}")
        match plan.kind:
            case "broken":
                self._recognizer.noted()
                impossible = {name: values[..., None] for name, values in feeds.items()}
                return self._real.run(outputs, impossible)
            case "nan":
                results = self._real.run(outputs, feeds, stop)
                self._recognizer.noted()
                return [results[0] * np.float32(np.nan), *results[1:]]
        return self._real.run(outputs, feeds, stop)

    def bound(
        self, feeds: Mapping[str, npt.NDArray[Any]], results: Mapping[str, npt.NDArray[Any]]
    ) -> Callable[[], None]:
        run_well = self._real.bound(feeds, results)

        def run() -> None:
            plan = self._recognizer.plan_for(self._part)
            if plan is None:
                run_well()
                self._continue_stall(feeds, results)
                return
            self._recognizer.meet(plan, f"{self._recognizer.provider} in {self.path.name}")
            if plan.kind == STALL:
                self._recognizer.noted()
                self._stall = Stall(plan, feeds, self._recognizer.durations)
            if plan.kind == "broken":
                self._recognizer.noted()
                self._real.run(tuple(results), {name: values[..., None] for name, values in feeds.items()})
            run_well()
            if plan.kind == "nan":
                self._recognizer.noted()
                next(iter(results.values()))[:] = np.nan
            self._continue_stall(feeds, results)

        return run

    def _continue_stall(self, feeds: Mapping[str, npt.NDArray[Any]], results: Mapping[str, npt.NDArray[Any]]) -> None:
        if self._stall and not self._stall.apply(feeds, next(iter(results.values()))):
            self._stall = None

    def close(self) -> None:
        self._real.close()
