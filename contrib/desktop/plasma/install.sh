#!/bin/bash
# Installs the Plasma widget for the user who runs this, or removes it.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/desktop/plasma/install.sh [--pack FOLDER | --remove]

Installs the widget with kpackagetool6 for this user only (~/.local/share/plasma/plasmoids). Requires Plasma 6. To add it to
a panel, right-click the panel and choose “Add or Manage Widgets”, “ColdVox Dictation”. Set its shortcut in its settings
under “Keyboard Shortcuts”.

  --pack FOLDER  only create the archive (.plasmoid) for distribution, in FOLDER
  --remove       remove the widget

The translations require msgfmt (Debian: gettext); without it the widget is in English.
exit codes: 0 done, 64 usage error, 69 kpackagetool6 is missing
TEXT
}

widget=org.coldvox.dictation
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)

tell() { printf '%s\n' "$*" >&2; }

prepare() { # prepare FOLDER: the widget with its translations compiled
    local file language
    cp -RL -- "$here/$widget" "$1" # replaces links to shared files by the files
    command -v msgfmt >/dev/null || {
        tell "msgfmt is missing (Debian: gettext): continuing without translations"
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
    tell "upgraded $widget; a widget already in a panel is updated at the next login"
else
    kpackagetool6 --type Plasma/Applet --install "$folder/$widget" >/dev/null
    tell "installed $widget: add 'ColdVox Dictation' to a panel"
fi
