#!/bin/bash
# Removes what contrib/install.sh installed for the user who runs it.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: uninstall.sh [--yes] [--keep-settings] [--keep-models]

Stops the service and removes it with its environment, links, units, activation file, completions, manual pages, settings,
models and undelivered text, and the directories that the installation created if they are empty. It lists everything first, and asks.

  --yes            do not ask; required without a terminal
  --keep-settings  keep ~/.config/coldvoxd
  --keep-models    keep the models in ~/.cache/coldvoxd and ~/.local/share/coldvoxd

exit codes: 0 removed, 1 declined, 64 usage error
TEXT
}

yes=no keep_settings=no keep_models=no
while (($#)); do
    case $1 in
    --yes) yes=yes ;;
    --keep-settings) keep_settings=yes ;;
    --keep-models) keep_models=yes ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 64 ;;
    esac
    shift
done

absolute() { # absolute PATH DEFAULT: the path, or the default if the path is relative (to be ignored by the XDG specification)
    if [[ $1 == /* ]]; then printf '%s' "$1"; else printf '%s' "$2"; fi
}

main() { # a function, so that bash has read all of it before this file is deleted
    local data config cache state runtime
    data=$(absolute "${XDG_DATA_HOME:-}" "$HOME/.local/share")
    config=$(absolute "${XDG_CONFIG_HOME:-}" "$HOME/.config")
    cache=$(absolute "${XDG_CACHE_HOME:-}" "$HOME/.cache")
    state=$(absolute "${XDG_STATE_HOME:-}" "$HOME/.local/state")
    runtime=$(absolute "${XDG_RUNTIME_DIR:-}" "/run/user/$EUID")
    local home=$data/coldvoxd
    local files=() directories=() trees=() kind path

    if [[ -r $home/installed ]]; then
        while read -r kind path; do
            case $kind in
            file) files+=("$path") ;;
            directory) directories=("$path" "${directories[@]}") ;; # deepest first
            esac
        done <"$home/installed"
    fi
    # Listed here as well, so that an installation without its list can be removed.
    files+=("$config"/systemd/user/{coldvoxd,coldvoxd-model,coldvoxd-prepare,coldvoxd-keys,coldvox-type}.service "$config/systemd/user/coldvoxd.service.d/cpu.conf"
        "$config"/systemd/user/{coldvoxd,coldvoxd-model,coldvoxd-prepare,coldvoxd-keys,coldvox-type}.service.d/no-namespaces.conf
        "$config/systemd/user/default.target.wants/coldvoxd.service"
        "$config/systemd/user/graphical-session.target.wants/coldvoxd-keys.service"
        "$config/systemd/user/coldvoxd.service.wants/coldvox-type.service"
        "$data/applications/org.coldvox.coldvoxd.desktop"
        "$data/dbus-1/services/org.coldvox.Daemon1.service"
        "$data/dbus-1/interfaces/org.coldvox.Daemon1.xml")
    for path in "$HOME"/.local/bin/{coldvoxd,coldvoxctl,coldvox-type}; do
        [[ -L $path && $(readlink -- "$path") == "$home"/* ]] && files+=("$path")
    done
    trees+=("$home"/{venv,install,install.lock,installed,uninstall.sh} "$state/coldvoxd" "$cache/coldvoxd/accelerator" "$runtime"/{coldvoxd,coldvoxd-model,coldvox-type})
    [[ $keep_models == yes ]] || trees+=("$cache/coldvoxd" "$home/models")
    [[ $keep_settings == yes ]] || trees+=("$config/coldvoxd")

    echo "This removes:"
    local found=no
    for path in "${files[@]}" "${trees[@]}"; do
        [[ -e $path || -L $path ]] || continue
        printf '  %6s  %s\n' "$(du -sh -- "$path" 2>/dev/null | cut -f1)" "$path"
    done | sort -u -k2
    for path in "${files[@]}" "${trees[@]}"; do
        [[ -e $path || -L $path ]] && found=yes
    done
    if [[ $found == no ]]; then
        echo "  nothing: coldvoxd is not installed for $(id -un)"
        return 0
    fi
    [[ $keep_settings == yes ]] || echo "Your settings are removed as well; --keep-settings keeps them."
    [[ $keep_models == yes ]] || echo "Models are removed as well; --keep-models keeps them."
    if [[ $yes == no ]]; then
        if [[ ! -t 0 ]]; then
            echo "There is no terminal: run this with --yes." >&2
            return 1
        fi
        local answer
        read -r -p "Remove it? [y/N] " answer
        [[ $answer == [yY]* ]] || return 1
    fi

    local unit managed=no
    if systemctl --user show --property=Version >/dev/null 2>&1; then
        managed=yes
        for unit in coldvoxd.service coldvoxd-model.service coldvoxd-prepare.service coldvoxd-keys.service coldvox-type.service; do
            systemctl --user --quiet disable --now "$unit" 2>/dev/null || true # it may not be installed
        done
    fi
    for path in "${files[@]}"; do
        rm -f -- "$path"
    done
    for path in "${trees[@]}"; do
        rm -rf -- "$path"
    done
    rmdir -- "$config"/systemd/user/{coldvoxd,coldvoxd-model,coldvoxd-prepare,coldvoxd-keys,coldvox-type}.service.d 2>/dev/null || true
    for path in "${directories[@]}" "$home"; do
        [[ ! -d $path ]] || rmdir --ignore-fail-on-non-empty -- "$path"
    done
    for path in "${directories[@]}"; do # the parents of `home` may have become empty only now
        [[ ! -d $path ]] || rmdir --ignore-fail-on-non-empty -- "$path"
    done
    if [[ $managed == yes ]]; then
        systemctl --user daemon-reload
        systemctl --user reset-failed coldvoxd.service coldvoxd-model.service coldvoxd-prepare.service coldvoxd-keys.service coldvox-type.service 2>/dev/null || true
        busctl --user --quiet call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig || true
    fi
    echo "coldvoxd was removed. Debian packages that were installed for it are kept, because others may use them."
}

main
exit
