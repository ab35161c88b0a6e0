#!/bin/bash
# Dictates into a window of a real desktop: presses the shortcut, speaks a sample, finds the words.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/desktop-check.sh gnome|plasma|sway|x11 [--json]

In a real session of that desktop, private to this run: presses the shortcut, speaks samples into the daemon's virtual
microphone, finds the words in a window, and prints how long it took from the end of speech to the text there.

gnome and plasma run in a Debian 13 tree of their own, made at the first run (some minutes, 2 GB each) in COLDVOX_DESKTOP_DIR,
/var/tmp/coldvoxd-desktop where that isn't set; they need root. Of the machine itself only mmdebstrap is installed, where
it is missing, and your own desktop takes no part.

sway and x11 run with this machine's sway, foot, wtype and wl-clipboard, or Xvfb, xterm, xdotool and xclip, without
a screen; the words go through coldvox-type. A bare X server has no shortcuts: there `coldvoxctl toggle` stands for the key.

  --json  an object a line: desktop, said, found, right, seconds

exit codes: 0 all words were found, 1 some were not, 69 something is missing here
TEXT
}

here=$(dirname -- "${BASH_SOURCE[0]}")
case ${1:-} in
-h | --help) usage && exit 0 ;;
"" | -* | */*) usage >&2 && exit 64 ;;
esac
check=$here/trials/desktop/check-$1.sh
[[ -x $check ]] || { usage >&2 && exit 64; }
shift
exec "$check" "$@"
