# shellcheck shell=bash
# Common parts of check-gnome.sh and check-plasma.sh: the daemon's environment, the tree, and check.py in it.

here=$(dirname -- "${BASH_SOURCE[0]}")
name=$1
shift
for argument in "$@"; do
    case $argument in
    -h | --help) exec "$here/../../desktop-check.sh" --help ;;
    --json) ;;
    *) echo "desktop-check $name: there is no option $argument" >&2 && exit 64 ;;
    esac
done
# shellcheck source=contrib/trials/desktop/tree.sh
source "$here/tree.sh"
need_for_root || exit
# shellcheck source=contrib/dev/setup.sh
source "$here/../../dev/setup.sh"
have mmdebstrap || want mmdebstrap "makes the Debian tree that the desktop runs in"
set_up demo
make_tree "$name" || exit
enter "$venv/bin/python" "$root/contrib/trials/desktop/check.py" "$name" "$@"
