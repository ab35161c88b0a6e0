"""The trial of an accelerator: it is loaded, and must hear in the golden clip what the CPU hears."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import numpy.typing as npt

from coldvoxd.core.errors import ColdvoxError, NotReady, ProviderFault
from coldvoxd.core.failover import FaultClass, Reason
from coldvoxd.core.values import EndReason, Hypothesis, Utterance
from coldvoxd.rung import ACCELERATOR_LIMIT_S, LoadTooLong, Rung, class_of

LOAD_LIMIT_S = 120.0
"""An accelerator that is not loaded by then hangs; the watchdog's patience ends later."""


class WrongOutput(ProviderFault):
    """The accelerator's text differs from the CPU's."""


class RunTooLong(ProviderFault):
    """The accelerator did not come to an end with the golden clip."""


class Trial:
    """One accelerator's judge. Event loop only."""

    def __init__(
        self,
        accelerator: Rung,
        golden: npt.NDArray[np.float32] | None,
        golden_text: str | None,
        on_cpu: Callable[[Utterance], Awaitable[Hypothesis]],
    ) -> None:
        """Without a golden clip there is no judgement; without its text the CPU is asked, once."""
        self._accelerator = accelerator
        self._golden = golden
        self._golden_text = golden_text
        self._on_cpu = on_cpu

    async def hold(self) -> None:
        """Load the accelerator and judge it. Raises what `class_of_failure` knows the class of."""
        await self._accelerator.open(LOAD_LIMIT_S)
        await self._judge()

    async def _judge(self) -> None:
        if self._golden is None:
            return
        clip = Utterance(0, 0, 0, self._golden, EndReason.STOP)
        if self._golden_text is None:
            self._golden_text = (await self._on_cpu(clip)).text
        name = self._accelerator.name
        run = self._accelerator.start(clip)
        done, _ = await asyncio.wait({run.answer}, timeout=2 * ACCELERATOR_LIMIT_S)
        if not done:
            run.answer.cancel()
            self._accelerator.abandon()
            raise RunTooLong(f"the golden clip took longer than {2 * ACCELERATOR_LIMIT_S:g} s on {name}")
        heard = run.answer.result()
        self._accelerator.learn(run)
        if _words(heard.text) != _words(self._golden_text):
            raise WrongOutput(f"{name} hears something else in the golden clip than the CPU does")


def class_of_failure(fault: Exception) -> tuple[FaultClass, Reason]:
    """What a failed trial tells of the accelerator."""
    match fault:
        case WrongOutput():
            return FaultClass.UNHEALTHY, Reason.GPU_WRONG_OUTPUT
        case RunTooLong() | LoadTooLong():
            return FaultClass.TRANSIENT, Reason.GPU_TIMEOUT
    fault_class, reason = class_of(fault)
    if (
        reason is Reason.GPU_FAULT
        and isinstance(fault, ColdvoxError)
        and not isinstance(fault, ProviderFault | NotReady)
    ):
        return FaultClass.ABSENT, Reason.NO_GPU
    return fault_class, reason


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()
