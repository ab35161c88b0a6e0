#!/bin/bash
# Uses one daemon for a long time and watches what it holds. Sets up, then runs tests/support/faults/soak.py.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/soak.sh [--minutes 10 | --hours N]

Uses the real daemon with the bundled model on a private bus and a private sound server, in cycles of 20 s: a dictation, and in
turn a recording, a subscriber, another execution provider, another opening of the microphone, a reload, a cancelled and a
private session. After each cycle the daemon's descriptors, threads and memory are read; they must stay flat, which the help
of `python -m tests.support.faults.soak` and its source define. Your own sound and session are not touched.

Prints one JSON object. As root, for a small file system.
exit codes: 0 flat, and every text right, 1 not so, 64 wrong arguments, 69 something is missing that can't be installed, or you
are not root
TEXT
}

for argument; do
    case $argument in
    -h | --help) usage && exit 0 ;;
    esac
done

# shellcheck source=contrib/dev/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/dev/setup.sh"
set_up test
((EUID == 0)) || {
    tell "the soak mounts a small file system, which needs root"
    exit 69
}
cd "$root"
exec "$venv/bin/python" -m tests.support.faults.soak "$@"
