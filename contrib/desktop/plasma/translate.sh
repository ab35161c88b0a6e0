#!/bin/bash
# Writes po/coldvoxd.pot from the widget's sources and updates the translations. Needs gettext.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
mapfile -t sources < <(printf '%s\n' org.coldvox.dictation/contents/{config,ui}/*.{qml,mjs} | grep -v '\*' | sort)
xgettext --from-code=UTF-8 --language=JavaScript --keyword=_ --keyword=N_ --keyword=i18n --no-location --sort-output --no-wrap \
    --package-name=coldvoxd --output=po/coldvoxd.pot "${sources[@]}"
# The date would differ in each run.
sed -i -e '/^"POT-Creation-Date/d' -e '/^"PO-Revision-Date/d' -e 's/charset=CHARSET/charset=UTF-8/' po/coldvoxd.pot
for file in po/*.po; do
    msgmerge --quiet --update --backup=none --no-fuzzy-matching --no-wrap --sort-output "$file" po/coldvoxd.pot
done
