"""Decides for `provider = "auto"` whether an accelerator is used: only if it is faster than the CPU on this machine.

Theory of operation. A provider that works may still be slower than the CPU: a software driver, an old integrated GPU, a graph
with many nodes that it does not have. After the golden clip, which verifies its words, the same clip is recognized `RUNS` times
on both, and the shortest times are compared, since other programs can only lengthen a run. The result is stored with all that
it depends on and counts for a week, so most starts need no trial, and an accelerator that lost is not even loaded.

A driver can also end the process. So each trial is stored as begun before the accelerator is opened; after `MOST_ATTEMPTS` of
them without a result, `auto` leaves the accelerator alone, and a crash at each start does not repeat indefinitely.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.provider_names import short_name
from coldvoxd.core.provider_trial import MOST_ATTEMPTS, Trial
from coldvoxd.core.values import Hypothesis, Utterance
from coldvoxd.models.provider_trials import read_trial, write_trial
from coldvoxd.recognition.worker import RecognizerWorker

log = logging.getLogger(__name__)

RUNS = 3
"""Runs on each of the two; the shortest counts."""


class NotChosen(ColdvoxError):
    """The accelerator works, and `auto` uses the CPU nevertheless. The message is a sentence for people."""


class AutoTrial:
    """The trial of one accelerator.

    `identify` returns the device's name and the file for the result, None if it cannot be stored; it may block, and raises
    ProviderUnavailable. `cpu_settled` returns once the CPU recognizes at its full speed; it blocks. `clock` returns seconds
    since the epoch.
    """

    def __init__(
        self,
        provider: str,
        min_speedup: float,
        identify: Callable[[], tuple[str, Path | None]],
        cpu_settled: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._provider = short_name(provider)
        self._min_speedup = min_speedup
        self._identify = identify
        self._cpu_settled = cpu_settled
        self._clock = clock
        self._path: Path | None = None
        self._begun: Trial | None = None
        """The trial in progress; None if none is due."""
        self.result: Trial | None = None
        """The trial that justifies the accelerator's use; None if there is none."""

    def opened(self, open_recognizer: Callable[[], Recognizer]) -> Recognizer:
        """Open the accelerator's recognizer, unless a stored trial speaks against it. On the call thread; blocks.

        Raises NotChosen, and what opening raises.
        """
        self.result = self._begun = None
        if self._min_speedup > 0:
            self._consult()
        try:
            return open_recognizer()
        except Exception:
            self.forget()
            raise

    async def compare(
        self,
        accelerator: RecognizerWorker,
        recognize_on_cpu: Callable[[Utterance], Awaitable[Hypothesis]],
        clip: Utterance,
        limit_s: float,
    ) -> None:
        """Measure both if a trial is due, and store the result. Event loop only.

        Raises NotChosen if the accelerator is not fast enough, and the errors of runs.
        """
        if (begun := self._begun) is None:
            return
        await asyncio.to_thread(self._cpu_settled)
        accelerator_s, cpu_s = [], []
        for _ in range(RUNS):
            run = accelerator.start(clip)
            accelerator_s.append((await accelerator.answer_within(run, limit_s)).inference_s)
            cpu_s.append((await recognize_on_cpu(clip)).inference_s)
        trial = replace(begun, accelerator_s=min(accelerator_s), cpu_s=min(cpu_s), attempts=0, taken_s=self._clock())
        self._begun = None
        await asyncio.to_thread(self._store, trial)
        log.info("%s", trial.told(self._min_speedup))
        if not trial.is_fast_enough(self._min_speedup):
            raise NotChosen(trial.told(self._min_speedup))
        self.result = trial

    def forget(self) -> None:
        """Forget a trial that has begun and will have no result, although this process continues."""
        if self._begun is not None and self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
        self._begun = None

    @property
    def told(self) -> str:
        """A sentence on why the accelerator is used; empty without a trial."""
        return self.result.told(self._min_speedup) if self.result is not None else ""

    def _consult(self) -> None:
        """Take the stored trial as the result, or begin a new one. Raises NotChosen."""
        device, self._path = self._identify()
        known = read_trial(self._path, self._clock())
        if known is not None and known.is_complete:
            if not known.is_fast_enough(self._min_speedup):
                raise NotChosen(known.told(self._min_speedup))
            self.result = known
            return
        attempts = known.attempts if known is not None else 0
        if known is not None and attempts >= MOST_ATTEMPTS:
            raise NotChosen(known.told(self._min_speedup))
        self._begun = Trial(self._provider, device, self._clock(), attempts=attempts + 1)
        self._store(self._begun)

    def _store(self, trial: Trial) -> None:
        try:
            write_trial(self._path, trial)
        except OSError as error:
            log.info("the trial of %s cannot be stored, so each start repeats it: %s", trial.place, error)
