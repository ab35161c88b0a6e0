#!/bin/bash
# Installs only the user service and its bus activation, for the user who runs it.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/dev/install-units.sh [--cpu] [BINDIR]

Installs coldvoxd.service, coldvoxd-model.service (downloads the model), coldvoxd-prepare.service (prepares it for this
machine) and coldvoxd-keys.service (shortcuts through the desktop's portal) for systemd --user, and
org.coldvox.Daemon1.service and .xml for the session bus, for this user only.
BINDIR is the directory of coldvoxd and coldvoxctl, by default ~/.local/bin (.venv/bin, for example, runs this checkout).
--cpu adds the sandboxing for machines without a GPU.

Afterwards:  systemctl --user enable --now coldvoxd
To undo:     systemctl --user disable --now coldvoxd, and remove the files that are listed here.

exit codes: 0 installed, 1 not installed, 64 usage error
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

# Like `coldvoxctl setup`, but in the environment of the daemon in BINDIR, or of this checkout.
python=${COLDVOX_PYTHON:-$(sed -n '1s/^#!//p' "$bindir/coldvoxd" 2>/dev/null || true)}
[[ $python == *python* && -x $python ]] || python=$here/.venv/bin/python
[[ -x $python ]] || python=python3
PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 "$python" -m coldvoxd.cli.install_ledger "${options[@]}" "$bindir"

# A running manager and a running bus must be made to reload; otherwise the next login reads the new files.
if systemctl --user daemon-reload 2>/dev/null; then
    busctl --user --quiet call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig || true
    echo "now: systemctl --user enable --now coldvoxd"
else
    echo "systemd --user is not running; the service is available from the next login on"
fi
