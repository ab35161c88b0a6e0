#!/bin/bash
# Sets this checkout up on a fresh machine, then runs contrib/dev/demo.py.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/demo.sh [--json] [--virtual] [--all] [--vulkan]

Sets this checkout up (it prints what it installs and why), then starts the real daemon with the bundled model `mini` on a
private session bus and a private sound server, plays sample recordings into a virtual microphone, and shows the daemon's
signals and a table of the spoken and recognized texts. Your own sound and session are not used.

  --json     one JSON object per line on standard output: said, heard, latency_s, provider; all else on standard error
  --virtual  use the daemon's virtual microphone instead of a sound server
  --all      play all sample recordings, not only the first six
  --vulkan   recognize on the provider `webgpu`, on a software Vulkan driver that is unpacked for it, 350 MB (requires root): shows
             that the provider works and that the signals name it. It is no measure of a GPU: it is slower than the CPU

exit codes: 0 all texts were recognized (with --vulkan, also by WebGPU), 1 at least one was not, 64 usage error, 69 a requirement
cannot be installed (the message names it)
TEXT
}

arguments=() more=
for argument; do
    case $argument in
    -h | --help) usage && exit 0 ;;
    --json | --virtual | --all) arguments+=("$argument") ;;
    --vulkan) arguments+=("$argument") more=vulkan ;;
    *) usage >&2 && exit 64 ;;
    esac
done

# shellcheck source=contrib/dev/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/dev/setup.sh"
set_up demo $more
for reason in "${left_out[@]}"; do
    tell "left out: $reason"
done
exec "$venv/bin/python" "$root/contrib/dev/demo.py" --sound "$sound_server" "${arguments[@]}"
