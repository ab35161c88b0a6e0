#!/bin/bash
# From a fresh machine to speech that becomes signals on the bus: sets up, then runs contrib/dev/demo.py.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/demo.sh [--json] [--virtual] [--all]

Sets this checkout up (saying what it will install and why), then starts the real daemon with the bundled model `mini`
under a private session bus and a private sound server, speaks sample recordings into a virtual microphone, and shows the
daemon's signals and a table of what was said and heard. Your own sound and session are not touched.

  --json     one JSON object a line on standard output: said, heard, latency_s, provider; all else on standard error
  --virtual  use the daemon's own virtual microphone instead of a sound server
  --all      speak all sample recordings, not just the first six

exit codes: 0 all was heard, 1 something was not, 69 something is missing that can't be installed (the message has it)
TEXT
}

arguments=()
for argument; do
    case $argument in
    -h | --help) usage && exit 0 ;;
    --json | --virtual | --all) arguments+=("$argument") ;;
    *) usage >&2 && exit 64 ;;
    esac
done

# shellcheck source=contrib/dev/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/dev/setup.sh"
set_up demo
for reason in "${left_out[@]}"; do
    tell "left out: $reason"
done
exec "$venv/bin/python" "$root/contrib/dev/demo.py" --sound "$sound_server" "${arguments[@]}"
