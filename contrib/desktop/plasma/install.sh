#!/bin/bash
# Installs the Plasma widget for the user who runs this, and removes it again.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/desktop/plasma/install.sh [--pack FOLDER | --remove]

Installs the widget with kpackagetool6 for this user alone (~/.local/share/plasma/plasmoids); Plasma 6. Then it is among the
widgets that can be added to a panel: right click there, “Add or Manage Widgets”, “ColdVox Dictation”. Its key is set
under “Keyboard Shortcuts” in its settings.

  --pack FOLDER  only make the archive (.plasmoid) that can be handed on, in FOLDER
  --remove       take the widget away

Its translations need msgfmt (Debian: gettext); without it the widget speaks English.
exit codes: 0 done, 69 kpackagetool6 is missing
TEXT
}

widget=org.coldvox.dictation
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)

tell() { printf '%s\n' "$*" >&2; }

prepare() { # prepare FOLDER: the widget with its translations compiled
    local file language
    cp -RL -- "$here/$widget" "$1" # the links to shared files become files
    command -v msgfmt >/dev/null || {
        tell "msgfmt is not here (Debian: gettext): going on without translations"
        return
    }
    for file in "$here"/po/*.po; do
        language=$(basename -- "$file" .po)
        mkdir -p "$1/$widget/contents/locale/$language/LC_MESSAGES"
        msgfmt --output-file="$1/$widget/contents/locale/$language/LC_MESSAGES/plasma_applet_$widget.mo" "$file"
    done
}

case ${1:-} in
-h | --help) usage && exit 0 ;;
"" | --remove) (($# <= 1)) || { usage >&2 && exit 64; } ;;
--pack) (($# == 2)) || { usage >&2 && exit 64; } ;;
*) usage >&2 && exit 64 ;;
esac
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
if [[ ${1:-} == --pack ]]; then
    prepare "$folder"
    mkdir -p "$2"
    into=$(cd -- "$2" && pwd -P)
    rm -f -- "$into/$widget.plasmoid"
    (cd "$folder/$widget" && python3 -m zipfile --create "$into/$widget.plasmoid" metadata.json contents)
    tell "packed $into/$widget.plasmoid"
    exit
fi
command -v kpackagetool6 >/dev/null || {
    tell "kpackagetool6 is missing: it comes with Plasma 6 (Debian: kpackagetool6)"
    exit 69
}
if [[ ${1:-} == --remove ]]; then
    kpackagetool6 --type Plasma/Applet --remove "$widget" >/dev/null
    tell "removed $widget"
    exit
fi
prepare "$folder"
if kpackagetool6 --type Plasma/Applet --show "$widget" >/dev/null 2>&1; then
    kpackagetool6 --type Plasma/Applet --upgrade "$folder/$widget" >/dev/null
    tell "upgraded $widget; a widget that is in a panel already shows it after the next login"
else
    kpackagetool6 --type Plasma/Applet --install "$folder/$widget" >/dev/null
    tell "installed $widget: add 'ColdVox Dictation' to a panel"
fi
