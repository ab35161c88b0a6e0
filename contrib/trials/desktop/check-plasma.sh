#!/bin/bash
# Dictates into a window beside Plasma 6: a click on the widget, the daemon, a window. See desktop-check.sh.
set -euo pipefail
here=$(dirname -- "${BASH_SOURCE[0]}")
# shellcheck source=contrib/trials/desktop/check.sh
source "$here/check.sh" plasma "$@"
