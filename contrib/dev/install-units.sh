#!/bin/bash
# Puts the user service and its bus activation in place for the user who runs it, and nothing else.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/dev/install-units.sh [--cpu] [BINDIR]

Installs coldvoxd.service, coldvoxd-model.service (which fetches the model), coldvoxd-prepare.service (which prepares
it for this machine) and coldvoxd-keys.service (keys by the desktop's portal) for systemd --user, and org.coldvox.Daemon1.service for the session bus, for this user alone.
BINDIR is the folder that holds coldvoxd and coldvoxctl, ~/.local/bin where none is given (.venv/bin, for example, runs this checkout).
--cpu adds the locks for machines without a GPU.

Afterwards:  systemctl --user enable --now coldvoxd
To undo:     systemctl --user disable --now coldvoxd, and remove the files that are named here.
TEXT
}

options=()
bindir=
while (($#)); do
    case $1 in
    --cpu) options=(--cpu) ;;
    -h | --help) usage && exit 0 ;;
    -*) usage >&2 && exit 64 ;;
    *) bindir=$1 ;;
    esac
    shift
done
bindir=$(realpath -m -- "${bindir:-$HOME/.local/bin}")
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)

# What `coldvoxctl setup` does; that needs the package's own environment, this any Python from 3.11 on.
PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 "${COLDVOX_PYTHON:-python3}" -m coldvoxd.cli.install_ledger "${options[@]}" "$bindir"

# A running manager and a running bus read new files only when they are told to; where none runs, the next login does.
if systemctl --user daemon-reload 2>/dev/null; then
    busctl --user --quiet call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig || true
    echo "now: systemctl --user enable --now coldvoxd"
else
    echo "no systemd --user runs here; the service is there from the next login on"
fi
