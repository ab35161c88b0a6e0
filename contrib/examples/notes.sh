#!/bin/bash
# Appends what is dictated to a file of notes, a line each, with the time.
#
#     ./notes.sh [FILE]        (~/notes.txt)
#
# Needs coldvoxctl and jq. Private sessions are not heard here. Ctrl-C ends it.
set -euo pipefail

notes=${1:-$HOME/notes.txt}
coldvoxctl listen --json |
    jq --raw-output --unbuffered 'select(.event == "transcribed") | "\(now | strflocaltime("%F %R"))  \(.text)"' >>"$notes"
