#!/bin/bash
# Dictates into a window of GNOME Shell: a real key through the compositor, the extension, the daemon. See desktop-check.sh.
set -euo pipefail
here=$(dirname -- "${BASH_SOURCE[0]}")
# shellcheck source=contrib/trials/desktop/check.sh
source "$here/check.sh" gnome "$@"
