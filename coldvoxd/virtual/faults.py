"""Faults that happen where they are told: inside the encoder or the decoder of a real recognizer's run."""

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
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.values import Hypothesis, Precision, Utterance
from coldvoxd.native.ort import Session

MESSAGES = {
    "memory": "CUDA failure 2: out of memory",
    "illegal": "CUDA failure 700: an illegal memory access was encountered",
    "lost": "CUDA failure 999: unknown error",
    "fault": "an unknown fault",
}
"""What ONNX Runtime says of such faults on a real GPU."""
ANSWERS = ("wrong", "empty")
"""No fault, but an answer that isn't what was said."""
AFTER_A_RUN = ("nan", *ANSWERS)
"""What is made of a part's or a run's real output, so not of a run that was stopped before."""
KINDS = (*MESSAGES, "nan", "broken", *ANSWERS)
"""`nan`: the part's real output times NaN. `broken`: the part is run with inputs that ONNX Runtime itself refuses."""
PARTS = ("start", "encoder", "decoder")
"""Where in a run: before it, or inside the run of a graph."""

Wrap = Callable[[Session], Session]
"""Puts something in the place of a recognizer's encoder session, then of its decoder's."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one run. Nothing, by default."""

    kind: str = ""
    part: str = "encoder"
    longer_s: float = 0.0
    """It takes so much longer, in that part, before anything else happens."""


class Script:
    """What becomes of the next runs, and what became of those before. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: deque[Plan] = deque()
        self.runs = self.faults = 0
        self.run_s = self.fault_s = 0.0
        """`time.monotonic()` when the last run that had a plan began, and when the last fault happened."""

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
        """A run begins."""
        with self._lock:
            self.runs += 1
            plan = self._plans.popleft() if self._plans else Plan()
            if plan != Plan():
                self.run_s = time.monotonic()
            return plan

    def give_back(self, plan: Plan) -> None:
        """It did not come to this: the next run meets it."""
        with self._lock:
            self._plans.appendleft(plan)

    def happened(self) -> None:
        with self._lock:
            self.faults += 1
            self.fault_s = time.monotonic()


class FaultyRecognizer:
    """A Recognizer whose runs go as a script says. `open_recognizer` lets its sessions be wrapped; blocks."""

    def __init__(self, open_recognizer: Callable[[Wrap], Recognizer], script: Script, provider: str = "") -> None:
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

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        self._plan = plan = self._script.begin()
        if plan.part == "start":
            self.meet(plan, self.provider)
        try:
            hypothesis = replace(self._real.recognize(utterance, stop), provider=self.provider)
        except Stopped:  # as what was begun early is, where somebody speaks on
            if self._plan != Plan() or plan.kind in AFTER_A_RUN:
                self._script.give_back(plan)
            raise
        if plan.kind not in ANSWERS:
            return hypothesis
        self._script.happened()
        if plan.kind == "wrong":
            return replace(hypothesis, text="Something else entirely.", words=())
        return replace(hypothesis, text="", tokens=(), words=(), confidence=0.0)

    def close(self) -> None:
        self._real.close()

    def plan_for(self, part: str) -> Plan | None:
        """What is told of this part of the run in hand, once."""
        if self._plan == Plan() or self._plan.part != part:
            return None
        plan, self._plan = self._plan, Plan()
        return plan

    def meet(self, plan: Plan, where: str) -> None:
        """Wait as long as told, then raise what is told, if it is one of MESSAGES."""
        time.sleep(plan.longer_s)
        if plan.kind in MESSAGES:
            self._script.happened()
            raise ProviderFault(f"{where} failed: {MESSAGES[plan.kind]}")

    def noted(self) -> None:
        """A fault of ONNX Runtime's own happens now."""
        self._script.happened()

    def _wrapped(self, session: Session) -> Session:
        return FaultySession(session, next(self._parts), self)


class FaultySession(Session):
    """A real session whose first run of an utterance may go wrong."""

    def __init__(self, real: Session, part: str, recognizer: FaultyRecognizer) -> None:
        # Not the base's: there is one native session, the real one's.
        self._real = real
        self._part = part
        self._recognizer = recognizer
        self.path = real.path
        self.provider = real.provider
        self.inputs = real.inputs
        self.outputs = real.outputs

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
                return
            self._recognizer.meet(plan, f"{self._recognizer.provider} in {self.path.name}")
            if plan.kind == "broken":
                self._recognizer.noted()
                self._real.run(tuple(results), {name: values[..., None] for name, values in feeds.items()})
            run_well()
            if plan.kind == "nan":
                self._recognizer.noted()
                next(iter(results.values()))[:] = np.nan

        return run

    def close(self) -> None:
        self._real.close()
