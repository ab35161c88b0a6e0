#!/bin/bash
# Writes po/coldvoxd.pot from the sources and brings the translations up to it. Needs gettext.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/coldvoxd@coldvox.org"
mapfile -t sources < <(printf '%s\n' *.js | sort)
xgettext --from-code=UTF-8 --language=JavaScript --keyword=_ --keyword=N_ --no-location --sort-output --no-wrap \
    --package-name=coldvoxd --output=po/coldvoxd.pot "${sources[@]}"
# Its date and its remark on missing words would make each run differ.
sed -i -e '/^"POT-Creation-Date/d' -e '/^"PO-Revision-Date/d' -e 's/charset=CHARSET/charset=UTF-8/' po/coldvoxd.pot
for file in po/*.po; do
    msgmerge --quiet --update --backup=none --no-fuzzy-matching --no-wrap --sort-output "$file" po/coldvoxd.pot
done
