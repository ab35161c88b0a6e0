#!/bin/bash
# Injects random faults around the daemon, generated from a seed. Sets up, then runs tests/support/faults/chaos.
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

# shellcheck source=contrib/dev/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/dev/setup.sh"
help_if_asked "$@"
set_up test
((EUID == 0)) || give_up "mounting a small file system requires root"
[[ " $* " != *dbus-broker* ]] || have dbus-broker || give_up "dbus-broker is not installed"
cd "$root"
exec "$venv/bin/python" -m tests.support.faults.chaos.run "$@"
