#!/bin/bash
# Starts dictations in the middle of speech, many times and with ten daemons at once (contrib/trials/preroll_starts.py).
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/trials/preroll-starts.sh [--starts 1000] [--daemons 10] [--seed 1] [--report FILE]

Starts dictations at random moments of continuous speech, through a private PulseAudio server and with several real
daemons at once, which also makes the machine busy. Compares each session with the audio that was captured, sample by
sample: every frame from where the session reaches back must be heard, once and in order. Takes some ten minutes.

Prints the report as Markdown, and writes it to FILE where that is given.
exit codes: 0 every start kept its pre-roll, 1 not so, 64 wrong arguments, 69 something is missing that can't be installed
TEXT
}

for argument; do
    case $argument in
    -h | --help) usage && exit 0 ;;
    esac
done

# shellcheck source=contrib/dev/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../dev/setup.sh"
set_up test
exec "$venv/bin/python" "$root/contrib/trials/preroll_starts.py" "$@"
