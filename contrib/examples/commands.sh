#!/bin/bash
# Runs commands by voice: each line of a table has words and a command, such as `open the window = foot`.
#
#     ./commands.sh TABLE      (try it with: 'yes please = notify-send Yes')
#
# Case and punctuation are ignored, as is text that matches no line. Spoken text is never part of a command.
# Needs coldvoxctl and jq. Ctrl-C ends it.
set -euo pipefail

table=${1:?which table? see the top of this file}

plain() { # lower case, without punctuation and redundant blanks
    tr '[:upper:]' '[:lower:]' | tr -d '[:punct:]' | tr -s '[:blank:]' ' ' | sed 's/^ //; s/ $//'
}

coldvoxctl listen --json | jq --raw-output --unbuffered 'select(.event == "transcribed") | .text' |
    while read -r text; do
        said=$(plain <<<"$text")
        while IFS='=' read -r words command; do
            if [[ $words != \#* && $(plain <<<"$words") == "$said" ]]; then
                bash -c "$command" </dev/null || echo "commands.sh: exit code $? of:$command" >&2
            fi
        done <"$table"
    done
