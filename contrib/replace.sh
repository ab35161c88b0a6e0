#!/bin/bash
# Has the service replace its own process, and counts what clients notice (contrib/trials/in_login.py renewing).
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/replace.sh [--times 50] [--seed 1]

Has the real service put a new process in its own place again and again, under a real `systemd --user` of a throw-away
user, after faults of the virtual accelerator that stay with a process. A client calls all the time; it counts calls that
fail, numbers that don't go on, texts that are wrong, and how long the microphone went unheard.

Prints one JSON object. As root, or where sudo asks for no password.
exit codes: 0 nothing was lost, 1 something was, 64 wrong arguments, 69 something is missing that can't be installed
TEXT
}

# shellcheck source=contrib/trials/in_login.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/trials/in_login.sh"
try renewing "$@"
