#!/bin/bash
# Takes the pictures in contrib/desktop/gallery: the real shells, with the real daemon put into each state.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/trials/desktop/gallery.sh [gnome|plasma]...

Starts GNOME Shell 48 and Plasma 6.3 in their Debian tree (see contrib/desktop-check.sh --help), brings the real daemon into each
state with its stand-ins (a virtual microphone, a virtual accelerator that fails as told, a private sound server, a model
that isn't there, a download), in Plasma also in dark colours, with high contrast and in a vertical panel, and writes
contrib/desktop/gallery/DESKTOP-STATE.png. Needs root.

exit codes: 0 all pictures were taken, 1 some were not, 69 something is missing here
TEXT
}

here=$(dirname -- "${BASH_SOURCE[0]}")
case ${1:-} in
-h | --help) usage && exit 0 ;;
-*) usage >&2 && exit 64 ;;
esac
# shellcheck source=contrib/trials/desktop/tree.sh
source "$here/tree.sh"
need_for_root || exit
# shellcheck source=contrib/dev/setup.sh
source "$here/../../dev/setup.sh"
have mmdebstrap || want mmdebstrap "makes the Debian tree that the desktop runs in"
set_up "test" # for its private PulseAudio
(($#)) || set -- gnome plasma
for desktop in "$@"; do
    make_tree "$desktop" || exit
    (enter "$venv/bin/python" "$root/contrib/trials/desktop/gallery.py" "$desktop")
done
