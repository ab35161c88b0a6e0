"""Conducts a first run: starts a process per variant, gives each step its time, and collects what was measured."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from coldvoxd.core.sizes import size_text
from coldvoxd.first_run import peer
from coldvoxd.first_run.planning import (
    LEAST_S,
    NEEDS_SPEECH,
    SPARE_BYTES,
    WEIGHTS,
    Step,
    Task,
    Variant,
    allowance,
    needed_bytes,
    tasks_of,
)
from coldvoxd.native.memory import available_bytes

GRACE_S = 20.0
HANGS_SHARE = 0.25
"""A step that exceeds its time by this many seconds, by all of it and by this share of the remaining time is ended with its process: a
driver hangs."""
LOAD_SHARE = 0.6
"""Loading cannot be shortened: it may take this share of the remaining time."""
NOT_UNDERSTOOD = 0.5
"""From this share of word errors on, weights do not understand speech, and steps that need it show nothing."""
WHY_NOT_UNDERSTOOD = "these weights do not understand speech"


START_S = 120.0
"""Seconds for Python and its libraries to load, on a machine that is busy."""


class Status(StrEnum):
    """What became of a step."""

    DONE = "done"
    PART = "part"
    """The time was over before all of it was done."""
    LEFT_OUT = "left out"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step, and what it measured."""

    task: Task
    status: Status
    took_s: float = 0.0
    figures: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    """Why it was left out or failed; how much of all was done."""


class _WorkerEnded(Exception):
    """The process ended, or was ended. The message says why."""


