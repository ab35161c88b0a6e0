"""Properties that only a machine with a GPU can show: examined on one provider, and reported.

.venv/bin/python -m tests.support.gpu.lane PROVIDER [MODEL]      one examination, as JSON on standard output
"""

import importlib.metadata
import json
import os
import platform
import pwd
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.metrics import nearest_rank
from coldvoxd.core.provider_errors import classify
from coldvoxd.core.values import EndReason, Hypothesis, ModelFiles, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.gpu.nvml import Gpu, NoLibrary
from coldvoxd.models import find_model
from coldvoxd.native.opening import open_session
from coldvoxd.native.providers import CPU
from tests.support.environment import OWN_HOME
from tests.support.sound.speech import samples

ROOT = Path(__file__).parents[3]
LENGTHS_S = (1.0, 2.0, 3.0, 5.0, 8.0, 13.0)
"""Used in turn, so that a provider which tunes itself for each length shows it."""
ROUNDS = 10
SMALL_BYTES = 1 << 20
"""Memory limit of the session: too small for any encoder."""
CHECKLIST = (
    "coldvoxd runs on the GPU (`coldvoxctl status`), a session is active: close the lid for a minute, open it",
    "the session ended with `suspending` or its text came, and the next dictation has its text",
    "`ExecutionProvider` is the GPU again within a minute (`coldvoxctl status`; the log says how)",
    "the same while nothing is dictated, and right after the last word of an utterance",
    "the same with a hibernation, where this machine does that",
    "with `idle_release_s = 30` under `[gpu]`, a minute after the last session: `power/runtime_status` of the GPU is `suspended`",
)


@dataclass
class Examination:
    """The findings on one provider."""

    provider: str
    facts: dict[str, str] = field(default_factory=dict)
    active: str = ""
    """The provider on which the session runs, as reported by it."""
    golden: bool = False
    """Whether every sample gives the same text as on the CPU."""
    precisions: dict[str, str] = field(default_factory=dict)
    """By precision: how its tokens agree with fp32's, or why it was not tried."""
    latency_s: dict[str, dict[str, float]] = field(default_factory=dict)
    """By length of the audio: p50, p95 and first run."""
    small_memory: str = ""
    """The error of a session with hardly any memory."""
    hidden: str = ""
    """The error in a process from which the GPU is hidden."""


def examine(provider: str, model: str = "mini", *, rounds: int = ROUNDS) -> Examination:
    """Examine a provider. Raises the errors of opening the model."""
    found = Examination(provider, facts(model))
    files = find_model(model, Precision.FP32)
    on_cpu = ParakeetRecognizer.open(files, CPU)
    plain = [on_cpu.recognize(_utterance(sample.wave())) for sample in samples()]
    on_cpu.close()
    recognizer = ParakeetRecognizer.open(files, provider)
    found.active = recognizer.provider
    heard = [recognizer.recognize(_utterance(sample.wave())) for sample in samples()]
    found.golden = [one.text for one in heard] == [one.text for one in plain]
    found.precisions["fp32"] = _agreement(heard, plain)
    found.latency_s = latencies(recognizer, rounds)
    recognizer.close()
    for precision in (Precision.FP16, Precision.INT8):
        found.precisions[precision.value] = _other_precision(model, precision, provider, plain)
    found.small_memory = with_small_memory(files, provider)
    found.hidden = hidden(provider, files.encoder)
    return found


