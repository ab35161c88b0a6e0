#!/bin/bash
# Runs the fault matrix: do utterances survive faults of the accelerator? Sets up, then runs contrib/trials/faults.py.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/faults.sh [--json] [--rows PATTERN] [--list] [--vulkan] [--partials] [--jobs N]

Sets this checkout up (it prints what it installs and why), then runs each row of the fault matrix: the real daemon with
the bundled model `mini` on a private session bus, a virtual microphone, and a virtual accelerator whose real ONNX Runtime
sessions fail as the row defines. No GPU is used, and your own sound and session are not used.

  --json          one JSON object per row on standard output: row, moment, utterances, lost, doubled, wrong and
                  recovery_ratio: the time from detection to text, relative to a plain CPU recognition of the same speech in
                  the same run (null if the row has none), and the number of runs: a row over 1.3, or one that failed while
                  the daemon reported lost audio for lack of processor time, is run at most three times
  --rows PATTERN  only rows whose "NAME (MOMENT)" matches the pattern (*, ?), such as `decoder` or `hang*Stop`
  --list          list the rows without running them
  --vulkan        other rows: the real provider WebGPU on a software Vulkan driver, whose layer makes it fail; no ratio is
                  measured. Requires contrib/dev/software-vulkan.sh
  --partials      publish words during speech in every session; no ratio is measured
  --jobs N        number of concurrent rows: faster, but the ratios then include the contention

exit codes: 0 in every row all texts were sent once, in order and correct, with a recovery ratio of at most 1.3; 1 otherwise;
69 a requirement cannot be installed, or is missing (the message names it)
TEXT
}

# shellcheck source=contrib/dev/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/dev/setup.sh"
help_if_asked "$@"
set_up demo
exec "$venv/bin/python" "$root/contrib/trials/faults.py" "$@"
