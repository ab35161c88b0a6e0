"""Where a recognition spends its time: ONNX Runtime's profile by node type, and py-spy's of the whole process."""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from contrib.bench.engines import OURS
from contrib.bench.plan import Plan
from contrib.bench.recordings import speech
from contrib.bench.workers import Worker, worker

SECONDS = 10
TIMES = 5


def profile(plan: Plan, directory: Path) -> None:
    """Write `nodes-PRECISION.txt` and, if py-spy may attach to a process, `python-PRECISION.txt` there."""
    directory.mkdir(parents=True, exist_ok=True)
    recording = speech(plan.work, SECONDS)
    for precision in plan.precisions:
        with worker(OURS, plan.model, precision, plan.numbers("all")) as started:
            started.open()
            _spied(started, recording, directory / f"python-{precision}.txt")
        with worker(OURS, plan.model, precision, plan.numbers("all"), profiles=directory) as started:
            started.open()
            _recognize(started, recording)
            started.end()
        (directory / f"nodes-{precision}.txt").write_text(_by_kind(directory))


def _recognize(started: Worker, recording: Path) -> None:
    for _ in range(TIMES):
        started.recognize(recording)


def _by_kind(directory: Path) -> str:
    """Return the node types that took longest for each profiled session, in milliseconds and shares."""
    lines = []
    for path in sorted(directory.glob("ort-*.json")):
        spent: Counter[str] = Counter()
        for event in json.loads(path.read_text()):
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                spent[event["args"]["op_name"]] += event["dur"]
        whole = sum(spent.values()) or 1
        lines.append(f"{path.stem.split('_')[0]}: {whole / 1000:.0f} ms in {TIMES} recognitions of {SECONDS} s")
        lines += [f"  {kind:<28} {us / 1000:9.1f} ms {us / whole:6.1%}" for kind, us in spent.most_common(12)]
        path.unlink()
    return "\n".join(lines) + "\n"


def _spied(started: Worker, recording: Path, path: Path) -> None:
    """Recognize under py-spy; write collapsed stacks, one per line with its sample count, most frequent first."""
    spy = Path(sys.executable).with_name("py-spy")
    options = ("--native", "--format", "raw", "--output", str(path), "--duration", "3600")
    with subprocess.Popen(
        [str(spy), "record", "--pid", str(started.process.pid), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as spying:
        assert spying.stdout is not None
        spying.stdout.readline()  # py-spy has attached to the process
        _recognize(started, recording)
        spying.send_signal(signal.SIGINT)
        said, _ = spying.communicate()
    if not path.exists():
        print(
            f"bench: no {path.name}: py-spy could not look into the process; root may, and so may any user after\n"
            f"  sudo sysctl kernel.yama.ptrace_scope=0\n{said.strip()}",
            file=sys.stderr,
        )
        return
    stacks = path.read_text().splitlines()
    path.write_text("".join(f"{line}\n" for line in sorted(stacks, key=_seen, reverse=True)))


def _seen(stack: str) -> int:
    return int(stack.rpartition(" ")[2])
