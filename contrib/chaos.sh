#!/bin/bash
# Injects random faults around the daemon, generated from a seed. Sets up, then runs tests/support/chaos.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/chaos.sh [--seed 1] [--steps 200] [--bus dbus-daemon|dbus-broker] [--list] [--log FILE]

Runs random steps around the real daemon, which records from a private sound server or a virtual microphone and recognizes
with the bundled model on a virtual accelerator: the sound server exits, stalls and returns, the microphone is unplugged or
muted, the accelerator fails, the daemon gets SIGSTOP and SIGKILL, the bus exits, invalid settings are loaded, a subscriber
does not read, the runtime directory is full. Every 20 steps all faults are cleared; then the state must be as at the
start, and every spoken sentence must have been published exactly once, or be part of a loss that the daemon reported. Your
own sound and session are not used. 200 steps take six minutes, or ten on a busy machine.

A seed always gives the same steps. A run that fails prints them, with the daemon's log and the command that repeats them.

  --seed N   seed of the steps
  --steps N  number of steps
  --bus BUS  implementation of the message bus
  --list     print the steps without running them
  --log FILE write the daemon's log to FILE

Prints one JSON object. Requires root, for a small file system that is filled up.
exit codes: 0 every sentence was accounted for, 1 otherwise, 64 usage error, 69 a requirement cannot be installed, or you
are not root
TEXT
}

for argument; do
    case $argument in
    -h | --help) usage && exit 0 ;;
    esac
done

# shellcheck source=contrib/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
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
exec "$venv/bin/python" -m tests.support.chaos.run "$@"
