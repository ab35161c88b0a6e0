"""Probes an accelerator: loads it, and verifies the text that it recognizes in the golden clip."""

import asyncio
from collections.abc import Awaitable, Callable

from coldvoxd.core.errors import ColdvoxError, NotReady, ProviderFault, RecognitionFailed
from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.golden_verdict import agrees
from coldvoxd.core.values import EndReason, Hypothesis, Utterance
from coldvoxd.recognition.auto_trial import AutoTrial
from coldvoxd.recognition.backends import Golden
from coldvoxd.recognition.worker import LoadTooLong, RecognizerWorker, class_of


class WrongOutput(ProviderFault):
    """The accelerator's text of the golden clip differs from the expected texts."""


class RunTooLong(ProviderFault):
    """The accelerator did not finish the golden clip in time."""


class NoReference(ProviderFault):
    """The CPU itself fails on the golden clip, so the accelerator cannot be verified."""


class ProviderProbe:
    """Verifies one accelerator. Event loop only.

    If no text of the golden clip is on record, the CPU recognizes the clip once. With a `trial` the accelerator must also be
    faster than the CPU.
    """

    def __init__(
        self,
        accelerator: RecognizerWorker,
        golden: Golden | None,
        recognize_on_cpu: Callable[[Utterance], Awaitable[Hypothesis]],
        trial: AutoTrial | None = None,
    ) -> None:
        self._trial = trial
        self._accelerator = accelerator
        self._golden = golden
        self._recognize_on_cpu = recognize_on_cpu
        self._cpu_text: str | None = None

    async def run(self) -> None:
        """Load and verify the accelerator. Raises NotChosen, and errors that `class_of_failure` classifies."""
        try:
            await self._accelerator.open(self._accelerator.limits.accelerator_load_s)
            if self._golden is not None:
                await self._judge(self._golden)
        finally:
            if self._trial is not None:
                self._trial.forget()

    async def _judge(self, golden: Golden) -> None:
        clip = Utterance(0, 0, 0, golden.clip, EndReason.STOP)
        expected = await asyncio.to_thread(golden.expected_texts) or [await self._text_on_cpu(clip)]
        name = self._accelerator.name
        run = self._accelerator.start(clip)
        limit_s = 2 * self._accelerator.limits.accelerator_run_s
        done, _ = await asyncio.wait({run.answer}, timeout=limit_s)
        if not done:
            run.answer.cancel()
            self._accelerator.abandon()
            raise RunTooLong(f"the golden clip took longer than {limit_s:g} s on {name}")
        hypothesis = run.answer.result()
        self._accelerator.learn(run)
        if not agrees(hypothesis.text, expected):
            raise WrongOutput(f"{name} recognizes other words in the golden clip than the CPU")
        if self._trial is not None:
            await self._compare(self._trial, clip, limit_s)

    async def _compare(self, trial: AutoTrial, clip: Utterance, limit_s: float) -> None:
        try:
            await trial.compare(self._accelerator, self._recognize_on_cpu, clip, limit_s)
        except TimeoutError:
            self._accelerator.abandon()
            raise RunTooLong(f"the golden clip took longer than {limit_s:g} s on {self._accelerator.name}") from None

    async def _text_on_cpu(self, clip: Utterance) -> str:
        if self._cpu_text is None:
            try:
                self._cpu_text = (await self._recognize_on_cpu(clip)).text
            except RecognitionFailed as error:
                raise NoReference(
                    f"{self._accelerator.name} cannot be verified: the CPU fails on the golden clip"
                ) from error
        return self._cpu_text


def class_of_failure(error: Exception) -> tuple[FaultClass, Reason]:
    """Return the fault class and the reason for the error of a failed probe."""
    match error:
        case WrongOutput():
            return FaultClass.UNHEALTHY, Reason.GPU_WRONG_OUTPUT
        case RunTooLong() | LoadTooLong():
            return FaultClass.TRANSIENT, Reason.GPU_TIMEOUT
        case NoReference():
            return FaultClass.TRANSIENT, Reason.GPU_FAULT
    fault_class, reason = class_of(error)
    if (
        reason is Reason.GPU_FAULT
        and isinstance(error, ColdvoxError)
        and not isinstance(error, ProviderFault | NotReady)
    ):
        return FaultClass.ABSENT, Reason.NO_GPU
    return fault_class, reason
