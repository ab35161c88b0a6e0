#!/bin/bash
# Runs commands by voice: each line of a table has words and a command, such as `open the window = foot`.
#
#     ./commands.sh TABLE      (try it with: 'yes please = notify-send Yes')
#
# Case and punctuation are ignored, as is text that matches no line. Spoken text is never part of a command.
# Needs coldvoxctl and jq. Ctrl-C ends it.
set -euo pipefail

if (($# != 1)) || [[ ! -r $1 ]]; then
    echo "usage: commands.sh TABLE, a readable file; the top of this script describes it" >&2
    exit 64
fi
table=$1
for program in coldvoxctl jq; do
    command -v "$program" >/dev/null || { echo "commands.sh needs $program" >&2 && exit 69; }
done

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
