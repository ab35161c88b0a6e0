#!/bin/bash
# Appends each dictated text to a file of notes, one per line, with the time.
#
#     ./notes.sh [FILE]        (~/notes.txt)
#
# Needs coldvoxctl and jq. Texts of private sessions are not received. Ctrl-C ends it.
set -euo pipefail

notes=${1:-$HOME/notes.txt}
coldvoxctl listen --json |
    jq --raw-output --unbuffered 'select(.event == "transcribed") | "\(now | strflocaltime("%F %R"))  \(.text)"' >>"$notes"
