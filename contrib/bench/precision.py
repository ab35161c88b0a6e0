#!/usr/bin/env python3
"""Cost and effect of a model's precisions on the CPU: size, load time, memory, and share of tokens equal to fp32.

contrib/bench/precision.py [MODEL] [--clips N]    MODEL: a name or a directory, default `mini`

Missing precisions are built first, as by `coldvoxctl model prepare`, but without its trial, so that a model with
meaningless text works too. Each precision is measured in its own process. Prints one row of Markdown for each. Clips
are the bundled samples and variations of them: 216.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from coldvoxd.core.errors import ConversionFault
from coldvoxd.core.features import log_mel
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.engines.parakeet.configuration import ParakeetConfiguration
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from coldvoxd.models.precision_build import convert
from coldvoxd.models.precision_store import files_of, find_converted
from tests.support.sound.speech import variations

HEAD = (
    "| model | precision | files | load | memory, loaded | memory, most | tokens as in fp32 | encoder differs by |\n"
    "|---|---|---|---|---|---|---|---|"
)


def resident_mb() -> float:
    """Return the resident memory of this process in MB."""
    fields = Path("/proc/self/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) / 1000


def measure(files: ModelFiles, count: int) -> dict[str, object]:
    """Measure in this process, which has done no other work."""
    before_mb, began_s = resident_mb(), time.perf_counter()
    recognizer = ParakeetRecognizer.open(files)
    load_s, loaded_mb = time.perf_counter() - began_s, resident_mb() - before_mb
    clips = [wave for _, wave in islice(variations(), 0, None, max(1, 216 // count))][:count]
    tokens = [[token.id for token in recognizer.recognize_samples(clip).tokens] for clip in clips]
    encoded = recognizer.encode(log_mel(clips[0], ParakeetConfiguration.read(files.config).features_size))
    return {
        "bytes": sum(path.stat().st_size for path in files_of(files)),
        "load_s": load_s,
        "loaded_mb": loaded_mb,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "tokens": tokens,
        "encoded": encoded.tolist(),
    }


def made(model: str, precision: Precision) -> ModelFiles:
    """Return the model's files, building them if necessary in a process whose peak memory is printed."""
    if precision is Precision.FP32:
        return find_model(model, precision)
    if (files := find_converted(model, precision)) is None:
        program = [sys.executable, __file__, model, "--make", str(precision)]
        began_s = time.perf_counter()
        subprocess.run(program, check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        print(f"{precision} made in {time.perf_counter() - began_s:.0f} s, {peak:.1f} GB", file=sys.stderr, flush=True)
        files = find_converted(model, precision)
    if files is None:
        raise ConversionFault(f"there is no {precision} of {model}")
    return files


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="mini")
    parser.add_argument("--clips", type=int, default=216)
    for inside in ("--make", "--alone"):
        parser.add_argument(inside, choices=[str(one) for one in Precision], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        convert(find_model(arguments.model, Precision.FP32), Precision(arguments.make), lambda _: "anything")
        return 0
    if arguments.alone:
        print(json.dumps(measure(made(arguments.model, Precision(arguments.alone)), arguments.clips)))
        return 0
    print(HEAD)
    truth: dict[str, Any] = {}
    for precision in Precision:
        made(arguments.model, precision)
        program = [sys.executable, __file__, arguments.model, "--clips", str(arguments.clips), "--alone", precision]
        found = json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout)
        truth = truth or found
        same = sum(one == other for one, other in zip(found["tokens"], truth["tokens"], strict=True))
        ours, theirs = np.array(found["encoded"]), np.array(truth["encoded"])
        share = float(np.sqrt(np.mean((ours - theirs) ** 2) / np.mean(theirs**2)))
        name = Path(arguments.model).name
        print(
            f"| {name} | {precision} | {found['bytes'] / 1e6:,.1f} MB | {found['load_s']:.2f} s "
            f"| {found['loaded_mb']:,.0f} MB | {found['peak_mb']:,.0f} MB | {same} of {len(found['tokens'])} "
            f"| {100 * share:.2f} % |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
