#!/bin/bash
# Appends each dictated text to a file of notes, one per line, with the time.
#
#     ./notes.sh [FILE]        (~/notes.txt)
#
# Needs coldvoxctl and jq. Texts of private sessions are not received. Ctrl-C ends it.
set -euo pipefail

notes=${1:-$HOME/notes.txt}
for program in coldvoxctl jq; do
    command -v "$program" >/dev/null || { echo "notes.sh needs $program" >&2 && exit 69; }
done
coldvoxctl listen --json |
    jq --raw-output --unbuffered 'select(.event == "transcribed") | "\(now | strflocaltime("%F %R"))  \(.text)"' >>"$notes"
