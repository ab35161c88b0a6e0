#!/bin/bash
# Installs coldvox-type for the user who runs it, beside an installed coldvoxd, or takes it away again.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/coldvox-type/install.sh [--uninstall] [--no-start]

Puts the typing client in place for you alone, beside a coldvoxd that contrib/install.sh (or pipx) has installed:
  ~/.local/share/coldvox-type/                     the program
  ~/.local/bin/coldvox-type                        what starts it, with coldvoxd's Python
  ~/.config/systemd/user/coldvox-type.service      the user service, started and stopped with coldvoxd
Run again, it upgrades. Your settings, ~/.config/coldvoxd/type.toml, are never touched.

  --uninstall  take all of that away
  --no-start   put everything in place, and start nothing

exit codes: 0 done, 64 wrong usage, 69 there is no coldvoxd to go with
TEXT
}

uninstall=no start=yes
while (($#)); do
    case $1 in
    --uninstall) uninstall=yes ;;
    --no-start) start=no ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 64 ;;
    esac
    shift
done

tell() { printf '%s\n' "$*" >&2; }

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
program=${XDG_DATA_HOME:-$HOME/.local/share}/coldvox-type
bin=$HOME/.local/bin
units=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user
unit=$units/coldvox-type.service
wants=$units/coldvoxd.service.wants

if [[ $uninstall == yes ]]; then
    systemctl --user --quiet disable --now coldvox-type.service 2>/dev/null || true
    rm -rf -- "$program" "$bin/coldvox-type" "$unit" "$wants/coldvox-type.service"
    rmdir -- "$wants" 2>/dev/null || true
    rm -rf -- "${XDG_RUNTIME_DIR:-/run/user/$EUID}/coldvox-type"
    systemctl --user daemon-reload 2>/dev/null || true
    tell "coldvox-type is gone; ~/.config/coldvoxd/type.toml, if you made one, is still there"
    exit 0
fi

daemon=$(readlink -f -- "$bin/coldvoxd" 2>/dev/null || command -v coldvoxd || true)
python=$(dirname -- "${daemon:-/}")/python
if [[ ! -x $daemon || ! -x $python ]]; then
    tell "$0: there is no coldvoxd in $bin or in PATH: run contrib/install.sh first"
    exit 69
fi

mkdir -p -- "$program" "$bin" "$units"
rm -rf -- "$program/coldvox_type"
mkdir -- "$program/coldvox_type"
cp -- "$here"/coldvox_type/*.py "$program/coldvox_type/"
printf '#!/bin/sh\nPYTHONPATH=%q exec %q -m coldvox_type "$@"\n' "$program" "$python" >"$bin/coldvox-type.new"
chmod +x -- "$bin/coldvox-type.new"
mv -- "$bin/coldvox-type.new" "$bin/coldvox-type"
cp -- "$here/coldvox-type.service" "$unit"

needed=()
case ${XDG_SESSION_TYPE:-}${WAYLAND_DISPLAY:+ wayland} in
*wayland*) needed=(wtype wl-copy) ;;
*) needed=(xdotool xclip xprop) ;;
esac
for name in "${needed[@]}"; do
    command -v "$name" >/dev/null && continue
    case $name in
    wl-copy) name=wl-clipboard ;;
    xprop) name=x11-utils ;;
    esac
    tell "for this desktop install also: sudo apt install $name"
done

if ! systemctl --user daemon-reload 2>/dev/null; then
    mkdir -p -- "$wants"
    ln -sfn -- "$unit" "$wants/coldvox-type.service"
    tell "no systemd --user runs here: the service starts with coldvoxd at your next login"
elif [[ $start == no ]]; then
    tell "start it when you like: systemctl --user enable --now coldvox-type"
else
    systemctl --user --quiet enable coldvox-type.service
    systemctl --user restart coldvox-type.service || tell "it did not start; see: journalctl --user -u coldvox-type -b"
fi
tell "What you dictate is typed where the focus is. What could not be typed: coldvox-type --last"
