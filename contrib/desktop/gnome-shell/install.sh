#!/bin/bash
# Installs the GNOME Shell extension for the user who runs this, or removes it.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/desktop/gnome-shell/install.sh [--pack FOLDER | --remove]

Packs the extension with gnome-extensions, installs it for this user only (~/.local/share/gnome-shell/extensions) and
enables it. Requires GNOME Shell 45 or later. A running shell loads it at the next login.

  --pack FOLDER  only create the archive for distribution, in FOLDER
  --remove       remove the extension and its settings

The translations require msgfmt (Debian: gettext); without it the extension is in English.
exit codes: 0 done, 64 usage error, 69 gnome-extensions is missing
TEXT
}

uuid=coldvoxd@coldvox.org
schema=org.gnome.shell.extensions.coldvoxd
source=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)/$uuid
data=$HOME/.local/share
[[ ${XDG_DATA_HOME:-} != /* ]] || data=$XDG_DATA_HOME # a relative path must be ignored
place=$data/gnome-shell/extensions/$uuid

tell() { printf '%s\n' "$*" >&2; }

pack() { # pack FOLDER: from a copy, in which links to shared files are replaced by the files
    local options=() file copy
    copy=$(mktemp -d)
    cp -RL -- "$source" "$copy"
    for file in "$source"/*.js "$source"/stylesheet-*.css; do
        case ${file##*/} in
        extension.js | prefs.js) ;;
        *) options+=("--extra-source=${file##*/}") ;;
        esac
    done
    if command -v msgfmt >/dev/null; then
        options+=(--podir=po)
    else
        tell "msgfmt is missing (Debian: gettext): packing without translations"
    fi
    gnome-extensions pack --force --out-dir="$1" "${options[@]}" "$copy/$uuid"
    rm -rf -- "$copy"
    tell "packed $1/$uuid.shell-extension.zip"
}

enabled() { # enabled yes|no: add to or remove from the list of enabled extensions
    local list=() name before
    before=$(gsettings get org.gnome.shell enabled-extensions)
    while read -r name; do
        [[ $name && $name != "'$uuid'" ]] && list+=("$name")
    done < <(grep -o "'[^']*'" <<<"$before" || true)
    [[ $1 == no ]] || list+=("'$uuid'")
    gsettings set org.gnome.shell enabled-extensions "[$(IFS=, && echo "${list[*]}")]"
}

case ${1:-} in
-h | --help) usage && exit 0 ;;
"" | --remove) (($# <= 1)) || { usage >&2 && exit 64; } ;;
--pack) (($# == 2)) || { usage >&2 && exit 64; } ;;
*) usage >&2 && exit 64 ;;
esac
command -v gnome-extensions >/dev/null || {
    tell "gnome-extensions is missing: it comes with GNOME Shell (Debian: gnome-shell)"
    exit 69
}
case ${1:-} in
--pack)
    mkdir -p "$2"
    pack "$2"
    ;;
--remove)
    enabled no
    if [[ -d $place/schemas ]]; then
        gsettings --schemadir "$place/schemas" reset-recursively "$schema" || true
    fi
    rm -rf -- "$place"
    tell "removed $place and its settings"
    ;;
*)
    folder=$(mktemp -d)
    trap 'rm -rf -- "$folder"' EXIT
    pack "$folder"
    gnome-extensions install --force "$folder/$uuid.shell-extension.zip"
    enabled yes
    tell "installed in $place and enabled"
    tell "log out and in to load it; Super+Alt+D starts and stops dictating, and can be changed in the preferences"
    ;;
esac
