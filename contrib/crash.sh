#!/bin/bash
# Kills the service at random moments, and counts what is lost (contrib/trials/in_login.py crashing).
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/crash.sh [--times 100] [--seed 1]

Kills the real service with SIGKILL and SIGABRT at random moments of dictation, under a real `systemd --user` of a
throw-away user, and counts what its clients lose: sentences that were heard whole and gave no text (`lost`), came more than
once with different pairs (`doubled`) or in the wrong order, and sessions that were cancelled or private and came back
(`resurfaced`).

Prints one JSON object. As root, or where sudo asks for no password.
exit codes: 0 nothing was lost, 1 something was, 64 wrong arguments, 69 something is missing that can't be installed
TEXT
}

# shellcheck source=contrib/trials/in_login.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/trials/in_login.sh"
try crashing "$@"
