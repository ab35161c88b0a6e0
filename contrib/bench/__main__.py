"""Runs the benchmarks and writes their figures. See ../bench.sh, whose help lists the options."""

import argparse
import contextlib
import json
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from coldvoxd.models.directories import bundled_directory
from coldvoxd.preparation.cpu_contention import CpuContention
from contrib.bench import dictation, loading, machine, plot, profiling, recognition, report
from contrib.bench.engines import ONNX_ASR, SHERPA_ONNX
from contrib.bench.figures import Figure
from contrib.bench.plan import PARTS, Plan, installed_peers

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".work/bench"
RANDOM = ROOT / ".work/random-parakeet/model"
MEASURES: dict[str, Callable[[Plan], Iterator[Figure]]] = {
    "recognition": recognition.recognition,
    "long": recognition.long_audio,
    "load": loading.loading,
    "cold": loading.cold_loading,
    "dictation": dictation.dictation,
    "idle": dictation.idle,
}


def main() -> int:
    arguments = _arguments()
    model = {"mini": bundled_directory(), "random": RANDOM}.get(arguments.model, Path(arguments.model))
    if not (model / "vocab.txt").is_file():
        what = (
            "build it with contrib/bench/random-parakeet/build.sh" if arguments.model == "random" else "check the path"
        )
        print(f"bench: there is no model in {model}: {what}", file=sys.stderr)
        return 66
    WORK.mkdir(parents=True, exist_ok=True)
    plan = _plan(arguments, model)
    plan.prepare()
    if arguments.profile:
        profiling.profile(plan, arguments.profile)
        return 0
    company, figures = CpuContention(), []
    for part in plan.parts:
        print(f"bench: {part}", file=sys.stderr, flush=True)
        for figure in MEASURES[part](plan):
            figures.append(figure)
            _show(figure, as_json=arguments.json)
    document = {
        "model": arguments.model if arguments.model in {"mini", "random"} else model.name,
        "machine": machine.describe(),
        "commands": [
            {
                "command": shlex.join(["contrib/bench.sh", *_without_paths(sys.argv[1:])]),
                "processor_share_of_others": company.share,
            }
        ],
        "figures": [],
    }
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        path = arguments.out / f"{document['model']}.json"
        document = report.merged(path, document, figures)
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        path.with_suffix(".md").write_text(report.markdown(document), encoding="utf-8")
        path.with_suffix(".svg").write_text(plot.bars(document), encoding="utf-8")
    others = f"{company.share:.0%} of the processors went to others"
    missed = [figure.figure for figure in figures if figure.reached is False]
    print(f"bench: {len(figures)} figures, goals missed: {', '.join(missed) or 'none'}; {others}", file=sys.stderr)
    return 0


def _show(figure: Figure, *, as_json: bool) -> None:
    with contextlib.suppress(BrokenPipeError):
        if as_json:
            print(json.dumps(figure.as_dict()), flush=True)
            return
        against = "" if figure.peer is None else f"{report.number(figure.peer)} of {figure.peer_name}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        goal = "" if figure.goal is None else f"{'ok' if figure.reached else 'MISSED'} (goal {figure.goal:g})"
        mine = f"{report.number(figure.ours)} {figure.unit}"
        print(f"{figure.figure:<48} {mine:<18} {against:<40} {ratio:>6}  {goal}", flush=True)


def _plan(arguments: argparse.Namespace, model: Path) -> Plan:
    quick = arguments.quick
    return Plan(
        model=model,
        work=WORK,
        parts=tuple(arguments.parts or PARTS),
        precisions=tuple(arguments.precision or (["fp32"] if quick else ["fp32", "int8"])),
        threads=tuple(arguments.threads or (["all"] if quick else ["all", "1"])),
        peers=tuple(peer for peer in installed_peers() if peer in (arguments.peers or installed_peers())),
        times=arguments.times or (2 if quick else 5),
        seconds=(1, 3) if quick else (1, 3, 10, 30),
        long_s=60 if quick else 300,
        idle_s=2.0 if quick else 30.0,
    )


def _without_paths(words: list[str]) -> list[str]:
    """Return the command in a form fit for publication: only the last part of each path."""
    return [Path(word).name if "/" in word else word for word in words]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="contrib/bench.sh", description=__doc__)
    parser.add_argument("--model", default="mini", metavar="mini|random|PATH")
    parser.add_argument("--json", action="store_true", help="one JSON object a figure on standard output")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write JSON, a table and a plot there")
    parser.add_argument("--parts", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--precision", nargs="+", choices=("fp32", "int8"))
    parser.add_argument("--threads", nargs="+", choices=("all", "1"))
    parser.add_argument("--peers", nargs="+", choices=(ONNX_ASR, SHERPA_ONNX))
    parser.add_argument("--times", type=int, help="measurements to each median")
    parser.add_argument("--quick", action="store_true", help="a minute with the small model; its figures say little")
    parser.add_argument("--profile", type=Path, metavar="DIR", help="instead of figures: profiles of a recognition")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
