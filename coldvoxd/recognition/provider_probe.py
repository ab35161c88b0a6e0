"""The trial of an accelerator: it is loaded, and must hear in the golden clip what the CPU hears."""

import asyncio
from collections.abc import Awaitable, Callable

from coldvoxd.core.errors import ColdvoxError, NotReady, ProviderFault, RecognitionFailed
from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.golden_verdict import agrees
from coldvoxd.core.values import EndReason, Hypothesis, Utterance
from coldvoxd.recognition.backends import Golden
from coldvoxd.recognition.worker import LoadTooLong, RecognizerWorker, class_of


class WrongOutput(ProviderFault):
    """The accelerator's text differs from the CPU's."""


class RunTooLong(ProviderFault):
    """The accelerator did not come to an end with the golden clip."""


class NoTruth(ProviderFault):
    """The CPU itself fails on the golden clip, so nothing is known against the accelerator, nor for it."""


class ProviderProbe:
    """One accelerator's judge. Event loop only."""

    def __init__(
        self,
        accelerator: RecognizerWorker,
        golden: Golden | None,
        on_cpu: Callable[[Utterance], Awaitable[Hypothesis]],
    ) -> None:
        """Where nothing is on record of the golden clip the CPU is asked, once."""
        self._accelerator = accelerator
        self._golden = golden
        self._on_cpu_heard: str | None = None
        self._on_cpu = on_cpu

    async def hold(self) -> None:
        """Load the accelerator and judge it. Raises what `class_of_failure` knows the class of."""
        await self._accelerator.open(self._accelerator.limits.accelerator_load_s)
        await self._judge()

    async def _judge(self) -> None:
        if self._golden is None:
            return
        clip = Utterance(0, 0, 0, self._golden.clip, EndReason.STOP)
        truths = await asyncio.to_thread(self._golden.truths) or [await self._asked(clip)]
        name = self._accelerator.name
        run = self._accelerator.start(clip)
        limit_s = 2 * self._accelerator.limits.accelerator_run_s
        done, _ = await asyncio.wait({run.answer}, timeout=limit_s)
        if not done:
            run.answer.cancel()
            self._accelerator.abandon()
            raise RunTooLong(f"the golden clip took longer than {limit_s:g} s on {name}")
        heard = run.answer.result()
        self._accelerator.learn(run)
        if not agrees(heard.text, truths):
            raise WrongOutput(f"{name} recognizes other words in the golden clip than the CPU")

    async def _asked(self, clip: Utterance) -> str:
        if self._on_cpu_heard is None:
            try:
                self._on_cpu_heard = (await self._on_cpu(clip)).text
            except RecognitionFailed as fault:
                raise NoTruth(
                    f"{self._accelerator.name} cannot be verified: the CPU fails on the golden clip"
                ) from fault
        return self._on_cpu_heard


def class_of_failure(fault: Exception) -> tuple[FaultClass, Reason]:
    """What a failed trial tells of the accelerator."""
    match fault:
        case WrongOutput():
            return FaultClass.UNHEALTHY, Reason.GPU_WRONG_OUTPUT
        case RunTooLong() | LoadTooLong():
            return FaultClass.TRANSIENT, Reason.GPU_TIMEOUT
        case NoTruth():
            return FaultClass.TRANSIENT, Reason.GPU_FAULT
    fault_class, reason = class_of(fault)
    if (
        reason is Reason.GPU_FAULT
        and isinstance(fault, ColdvoxError)
        and not isinstance(fault, ProviderFault | NotReady)
    ):
        return FaultClass.ABSENT, Reason.NO_GPU
    return fault_class, reason
