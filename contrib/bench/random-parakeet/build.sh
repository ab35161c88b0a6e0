#!/bin/bash
# Builds a full-size Parakeet with random weights, to measure the running costs of the real one.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/bench/random-parakeet/build.sh [DIRECTORY]

Builds a Parakeet TDT of 0.6 billion parameters with random weights by NVIDIA NeMo's own code and exporter, in the layout of
istupakov/parakeet-tdt-0.6b-v2-onnx, in float32 and int8. What it costs to load and run is the real model's; what it
hears is nonsense. Its joint network is tuned, in float32 and again in int8, so that it emits about as many tokens and blanks
as a trained one.

DIRECTORY is .work/random-parakeet/model of this checkout by default. Python and its packages (PyTorch and NeMo, some 6 GB) go
into a virtual environment in .work/random-parakeet, which can be deleted afterwards, and nowhere else.
Needs 12 GB of memory, 14 GB of disk and about ten minutes; deterministic but for PyTorch's own differences between processors.

exit codes: 0 built, 64 wrong arguments
TEXT
}

case ${1-} in
-h | --help) usage && exit 0 ;;
-*) usage >&2 && exit 64 ;;
esac

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname -- "$(dirname -- "$(dirname -- "$here")")")
work="$root/.work/random-parakeet"
venv="${RANDOM_PARAKEET_VENV:-$work/venv}"
model=$(realpath -m -- "${1:-$work/model}")
mkdir -p "$work" "$(dirname -- "$model")"
if [[ ! -x $venv/bin/python ]]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" --disable-pip-version-check install --quiet --requirement "$here/requirements.txt"
fi
export PYTHONPATH="$here"
exec "$venv/bin/python" -m random_parakeet "$model" --speech "$root"/coldvoxd/data/mini/samples/0[0-5]-*.flac
