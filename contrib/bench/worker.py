"""The process of one engine: reads commands as lines of JSON and answers each with one line."""

import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import soundfile

from contrib.bench.engines import ENGINES, Engine
from contrib.bench.machine import memory_mib


def main() -> int:
    # The engines' libraries print; redirect that to standard error.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    name, model, precision, threads, *profiles = sys.argv[1:]
    if profiles:
        leave_profiles(Path(profiles[0]))
    engine = ENGINES[name](Path(model), precision, int(threads))
    print(json.dumps(memory_mib()), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(obey(engine, json.loads(line))), file=answers, flush=True)
    engine.close()
    return 0


def leave_profiles(directory: Path) -> None:
    """Make each ONNX Runtime session of ours write `ort-NUMBER_...json` there when it is closed."""
    from coldvoxd.native import opening

    numbers, plain = itertools.count(), opening.session_options

    def profiled(*arguments: Any, **options: Any) -> Any:
        made = plain(*arguments, **options)
        made.enable_profiling = True
        made.profile_file_prefix = str(directory / f"ort-{next(numbers)}")
        return made

    opening.session_options = profiled


def obey(engine: Engine, command: dict[str, Any]) -> dict[str, Any]:
    """Execute `open`, `recognize` or `transcribe` and return its cost, or return the `memory`."""
    if command["do"] == "memory":
        return memory_mib()
    wave = soundfile.read(command["file"], dtype="float32")[0] if command["do"] == "recognize" else None
    answer: dict[str, Any] = {}
    cpu_s, started_s = time.process_time(), time.perf_counter()
    if command["do"] == "open":
        engine.open()
    else:
        heard = engine.transcribe(Path(command["file"])) if wave is None else engine.recognize(wave)
        answer = {"text": heard.text, "decoder_s": heard.decoder_s}
    return answer | {"seconds": time.perf_counter() - started_s, "cpu_s": time.process_time() - cpu_s}


if __name__ == "__main__":
    sys.exit(main())
