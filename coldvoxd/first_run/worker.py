"""The process that measures: `python -m coldvoxd.first_run`, which loads one variant of a model and runs steps on demand.

A process for each variant shows its own memory, can be ended if a driver hangs, and takes only itself along if it crashes or if
the kernel lacks memory. A line of JSON on standard input is a command, `{"step": ..., "seconds": ...}`; each answer is a line on
the original standard output: `ready` at the start, `progress` with a share, then `result` or `failed`. Spoken text is in the pipe's `private` part only.
"""

import contextlib
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from coldvoxd import settings_file
from coldvoxd.audio.file import AudioFile
from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.settings import Settings
from coldvoxd.core.shortage import shortage
from coldvoxd.core.values import Precision
from coldvoxd.first_run import dictated_speech, long_speech, model_on_disk, partial_runs, peer
from coldvoxd.first_run.deadline import Deadline
from coldvoxd.first_run.opened_model import OpenedModel
from coldvoxd.first_run.planning import Step, Variant
from coldvoxd.models import find_model
from coldvoxd.models.catalog import max_utterance_s
from coldvoxd.models.seam_method import seam_method_of

NICENESS = 5
"""A daemon that dictates meanwhile has the processors first."""
EXPENDABLE = "800"
"""Of oom_score_adj, proc(5): if memory runs out, the kernel ends this process and not the daemon."""
SHARE_STEP = 0.01
"""A smaller progress is not reported."""

Command = Mapping[str, Any]
Answer = dict[str, Any]


class Worker:
    """Runs steps, one at a time."""

    def __init__(self, send: Callable[[Answer], None]) -> None:
        self._send = send
        self._settings: Settings = settings_file.load()
        self._model: OpenedModel | None = None
        self._name = ""

    def obey(self, command: Command) -> Answer:
        """Run a step; return its figures. Raises ColdvoxError, OSError or MemoryError."""
        deadline = Deadline(float(command.get("seconds", 0)), self._reported())
        match Step(command["step"]):
            case Step.FILES:
                return self._files(command, deadline)
            case Step.LOAD:
                return self._load(command)
            case Step.PEER:
                files = find_model(command["model"], Precision(command["precision"]))
                name, tokens, part = peer.tokens_of(files, command["kind"], self._settings.model.threads, deadline)
                return {"figures": {"engine": name, "part": part}, "private": {"tokens": tokens}}
            case step:
                return self._measured(step, command, deadline)

    def _files(self, command: Command, deadline: Deadline) -> Answer:
        found = model_on_disk.precisions_of(command["model"])
        return {"figures": model_on_disk.as_figures(found, model_on_disk.check_files(found, deadline))}

    def _load(self, command: Command) -> Answer:
        self._name, precision = command["model"], Precision(command["precision"])
        model = replace(self._settings.model, name=self._name, precision=str(precision), provider=command["provider"])
        self._settings = replace(self._settings, model=model)
        variant = Variant(precision, command["provider"], is_prepared=command["prepared"])
        files = find_model(self._name, precision)
        self._model = OpenedModel.load(variant, files, self._settings, max_utterance_s(self._name, precision))
        return {"figures": self._model.figures}

    def _measured(self, step: Step, command: Command, deadline: Deadline) -> Answer:
        assert self._model is not None  # noqa: S101 - the first command loads it
        recognizer = self._model.recognizer
        method = seam_method_of(self._name)
        private: dict[str, Any] = {}
        match step:
            case Step.SPEECH:
                figures, private = self._model.understanding(deadline, command["truth"])
            case Step.SPEED:
                figures = self._model.speed(deadline)
            case Step.PAGE:
                wave = np.concatenate(tuple(AudioFile.open(int(command["page"])).blocks()))
                figures = dictated_speech.page(recognizer, self._settings, wave, method, deadline)
            case Step.LENGTHS:
                figures = long_speech.lengths(recognizer, deadline)
            case Step.PAUSES:
                figures = dictated_speech.pauses(recognizer, self._settings, method, deadline)
            case Step.SILENCE:
                figures = long_speech.silence(recognizer, deadline)
            case _:
                figures = partial_runs.partials(recognizer, deadline)
        return {"figures": figures, "private": private}

    def _reported(self) -> Callable[[float], None]:
        last = -1.0

        def report(share: float) -> None:
            nonlocal last
            if share >= last + SHARE_STEP:
                last = share
                self._send({"event": "progress", "share": round(share, 3)})

        return report


def main() -> None:
    """Answer commands until standard input ends, as it does when the parent process ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
        Path("/proc/self/oom_score_adj").write_text(EXPENDABLE)
    commands: queue.Queue[Command] = queue.Queue()
    threading.Thread(target=_read, args=(sys.stdin, commands), daemon=True).start()

    def send(answer: Answer) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    worker: Worker | None = None
    send({"event": "ready"})
    while True:
        command = commands.get()
        try:
            worker = worker or Worker(send)
            send({"event": "result", **worker.obey(command)})
        except (ColdvoxError, OSError, MemoryError, RuntimeError) as error:
            send({"event": "failed", "message": shortage(error) or str(error) or type(error).__name__})


def _read(lines: TextIO, commands: "queue.Queue[Command]") -> None:
    for line in lines:
        commands.put(json.loads(line))
    os._exit(0)  # also during a native call
