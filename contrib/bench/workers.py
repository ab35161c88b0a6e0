"""Engines in child processes, as seen by the process that compares them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FORMS = ROOT / ".work" / "bench" / "cache"
"""Cache for our recognizer's prepared forms, separate from the user's own."""


class WorkerFailedError(Exception):
    """An engine's process ended; its error messages precede this on standard error."""


class Worker:
    """One engine and its process; the engine is not open yet."""

    def __init__(self, engine: str, model: Path, precision: str, threads: int, profiles: Path | None = None) -> None:
        """`profiles` is the directory for ONNX Runtime's profiles, of our own engine only."""
        self.name = engine
        arguments = (engine, str(model), precision, str(threads), *([str(profiles)] if profiles else []))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "contrib.bench.worker", *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT), "ORT_DISABLE_TELEMETRY": "1", "XDG_CACHE_HOME": str(FORMS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.before: dict[str, float] = self._answer()
        """Memory with its libraries imported and no model."""

    def open(self) -> dict[str, Any]:
        return self._ask(do="open")

    def recognize(self, file: Path) -> dict[str, Any]:
        return self._ask(do="recognize", file=str(file))

    def transcribe(self, file: Path) -> dict[str, Any]:
        return self._ask(do="transcribe", file=str(file))

    def memory(self) -> dict[str, float]:
        return self._ask(do="memory")

    def end(self) -> None:
        """Let the process end by itself, closing its sessions."""
        self.process.communicate()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def _ask(self, **command: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise WorkerFailedError(f"the process of {self.name} ended with {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def worker(engine: str, model: Path, precision: str, threads: int, profiles: Path | None = None) -> Iterator[Worker]:
    started = Worker(engine, model, precision, threads, profiles)
    try:
        yield started
    finally:
        started.close()
