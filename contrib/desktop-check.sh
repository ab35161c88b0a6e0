#!/bin/bash
# Dictates into a window of a real desktop: presses the shortcut, plays a sample, and checks the text.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/desktop-check.sh gnome|plasma|sway|x11 [--json]

Starts a real, private session of that desktop, presses the shortcut, plays samples into the daemon's virtual microphone,
compares the text in a window, and prints the time from the end of speech to that text.

gnome and plasma run in a Debian 13 tree, which the first run creates (some minutes, 2 GB each) in COLDVOX_DESKTOP_DIR,
by default /var/tmp/coldvoxd-desktop; they need root. On the machine itself only mmdebstrap is installed if it is missing.
COLDVOX_DESKTOP_SUITE=forky or sid takes another Debian release, with newer desktops. Your own desktop is not used.

sway and x11 run without a screen, with this machine's sway, foot, wtype and wl-clipboard, or Xvfb, xterm, xdotool and
xclip; coldvox-type delivers the text. A bare X server has no shortcuts: `coldvoxctl toggle` replaces the key there.

  --json  one object per line: desktop, said, found, right, seconds

exit codes: 0 all words were found, 1 some were not, 64 usage error, 69 a requirement is missing
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
