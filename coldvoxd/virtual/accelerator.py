"""A simulated accelerator: a real recognizer on the CPU with faults that are injected over a socket."""

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from coldvoxd.core.errors import ProviderUnavailable
from coldvoxd.core.ports import Recognizer
from coldvoxd.virtual.commands import CommandServer
from coldvoxd.virtual.faults import KINDS, PARTS, STALL, FaultyRecognizer, Plan, Script, Wrap

PROVIDER = "VirtualExecutionProvider"

REFUSALS = {
    "absent": "virtual can't be opened: CUDA failure 100: no CUDA-capable device is detected",
    "driver": "virtual can't be opened: CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version",
    "memory": "virtual can't be opened: CUDA failure 2: out of memory",
    "illegal": "virtual can't be opened: CUDA failure 700: an illegal memory access was encountered",
}
"""ONNX Runtime's messages for a real GPU that cannot be used."""


class VirtualAccelerator:
    """Opens recognizers that simulate a GPU's, and the CPU fallback. Any thread.

    The texts are those of a real recognizer, so that failover to the CPU must return the same ones. Commands, one per
    line; those in a file `SOCKET.script` are run before anything is opened:

        FAULT KIND [N] [PART] [MS]   the next N runs (1) fail, in that part (encoder), after MS additional milliseconds
                                     (0): memory, illegal, lost, fault, nan, broken; `wrong` and `empty` return wrong text
        HANG MS [N] [PART]           the next N runs (1) take MS milliseconds longer in that part
        STALL TOKENS FRAMES [N]      the decoder of the next N runs (1) returns no words after that many tokens: for FRAMES
                                     encoder frames of 80 ms, or with 0 until it decodes from a fresh state
        PASS N                       the next N runs succeed
        REFUSE KIND [N] [MS]         the next N openings (1) fail after MS milliseconds: absent, driver, memory, illegal
        OPENING MS                   the next opening takes MS milliseconds longer
        CPU ...                      FAULT, HANG, STALL or PASS for the recognizer on the CPU
        WELL                         cancel all pending commands
        STATUS                       `OK opened=1 runs=7 faults=2 pending=0 run_s=12.3 fault_s=12.4 cpu_runs=...`, with
                                     the times of the last run with a command and of the last fault

    A run is one recognition: each opening has one for the warm-up, and one of the golden clip. PART: start, encoder,
    decoder.
    """

    def __init__(
        self,
        socket_path: Path,
        open_recognizer: Callable[[Wrap], Recognizer],
        open_on_cpu: Callable[[Wrap], Recognizer] | None = None,
    ) -> None:
        """Without a second function, the first one also opens the CPU fallback."""
        self._open = open_recognizer
        self._open_on_cpu = open_on_cpu or open_recognizer
        self._lock = threading.Lock()
        self._script = Script()
        self._cpu_script = Script()
        self._openings: deque[tuple[str, float]] = deque()
        self._opened = 0
        script = socket_path.with_name(socket_path.name + ".script")
        for line in script.read_text("utf-8").splitlines() if script.exists() else ():
            command, _, argument = line.strip().partition(" ")
            self._obey(command, argument)
        self._server = CommandServer(socket_path, self._obey)

    def open(self) -> Recognizer:
        """Open a recognizer, or raise ProviderUnavailable as commanded."""
        with self._lock:
            refusal, longer_s = self._openings.popleft() if self._openings else ("", 0.0)
        time.sleep(longer_s)
        if refusal:
            raise ProviderUnavailable(REFUSALS[refusal])
        recognizer = FaultyRecognizer(self._open, self._script, PROVIDER)
        with self._lock:
            self._opened += 1
        return recognizer

    def open_on_cpu(self) -> Recognizer:
        """Open the CPU fallback."""
        return FaultyRecognizer(self._open_on_cpu, self._cpu_script)

    def close(self) -> None:
        """Remove the socket."""
        self._server.close()

    def _obey(self, command: str, argument: str) -> str:
        words = argument.split()
        match command, words:
            case "REFUSE", [("absent" | "driver" | "memory" | "illegal") as kind, *rest] if len(rest) <= 2:
                times, milliseconds = [*map(_number, rest), *(1, 0)[len(rest) :]]
                with self._lock:
                    self._openings.extend([(kind, milliseconds / 1000)] * times)
            case "OPENING", [milliseconds_]:
                with self._lock:
                    self._openings.append(("", _number(milliseconds_) / 1000))
            case "CPU", [command_, *rest]:
                _tell(self._cpu_script, command_, rest)
            case "WELL", []:
                self._script.forget()
                self._cpu_script.forget()
                with self._lock:
                    self._openings.clear()
            case "STATUS", []:
                return f"OK opened={self._opened} {_told(self._script)} {_told(self._cpu_script, 'cpu_')}"
            case _:
                _tell(self._script, command, words)
        return "OK"


def _told(script: Script, prefix: str = "") -> str:
    facts = {
        "runs": script.runs,
        "faults": script.faults,
        "pending": script.pending,
        "run_s": f"{script.run_s:.6f}",
        "fault_s": f"{script.fault_s:.6f}",
    }
    return " ".join(f"{prefix}{name}={value}" for name, value in facts.items())


def _tell(script: Script, command: str, words: list[str]) -> None:
    part = next((word for word in words if word in PARTS), "encoder")
    numbers = [_number(word) for word in words if word.isdigit()]
    kinds = [word for word in words if word in KINDS]
    known = len(kinds) + len(numbers) + (part in words) == len(words)
    match command, kinds, numbers:
        case "FAULT", [kind], [] | [_] | [_, _] if known:
            times, milliseconds = [*numbers, *(1, 0)[len(numbers) :]]
            script.tell(Plan(kind, part, milliseconds / 1000), times)
        case "HANG", [], [milliseconds] | [milliseconds, _] if known:
            script.tell(Plan(part=part, longer_s=milliseconds / 1000), numbers[1] if len(numbers) > 1 else 1)
        case "STALL", [], [tokens, frames, *rest] if known and len(rest) <= 1 and tokens + frames:
            script.tell(Plan(STALL, "decoder", tokens=tokens, frames=frames), *rest)
        case "PASS", [], [times] if known:
            script.tell(Plan(), times)
        case _:
            raise ValueError(f"no such command: {command} {' '.join(words)}".strip())


def _number(word: str) -> int:
    if not word.isdigit():
        raise ValueError(f"a number, not {word}")
    return int(word)
