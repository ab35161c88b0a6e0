#!/bin/bash
# Random faults of everything around the daemon, from a seed. Sets up, then runs tests/support/faults/chaos.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/chaos.sh [--seed 1] [--steps 200] [--bus dbus-daemon|dbus-broker] [--list] [--log FILE]

Plays random steps around the real daemon, which hears a private sound server or a virtual microphone and recognizes with
the bundled model on a virtual accelerator: the sound server ends, is stopped and comes back, the microphone is unplugged or
muted, the accelerator fails, the daemon gets SIGSTOP and SIGKILL, the bus ends, broken settings are loaded, a subscriber
does not read, the runtime directory is full. Every 20 steps all faults are mended; then everything must be as at the
beginning, and every sentence that was spoken must have been published exactly once, or be part of a loss that the daemon
reported. Your own sound and session are not touched. 200 steps take six minutes, ten on a busy machine.

A seed always gives the same steps. A run that fails prints them, with the daemon's log and the command that plays them again.

  --seed N   where the steps come from
  --steps N  how many
  --bus BUS  which implementation of the message bus
  --list     print the steps and carry out none
  --log FILE write the daemon's whole log to FILE

Prints one JSON object. As root, for the small file system that fills up.
exit codes: 0 every sentence was accounted for, 1 something was wrong, 64 wrong arguments, 69 something is missing that can't
be installed, or you are not root
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
    tell "the chaos run mounts a small file system, which needs root"
    exit 69
}
[[ " $* " != *dbus-broker* ]] || have dbus-broker || {
    tell "dbus-broker is not installed"
    exit 69
}
cd "$root"
exec "$venv/bin/python" -m tests.support.faults.chaos.run "$@"
