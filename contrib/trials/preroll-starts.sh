#!/bin/bash
# Starts dictations during speech, many times and with ten concurrent daemons (contrib/trials/preroll_starts.py).
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/trials/preroll-starts.sh [--starts 1000] [--daemons 10] [--seed 1] [--report FILE]

Starts dictations at random moments of continuous speech, through a private PulseAudio server and with several real
daemons at the same time, which also makes the machine busy. Compares each session with the captured audio, sample by
sample: every frame from the start of the pre-roll must be in the session, once and in order. Takes about ten minutes.

Prints the report as Markdown, and writes it to FILE if that is given.
exit codes: 0 every start kept its pre-roll, 1 otherwise, 64 usage error, 69 a requirement cannot be installed
TEXT
}

# shellcheck source=contrib/dev/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../dev/setup.sh"
help_if_asked "$@"
set_up test
exec "$venv/bin/python" "$root/contrib/trials/preroll_starts.py" "$@"
