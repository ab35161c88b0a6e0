#!/bin/bash
# Puts the user service and its bus activation in place for the user who runs it, and nothing else.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/install-units.sh [--cpu] [BINDIR]

Installs coldvoxd.service, coldvoxd-model.service (which fetches the model) and coldvoxd-prepare.service (which prepares
it for this machine) for systemd --user, and org.coldvox.Daemon1.service for the session bus, for this user alone.
BINDIR is the folder that holds coldvoxd and coldvoxctl, ~/.local/bin where none is given (.venv/bin, for example, runs this checkout).
--cpu adds the locks for machines without a GPU.

Afterwards:  systemctl --user enable --now coldvoxd
To undo:     systemctl --user disable --now coldvoxd, and remove the files that are named here.
TEXT
}

cpu=no
bindir=
while (($#)); do
    case $1 in
    --cpu) cpu=yes ;;
    -h | --help) usage && exit 0 ;;
    -*) usage >&2 && exit 64 ;;
    *) bindir=$1 ;;
    esac
    shift
done
bindir=$(realpath -m -- "${bindir:-$HOME/.local/bin}")
[[ -x $bindir/coldvoxd ]] || {
    echo "install-units.sh: there is no coldvoxd in $bindir; give the folder that holds it" >&2
    exit 66
}
if [[ $bindir/ == /tmp/* || $bindir/ == /var/tmp/* ]]; then
    echo "install-units.sh: the service has a /tmp of its own and will not see $bindir; install elsewhere" >&2
    exit 66
fi

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
units=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user
activation=${XDG_DATA_HOME:-$HOME/.local/share}/dbus-1/services

put() { # put FILE: standard input becomes FILE, at once or not at all
    mkdir -p -- "$(dirname -- "$1")"
    cat >"$1.new"
    mv -- "$1.new" "$1"
    echo "installed $1"
}

# % and " mean something in a unit file; & and \ to awk. Only the program's place on lines with ExecStart= is touched.
for unit in coldvoxd coldvoxd-model coldvoxd-prepare; do
    bindir=${bindir//%/%%} awk 'BEGIN { home = "ExecStart=%h/.local/bin/" }
        index($0, home) == 1 {
            rest = substr($0, length(home) + 1)
            program = rest
            sub(/ .*/, "", program)
            print "ExecStart=\"" ENVIRON["bindir"] "/" program "\"" substr(rest, length(program) + 1)
            next
        }
        { print }' "$here/systemd/$unit.service" | put "$units/$unit.service"
done
put "$activation/org.coldvox.Daemon1.service" <"$here/dbus/org.coldvox.Daemon1.service"
if [[ $cpu == yes ]]; then
    put "$units/coldvoxd.service.d/cpu.conf" <"$here/systemd/coldvoxd-cpu.conf"
fi

# A running manager and a running bus read new files only when they are told to; where none runs, the next login does.
if systemctl --user daemon-reload 2>/dev/null; then
    busctl --user --quiet call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig || true
    echo "now: systemctl --user enable --now coldvoxd"
else
    echo "no systemd --user runs here; the service is there from the next login on"
fi
