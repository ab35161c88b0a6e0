#!/bin/bash
# Sets this checkout up on a fresh machine, then runs contrib/dev/demo.py.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/demo.sh [--json] [--virtual] [--all]

Sets this checkout up (it prints what it installs and why), then starts the real daemon with the bundled model `mini` on a
private session bus and a private sound server, plays sample recordings into a virtual microphone, and shows the daemon's
signals and a table of the spoken and recognized texts. Your own sound and session are not used.

  --json     one JSON object per line on standard output: said, heard, latency_s, provider; all else on standard error
  --virtual  use the daemon's virtual microphone instead of a sound server
  --all      play all sample recordings, not only the first six

exit codes: 0 all texts were recognized, 1 at least one was not, 64 usage error, 69 a requirement cannot be installed (the message names it)
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
