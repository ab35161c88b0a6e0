#!/bin/bash
# Makes the service re-execute itself, and counts what clients notice (contrib/trial.py renewing).
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/replace.sh [--times 50] [--seed 1]

Makes the real service re-execute itself repeatedly, under a real `systemd --user` of a temporary user, after faults of the
virtual accelerator that last as long as the process. A client calls continuously; it counts calls that fail, numbers that
are not consecutive, wrong texts, and the time for which no audio was recorded.

Prints one JSON object. Requires root, or sudo without a password.
exit codes: 0 nothing was lost, 1 otherwise, 64 usage error, 69 a requirement cannot be installed
TEXT
}

# shellcheck source=contrib/trial.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/trial.sh"
try renewing "$@"
