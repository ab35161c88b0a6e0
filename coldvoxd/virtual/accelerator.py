"""An accelerator that fails as it is told over a socket: a real recognizer on the CPU behind faults."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from coldvoxd.core.errors import ProviderFault, ProviderUnavailable
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.values import Hypothesis, Utterance
from coldvoxd.virtual.commands import CommandServer

PROVIDER = "VirtualExecutionProvider"

MESSAGES = {
    "memory": "virtual failed to run encoder-model.onnx: CUDA failure 2: out of memory",
    "illegal": "virtual failed to run encoder-model.onnx: CUDA failure 700: an illegal memory access was encountered",
    "lost": "virtual failed to run encoder-model.onnx: CUDA failure 999: unknown error",
    "absent": "virtual can't be opened: CUDA failure 100: no CUDA-capable device is detected",
    "driver": "virtual can't be opened: CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version",
    "nan": "encoder-model.onnx gave values that are not finite on VirtualExecutionProvider",
    "fault": "virtual failed to run decoder_joint-model.onnx: something that nobody knows",
}
"""What ONNX Runtime and the recognizer say of such faults on a real GPU."""


class VirtualAccelerator:
    """Opens recognizers that stand for a GPU's. Any thread.

    The texts are a real recognizer's, so a swap to the CPU must give the same ones. Commands, a line each:

        FAULT KIND [N]   the next N runs (1) fail: memory, illegal, lost, nan, fault; `wrong` and `empty` answer wrongly
        REFUSE KIND [N]  the next N openings (1) fail: absent, driver, memory
        HANG MS [N]      the next N runs (1) take so much longer
        WELL             forget all faults that were told and have not happened
        STATUS           `OK opened=1 runs=7 faults=2 pending=0`
    """

    def __init__(self, socket_path: Path, open_recognizer: Callable[[], Recognizer]) -> None:
        self._open = open_recognizer
        self._lock = threading.Lock()
        self._faults: list[str] = []
        self._refusals: list[str] = []
        self._hangs: list[float] = []
        self._opened = self._runs = self._failed = 0
        self._server = CommandServer(socket_path, self._obey)

    def open(self) -> Recognizer:
        """Open a recognizer, or raise ProviderUnavailable as told."""
        with self._lock:
            refusal = self._refusals.pop(0) if self._refusals else None
        if refusal is not None:
            raise ProviderUnavailable(MESSAGES[refusal])
        recognizer = _Accelerated(self._open(), self)
        with self._lock:
            self._opened += 1
        return recognizer

    def close(self) -> None:
        """Remove the socket."""
        self._server.close()

    def before_run(self) -> tuple[str | None, float]:
        """The fault of the next run, if one was told, and how much longer it takes, in seconds."""
        with self._lock:
            self._runs += 1
            fault = self._faults.pop(0) if self._faults else None
            self._failed += fault is not None
            return fault, self._hangs.pop(0) if self._hangs else 0.0

    def _obey(self, command: str, argument: str) -> str:
        words = argument.split()
        with self._lock:
            match command, words:
                case "FAULT", [("wrong" | "empty" | "memory" | "illegal" | "lost" | "nan" | "fault") as kind, *count]:
                    self._faults += [kind] * _count(count)
                case "REFUSE", [("absent" | "driver" | "memory") as kind, *count]:
                    self._refusals += [kind] * _count(count)
                case "HANG", [milliseconds, *count] if milliseconds.isdigit():
                    self._hangs += [int(milliseconds) / 1000] * _count(count)
                case "WELL", []:
                    self._faults, self._refusals, self._hangs = [], [], []
                case "STATUS", []:
                    pending = len(self._faults) + len(self._refusals) + len(self._hangs)
                    return f"OK opened={self._opened} runs={self._runs} faults={self._failed} pending={pending}"
                case _:
                    raise ValueError(f"no such command: {command} {argument}".strip())
        return "OK"


class _Accelerated:
    """A recognizer behind the faults that are told."""

    def __init__(self, real: Recognizer, accelerator: VirtualAccelerator) -> None:
        self._real = real
        self._accelerator = accelerator

    @property
    def provider(self) -> str:
        return PROVIDER

    def recognize(self, utterance: Utterance) -> Hypothesis:
        fault, longer_s = self._accelerator.before_run()
        time.sleep(longer_s)
        if fault in MESSAGES:
            raise ProviderFault(MESSAGES[fault])
        hypothesis = replace(self._real.recognize(utterance), provider=PROVIDER)
        match fault:
            case "wrong":
                return replace(hypothesis, text="Something else entirely.", words=())
            case "empty":
                return replace(hypothesis, text="", tokens=(), words=(), confidence=0.0)
        return hypothesis

    def close(self) -> None:
        self._real.close()


def _count(words: list[str]) -> int:
    if not words:
        return 1
    if len(words) > 1 or not words[0].isdigit():
        raise ValueError(f"a number of times, not {' '.join(words)}")
    return int(words[0])
