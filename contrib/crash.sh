#!/bin/bash
# Kills the service at random moments, and counts lost texts (contrib/trial.py crashing).
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/crash.sh [--times 100] [--seed 1]

Kills the real service with SIGKILL and SIGABRT at random moments of dictation, under a real `systemd --user` of a
temporary user, and counts what its clients lose: sentences that were recorded completely and returned no text (`lost`),
were sent more than once with different pairs (`doubled`) or in the wrong order, and cancelled or private sessions that
were published after the crash (`resurfaced`).

Prints one JSON object. Requires root, or sudo without a password.
exit codes: 0 nothing was lost, 1 otherwise, 64 usage error, 69 a requirement cannot be installed
TEXT
}

# shellcheck source=contrib/trial.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/trial.sh"
try crashing "$@"