class _Process:
    """The process of one variant."""

    def __init__(self, descriptors: Sequence[int]) -> None:
        root = str(Path(__file__).parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "coldvoxd.first_run"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            pass_fds=descriptors,
            start_new_session=True,  # Ctrl-C is for the parent
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        os.set_blocking(self._process.stdout.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        self._rest = b""
        self._is_ready = False

    def ask(self, command: Mapping[str, Any], limit_s: float, progress: Callable[[float], None]) -> dict[str, Any]:
        """Run a step and return the answer to it; `limit_s` begins when the process is ready. Raises _WorkerEnded."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        if not self._is_ready and self._answer(time.monotonic() + START_S) is None:
            raise _WorkerEnded(f"the process did not start within {START_S:.0f} s")
        self._is_ready = True
        over_s = time.monotonic() + limit_s
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise _WorkerEnded(self._why()) from error
        while True:
            answer = self._answer(over_s)
            if answer is None:
                raise _WorkerEnded(f"it took longer than {limit_s:.0f} s")
            if answer["event"] != "progress":
                return answer
            progress(answer["share"])

    def _answer(self, over_s: float) -> dict[str, Any] | None:
        """Return the next line; None if it does not come in time. Raises _WorkerEnded."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        while b"\n" not in self._rest:
            if not self._selector.select(max(0.0, over_s - time.monotonic())):
                return None
            block = self._process.stdout.read(1 << 16)
            if not block:
                raise _WorkerEnded(self._why())
            self._rest += block
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _why(self) -> str:
        """Return how the process ended."""
        code = self._process.wait()
        self._log.seek(0)
        last = (self._log.read().decode(errors="replace").strip().splitlines() or ["it printed nothing"])[-1]
        if code == -signal.SIGKILL:
            return "the process was killed, as the kernel does if memory runs out"
        return f"the process ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}: {last}"

    def close(self) -> None:
        """End the process."""
        self._selector.close()
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None  # noqa: S101 - both are pipes
                pipe.close()
        self._process.wait()
        self._log.close()


@dataclass(frozen=True, slots=True)
class Listener:
    """What the command shows."""

    progress: Callable[[str, float, float], None] = lambda _what, _share, _left_s: None
    """Called with what is measured, the completed share of the run, and the seconds that it may still take."""
    finished: Callable[[StepResult], None] = lambda _result: None


class FirstRun:
    """One first run of a model. Blocks; one thread. `results` grow while it runs, and remain after an interrupt."""

    def __init__(
        self,
        model: str,
        variants: Mapping[Variant, int],
        budget_s: float,
        *,
        page: int | None = None,
        with_peer: bool = True,
        listener: Listener | None = None,
    ) -> None:
        """`variants` have the size of their files in bytes, the main one first. `page` is a descriptor of what was read."""
        self.results: list[StepResult] = []
        self._model = model
        self._variants = variants
        self._page = page
        self._listener = listener or Listener()
        self._over_s = time.monotonic() + budget_s
        self._private: dict[Variant, dict[str, Any]] = {}
        """Texts and tokens of the shipped recordings, for comparisons. They are in no report."""
        main = next(iter(variants))
        self._left: list[Task] = [Task(Step.FILES)]
        self._left += [task for one in variants for task in tasks_of(one, has_page=page is not None)]
        self._left += [Task(Step.PEER, main)] if with_peer else []
        self._total = _weight(self._left)

    def run(self) -> None:
        """Measure everything. KeyboardInterrupt passes, after the process of the step was ended."""
        self._in_process([Task(Step.FILES)], None)
        for variant, size in self._variants.items():
            tasks = tasks_of(variant, has_page=self._page is not None)
            self._in_process(tasks, self._no_room(variant, size))
        if self._left:
            self._peer(self._left[0])

    def figures(self, step: Step, variant: Variant | None = None) -> Mapping[str, Any]:
        """Return what a step measured; nothing if it did not."""
        task = Task(step, variant)
        return next((one.figures for one in self.results if one.task == task), {})

    def understands(self, variant: Variant) -> bool:
        """Return whether a variant recognizes the words of most recordings; True if that was not measured."""
        found = self.figures(Step.SPEECH, variant)
        return not found or found["errors"] < NOT_UNDERSTOOD * found["words"]

    def _in_process(self, tasks: Sequence[Task], refused: str | None) -> None:
        """Run the steps of a variant in a process, each as far as the time and the steps before it allow.

        `refused` says why none is.
        """
        process: _Process | None = None
        try:
            for task in tasks:
                why = refused or (self._why_not(task) if task.step in NEEDS_SPEECH else "")
                if why or self._remaining_s < LEAST_S:
                    self._finish(StepResult(task, Status.LEFT_OUT, message=why or "no time was left"))
                    continue
                process = process or _Process([] if self._page is None else [self._page])
                result, ended = self._step(process, task)
                self._finish(result)
                if ended or (task.step is Step.LOAD and result.status is Status.FAILED):
                    refused = "the process had ended" if ended else "the model was not loaded"
        finally:
            if process is not None:
                process.close()

    def _step(self, process: _Process, task: Task) -> tuple[StepResult, bool]:
        """Return the result of a step, and whether its process has ended."""
        allowed_s = allowance(self._remaining_s, task, self._left[1:])
        limit_s = max(allowed_s, LOAD_SHARE * self._remaining_s) if task.step is Step.LOAD else allowed_s
        began_s = time.monotonic()
        try:
            answer = process.ask(
                self._command(task, allowed_s),
                limit_s + max(GRACE_S, limit_s, HANGS_SHARE * self._remaining_s),
                lambda share: self._show(task, share),
            )
        except _WorkerEnded as error:
            return StepResult(task, Status.FAILED, time.monotonic() - began_s, message=str(error)), True
        took_s = time.monotonic() - began_s
        if answer["event"] == "failed":
            return StepResult(task, Status.FAILED, took_s, message=answer["message"]), False
        figures, private = dict(answer["figures"]), answer.get("private", {})
        if task.step is Step.PEER and task.variant is not None:
            figures |= peer.compared(self._private[task.variant]["tokens"], private["tokens"])
        elif task.variant is not None:
            self._private.setdefault(task.variant, {}).update(private)
        part = figures.pop("part", "")
        return StepResult(task, Status.PART if part else Status.DONE, took_s, figures, part), False

    def _command(self, task: Task, allowed_s: float) -> dict[str, Any]:
        self._show(task, 0.0)
        command: dict[str, Any] = {"step": str(task.step), "seconds": allowed_s, "model": self._model}
        if task.variant is not None:
            command |= {
                "precision": str(task.variant.precision),
                "provider": task.variant.provider,
                "prepared": task.variant.is_prepared,
                "truth": self._truth(task.variant),
                "page": self._page,
                "kind": self.figures(Step.LOAD, task.variant).get("kind", ""),
            }
        return command

    def _truth(self, variant: Variant) -> str:
        """Return the text of the golden clip with which a variant must agree: that of the main one; empty for itself."""
        main = next(iter(self._variants))
        return "" if variant == main else str(self._private.get(main, {}).get("golden", ""))

    def _peer(self, task: Task) -> None:
        """Compare tokens with onnx-asr, in a process of its own: it loads the model a second time."""
        assert task.variant is not None  # noqa: S101 - it is the main one's
        why = self._no_room(task.variant, self._variants[task.variant])
        if not why and "tokens" not in self._private.get(task.variant, {}):
            why = "there are no tokens to compare"
        self._in_process([task], why)

    def _no_room(self, variant: Variant, size: int) -> str | None:
        """Return why a variant is not loaded now; None if its memory is free."""
        free, needed = available_bytes(), needed_bytes(size, variant)
        if free is None or free >= needed + SPARE_BYTES:
            return None
        return f"it takes up to {size_text(needed)} of memory, and {size_text(free)} are free"

    def _why_not(self, task: Task) -> str:
        if task.variant is not None and not self.understands(task.variant):
            return WHY_NOT_UNDERSTOOD
        return ""

    @property
    def _remaining_s(self) -> float:
        return self._over_s - time.monotonic()

    def _finish(self, result: StepResult) -> None:
        self._left.remove(result.task)
        self.results.append(result)
        self._listener.finished(result)

    def _show(self, task: Task, share: float) -> None:
        done = self._total - _weight(self._left) + share * WEIGHTS[task.step]
        self._listener.progress(task.name, done / self._total, max(0.0, self._remaining_s))


def _weight(tasks: Sequence[Task]) -> float:
    return sum(WEIGHTS[task.step] for task in tasks)
