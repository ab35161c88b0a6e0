#!/bin/bash
# Uses one daemon for a long time and monitors its resources. Sets up, then runs tests/support/faults/soak.py.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/soak.sh [--minutes 10 | --hours N]

Uses the real daemon with the bundled model on a private bus and a private sound server, in cycles of 20 s: a dictation, and
in turn a recording, a subscriber, another execution provider, reopening the microphone, a reload, a cancelled and a private
session. After each cycle the daemon's descriptors, threads and memory are read; they must stay flat, as defined in the help
of `python -m tests.support.faults.soak` and in its source. Your own sound and session are not used.

Prints one JSON object. Requires root, for a small file system.
exit codes: 0 flat, and every text is correct, 1 otherwise, 64 usage error, 69 a requirement cannot be installed, or you are
not root
TEXT
}

# shellcheck source=contrib/dev/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/dev/setup.sh"
help_if_asked "$@"
set_up test
((EUID == 0)) || give_up "mounting a small file system requires root"
cd "$root"
exec "$venv/bin/python" -m tests.support.faults.soak "$@"
