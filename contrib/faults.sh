#!/bin/bash
# The fault matrix: what becomes of utterances when the accelerator fails. Sets up, then runs contrib/trials/faults.py.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/faults.sh [--json] [--rows PATTERN] [--list] [--jobs N]

Sets this checkout up (saying what it will install and why), then plays each row of the fault matrix: the real daemon with
the bundled model `mini` under a private session bus, a virtual microphone that speaks, and a virtual accelerator whose
real ONNX Runtime sessions fail as the row says. No GPU takes part, and your own sound and session are not touched.

  --json          one JSON object a row on standard output: row, moment, utterances, lost, doubled, wrong and
                  recovery_ratio: from detection to text, against a plain CPU recognition of the same speech in the same
                  run (null where the row has none), and how many plays it took: a row over 1.3 is played thrice at most
  --rows PATTERN  only rows whose "NAME (MOMENT)" is like the pattern (*, ?), such as `decoder` or `hang*Stop`
  --list          name the rows and play nothing
  --jobs N        so many rows at the same time: faster, but the ratios then tell of the contention

exit codes: 0 in every row all was heard, once, in order and right, with a recovery ratio of 1.3 at most; 1 not so;
69 something is missing that can't be installed (the message has it)
TEXT
}

for argument; do
    case $argument in
    -h | --help) usage && exit 0 ;;
    esac
done

# shellcheck source=contrib/dev/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/dev/setup.sh"
set_up demo
exec "$venv/bin/python" "$root/contrib/trials/faults.py" "$@"
