"""An accelerator in the hands of the failover: its recognizer, with its hedging and its probe."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.metrics import Metrics
from coldvoxd.core.values import Hypothesis, ProviderChoice, Utterance
from coldvoxd.recognition.backends import Backends
from coldvoxd.recognition.hedging import Hedging
from coldvoxd.recognition.provider_probe import ProviderProbe
from coldvoxd.recognition.warmup import Warmup
from coldvoxd.recognition.worker import RecognizerWorker

CONTEXT_PROVIDERS = frozenset({"cuda", "tensorrt", "tensorrt-rtx", "rocm", "migraphx", "virtual"})
"""Accelerators that keep a context for the life of the process; a system suspend may discard its memory."""
NEEDS_FREE_PROVIDER = frozenset({Reason.GPU_TIMEOUT, Reason.GPU_LOST})
"""Why a probe fails that began while an abandoned run still hung: sessions of WebGPU share one device and its lock. A new process helps."""


@dataclass(frozen=True, slots=True)
class Accelerator:
    """Its backends name what follows it, if `auto` does not use it."""

    backends: Backends
    worker: RecognizerWorker
    hedging: Hedging
    probe: ProviderProbe

    @property
    def device(self) -> str:
        """Name of its device; empty if nothing names it."""
        return self.backends.device()

    @property
    def choice(self) -> ProviderChoice:
        """What is published while it is in use."""
        return ProviderChoice(self.device, self.note)

    @property
    def following(self) -> Backends | None:
        """What `auto` tries next, if it does not use this one; None if that is the CPU, or this one was named."""
        return None if self.backends.auto is None else self.backends.auto.following

    @property
    def note(self) -> str:
        """Why `auto` uses it, as a sentence; empty if it was named."""
        return self.backends.auto.trial.told if self.backends.auto is not None else ""


def make_accelerator(
    backends: Backends,
    metrics: Metrics,
    *,
    recognize_on_cpu: Callable[[Utterance], Awaitable[Hypothesis]],
    in_use: Callable[[], bool],
    report_fault: Callable[[FaultClass, Reason, str], None],
) -> Accelerator | None:
    """Return the accelerator of these backends, not yet loaded; None if they have none. The functions are Hedging's."""
    if backends.accelerator is None:
        return None
    worker = RecognizerWorker(backends.accelerator_name, backends.accelerator, backends.limits)
    hedging = Hedging(
        worker,
        metrics,
        recognize_on_cpu=recognize_on_cpu,
        in_use=in_use,
        report_fault=report_fault,
        warmup=Warmup(worker, backends.lengths_s),
    )
    trial = None if backends.auto is None else backends.auto.trial
    probe = ProviderProbe(worker, backends.golden, recognize_on_cpu, trial)
    return Accelerator(backends, worker, hedging, probe)
