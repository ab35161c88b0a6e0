#!/bin/bash
# Benchmarks: compares this project with onnx-asr and sherpa-onnx, in one run on the same weights (contrib/bench).
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/bench.sh [--json] [--model mini|random|PATH] [--out DIR] [OPTION...]

Sets this checkout up (it prints what it installs and why), then measures coldvoxd, onnx-asr and sherpa-onnx in turn on the
same recordings and weights, each in its own process, and the daemon on a private session bus with a virtual microphone.
Figures are medians. Nothing is asserted: exit code 0 means only that the measurement is complete. Your own sound and
session are not used. Do not use the machine during the measurement.

  --model NAME      mini, the bundled model (default); random, a model of the real one's size built by
                    contrib/bench/random-parakeet/build.sh; or the path of a model directory
  --json            one JSON object per figure on standard output: figure, ours, peer, peer_name, ratio (ours to the peer's,
                    so less is better), goal (the maximum ratio, or the maximum value if nothing is compared), unit, times.
                    Null if there is no value; goals for memory and load apply to models of full size only
  --out DIR         write MODEL.json, MODEL.md and MODEL.svg there; figures already in MODEL.json that are not measured
                    again are kept, so that a long measurement can be split
  --parts PART...   of: recognition (1, 3, 10, 30 s of audio; decoder), long (300 s), load (seconds and memory, files in
                    the page cache), cold (without), dictation (over the bus), idle (CPU time)
  --precision P...  fp32, int8; both by default
  --threads N...    all (the physical cores), 1; both by default
  --peers P...      onnx-asr, sherpa-onnx; both by default
  --times N         measurements to each median, 5 by default
  --quick           about a minute with the small model; its figures are rough
  --profile DIR     write profiles of coldvoxd's recognition instead of figures: ONNX Runtime's by node type, and py-spy's stacks

exit codes: 0 measured, 64 usage error, 66 there is no such model, 69 a requirement cannot be installed
TEXT
}

# shellcheck source=contrib/dev/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/dev/setup.sh"
help_if_asked "$@"
set_up bench
export PYTHONPATH=$root ORT_DISABLE_TELEMETRY=1
status=0
"$venv/bin/python" -m contrib.bench "$@" || status=$?
exit $((status == 2 ? 64 : status))
