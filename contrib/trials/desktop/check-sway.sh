#!/bin/bash
# Dictates into foot in a private headless sway: a key that sway binds, the daemon, coldvox-type. See desktop-check.sh.
set -euo pipefail
here=$(dirname -- "${BASH_SOURCE[0]}")
for argument in "$@"; do
    case $argument in
    -h | --help) exec "$here/../../desktop-check.sh" --help ;;
    --json) ;;
    *) echo "desktop-check sway: there is no option $argument" >&2 && exit 64 ;;
    esac
done
# shellcheck source=contrib/dev/setup.sh
source "$here/../../dev/setup.sh"
set_up demo
exec "$venv/bin/python" "$root/contrib/trials/desktop/typed.py" sway "$@"
