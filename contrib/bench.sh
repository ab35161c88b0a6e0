#!/bin/bash
# The benchmarks: this project beside onnx-asr and sherpa-onnx, in one run, on the same weights (contrib/bench).
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/bench.sh [--json] [--model mini|random|PATH] [--out DIR] [OPTION...]

Sets this checkout up (saying what it will install and why), then measures coldvoxd, onnx-asr and sherpa-onnx in turn on the same
recordings and weights, each in a process of its own, and the daemon over a private session bus with a virtual microphone.
Figures are medians; nothing is asserted, so exit code 0 only says that all was measured. Your own sound and session are
not touched. Leave the machine alone meanwhile.

  --model NAME      mini, the bundled model (default); random, of the real one's size, as contrib/bench/random-parakeet/build.sh
                    makes it; or the path of a model directory
  --json            one JSON object a figure on standard output: figure, ours, peer, peer_name, ratio (ours to the peer's, so
                    less is better), goal (the highest ratio wanted, or value where nothing is compared), unit, times.
                    Null where there is none; goals of memory and load for models of full size alone
  --out DIR         write MODEL.json, MODEL.md and MODEL.svg there; figures that MODEL.json has already and that are not
                    measured anew stay in it, so that a long run can be made in portions
  --parts PART...   of: recognition (1, 3, 10, 30 s of audio; decoder), long (300 s), load (seconds and memory, files in
                    the page cache), cold (without), dictation (over the bus), idle (CPU time)
  --precision P...  fp32, int8; both by default
  --threads N...    all (the physical cores), 1; both by default
  --peers P...      onnx-asr, sherpa-onnx; both by default
  --times N         measurements to each median, 5 by default
  --quick           about a minute with the small model; its figures say little
  --profile DIR     instead of figures, profiles of our own recognition: ONNX Runtime's by kind of node, and py-spy's stacks

exit codes: 0 measured, 64 wrong arguments, 66 there is no such model, 69 something is missing that can't be installed
TEXT
}

for argument; do
    case $argument in
    -h | --help) usage && exit 0 ;;
    esac
done

# shellcheck source=contrib/dev/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/dev/setup.sh"
set_up bench
export PYTHONPATH=$root ORT_DISABLE_TELEMETRY=1
status=0
"$venv/bin/python" -m contrib.bench "$@" || status=$?
exit $((status == 2 ? 64 : status))