def facts(model: str) -> dict[str, str]:
    """Return facts about the machine, without any that identify its owner."""
    found = {
        "coldvoxd": importlib.metadata.version("coldvoxd"),
        "model": Path(model).name,
        "Python": platform.python_version(),
        "kernel": platform.release(),
        "processor": f"{platform.machine()}, {os.cpu_count()} threads",
    }
    for package in ("onnxruntime-gpu", "onnxruntime", "nvidia-ml-py"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | _gpu()


def latencies(recognizer: ParakeetRecognizer, rounds: int) -> dict[str, dict[str, float]]:
    """Return the seconds per recognition by the length of the audio, with the lengths in turn."""
    speech = np.concatenate([sample.wave() for sample in samples()])
    took: dict[float, list[float]] = {length_s: [] for length_s in LENGTHS_S}
    for _ in range(rounds):
        for length_s in LENGTHS_S:
            utterance = _utterance(np.resize(speech, int(length_s * 16_000)))
            began_s = time.perf_counter()
            recognizer.recognize(utterance)
            took[length_s].append(time.perf_counter() - began_s)
    return {
        f"{length_s:g}": {
            "p50": nearest_rank(sorted(times), 0.50),
            "p95": nearest_rank(sorted(times), 0.95),
            "first": times[0],
        }
        for length_s, times in took.items()
    }


def with_small_memory(files: ModelFiles, provider: str) -> str:
    """Return failover's classification of a session with hardly any memory, or `opened`."""
    options = {"gpu_mem_limit": str(SMALL_BYTES), "arena_extend_strategy": "kSameAsRequested"}
    return opening(files.encoder, provider, options if provider in {"cuda", "tensorrt"} else {})


def opening(path: Path, provider: str, options: Mapping[str, str] | None = None) -> str:
    """Return `CLASS, CODE: MESSAGE` if a session can't be opened or run, otherwise `opened`."""
    try:
        open_session(path, provider, provider_options=options).close()
    except ColdvoxError as fault:
        fault_class, reason = classify(str(fault))
        return f"{fault_class}, {reason}: {fault}"
    return "opened"


def hidden(provider: str, path: Path) -> str:
    """Return the result of `opening` in a process from which the GPU is hidden."""
    program = (
        "import sys; from pathlib import Path; from tests.support.gpu.lane import opening; "
        "print(opening(Path(sys.argv[1]), sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), provider],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    lines = done.stdout.splitlines() or [f"the process ended with {done.returncode}"]
    return lines[-1]


def report(found: Examination) -> str:
    """Return a report in Markdown."""
    lines = [f"# coldvoxd on {found.provider}", "", "| what | value |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in found.facts.items()]
    lines += [f"| the session runs on | {found.active} |"]
    lines += [f"| every sample is heard as on the CPU | {'yes' if found.golden else 'NO'} |"]
    lines += [f"| tokens in {name}, beside fp32 on the CPU | {text} |" for name, text in found.precisions.items()]
    lines += [f"| a session with {SMALL_BYTES >> 20} MiB of memory | {_cell(found.small_memory)} |"]
    lines += [f"| a process from which the GPU is hidden | {_cell(found.hidden)} |"]
    lines += ["", "| seconds of audio, by turns | p50 | p95 | first run |", "|---|---|---|---|"]
    for length, times in found.latency_s.items():
        lines.append(
            f"| {length} | " + " | ".join(f"{times[key] * 1000:.0f} ms" for key in ("p50", "p95", "first")) + " |"
        )
    lines += ["", "The goal is a p95 under 200 ms for 3 s of audio on a GPU, with `parakeet-tdt-0.6b-v2`.", ""]
    lines += ["By hand, please (put an x where it is so, and a word where it isn't):", ""]
    lines += [f"- [ ] {line}" for line in CHECKLIST]
    return "\n".join(lines) + "\n"


def _utterance(wave: Any) -> Utterance:
    return Utterance(1, 1, 0, np.asarray(wave, np.float32), EndReason.ENDPOINT)


def _other_precision(model: str, precision: Precision, provider: str, plain: Sequence[Hypothesis]) -> str:
    try:
        recognizer = ParakeetRecognizer.open(find_model(model, precision), provider)
        heard = [recognizer.recognize(_utterance(sample.wave())) for sample in samples()]
    except ColdvoxError as fault:
        return f"not tried: {_cell(str(fault))}"
    recognizer.close()
    return _agreement(heard, plain)


def _agreement(heard: Sequence[Hypothesis], plain: Sequence[Hypothesis]) -> str:
    same = sum(
        [token.id for token in one.tokens] == [token.id for token in other.tokens]
        for one, other in zip(heard, plain, strict=True)
    )
    return f"the same in {same} of {len(plain)} samples"


def _gpu() -> dict[str, str]:
    try:
        gpu = Gpu()
        sight = gpu.look()
        gpu.close()
    except NoLibrary:
        return {"GPU": "no management library"}
    if sight.total_bytes is None:
        return {"GPU": f"{sight.trouble or 'reports nothing'}"}
    return {"GPU": f"{sight.total_bytes >> 20} MiB, {(sight.free_bytes or 0) >> 20} MiB free, {sight.temperature_c} °C"}


def _cell(text: str) -> str:
    """Return a table cell, without the paths of the checkout and of the user's home, which tests replace."""
    homes = {os.environ.get(OWN_HOME, "/"), str(Path.home()), pwd.getpwuid(os.getuid()).pw_dir} - {"/"}
    # The longest first: one home may lie in another. Another place's name may begin with this one's.
    for place, shown in ((str(ROOT), ROOT.name), *((home, "~") for home in sorted(homes, key=len, reverse=True))):
        text = re.sub(rf"{re.escape(place)}(?![\w.-])", shown, text)
    return text.replace("|", "/").replace("\n", " ")


if __name__ == "__main__":
    print(json.dumps(asdict(examine(*sys.argv[1:3]))))
