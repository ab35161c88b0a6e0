"""Which figures to measure, how often, and on which model."""

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from coldvoxd.native.processor import physical_cores
from contrib.bench.engines import MAPPED, ONNX_ASR, OURS, SHERPA_ONNX
from contrib.bench.sherpa_layout import prepare
from contrib.bench.workers import FORMS

PARTS = ("recognition", "long", "load", "cold", "dictation", "idle")
FULL_SIZE_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    model: Path
    work: Path
    """A directory that outlives the run: recordings, and the model in the peers' layouts."""
    parts: tuple[str, ...]
    precisions: tuple[str, ...]
    threads: tuple[str, ...]
    """Each is `1` or `all`."""
    peers: tuple[str, ...]
    times: int
    seconds: tuple[int, ...]
    long_s: int
    """Length in seconds of a recording that no recognizer processes as a whole."""
    idle_s: float

    @property
    def full_size(self) -> bool:
        return sum(file.stat().st_size for file in self.model.iterdir() if file.is_file()) > FULL_SIZE_BYTES

    @property
    def engines(self) -> tuple[str, ...]:
        return (OURS, *self.peers)

    def directory(self, engine: str, precision: str) -> Path:
        """Return the model directory that this engine reads."""
        if engine == SHERPA_ONNX:
            return prepare(self.model, self.work / "sherpa-onnx" / self.model.name, precision)
        return self.model

    def files(self, engine: str, precision: str) -> tuple[Path, ...]:
        """Return all directories that the engine reads."""
        ours = (FORMS,) if engine in {OURS, MAPPED} and FORMS.is_dir() else ()
        return (self.directory(engine, precision), *ours)

    def prepare(self) -> None:
        """Make our recognizer's prepared forms, as `coldvoxctl model prepare` does, if the model has full size."""
        for precision in self.precisions if self.full_size else ():
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "coldvoxd.cli.main",
                    "model",
                    "prepare",
                    str(self.model),
                    "--precision",
                    precision,
                ],
                env=os.environ | {"XDG_CACHE_HOME": str(FORMS), "COLDVOXD_MODEL_PREPARED_GB": "20"},
                stdout=sys.stderr,
                check=True,
            )

    def numbers(self, threads: str) -> int:
        return physical_cores() if threads == "all" else int(threads)


def installed_peers() -> tuple[str, ...]:
    """Return the peers installed in this environment, onnx-asr first."""
    modules = {ONNX_ASR: "onnx_asr", SHERPA_ONNX: "sherpa_onnx"}
    return tuple(peer for peer, module in modules.items() if find_spec(module))
