#!/bin/bash
# A waybar module: the state of coldvoxd, one JSON object per line. In ~/.config/waybar/config:
#
#     "custom/coldvox": {
#         "exec": "/path/to/waybar.sh", "return-type": "json", "restart-interval": 5,
#         "on-click": "coldvoxctl toggle", "on-click-right": "coldvoxctl cancel"
#     }
#
# `alt` and `class` are the state: loading, idle, listening, transcribing, unavailable, suspended, or away if there is no
# daemon; the class `degraded` is added to it. This does not start the daemon. Needs busctl (systemd 248 and later) and jq.
set -euo pipefail

for program in busctl jq; do
    command -v "$program" >/dev/null || { echo "waybar.sh needs $program" >&2 && exit 69; }
done
name=org.coldvox.Daemon1
path=/org/coldvox/Daemon1

get() { # get INTERFACE PROPERTY: empty if there is no daemon; busctl's get-property would start it, whatever --auto-start says
    busctl --user --auto-start=no --json=short call "$name" "$path" org.freedesktop.DBus.Properties Get ss \
        "org.coldvox.$1" "$2" 2>/dev/null | jq -r '.data[0].data' || true
}

show() {
    local state degraded
    state=$(get Dictation1 State)
    degraded=$(get Engine1 Degraded)
    jq --null-input --compact-output --unbuffered --arg state "${state:-away}" --arg degraded "$degraded" '
        {away: "󰍭", loading: "…", idle: "󰍬", listening: "● 󰍬", transcribing: "…󰍬"} as $signs
        | {
            text: ($signs[$state] // "󰍭"),
            alt: $state,
            class: ([$state] + if $degraded == "" then [] else ["degraded"] end),
            tooltip: ("coldvoxd: " + $state + if $degraded == "" then "" else " (" + $degraded + ")" end)
        }'
}

show
busctl --user monitor --json=short \
    --match "type='signal',path='$path',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'" \
    --match "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='$name'" 2>/dev/null |
    while read -r _; do show; done
