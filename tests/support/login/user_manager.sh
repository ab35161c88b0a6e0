#!/bin/bash
# user_manager.sh WORK PATH...   (as root; tests/support/login/user_manager.py starts it)
#
# A real `systemd --user` of a temporary ordinary user, with its own journal, session bus and runtime directory, until
# standard input ends. It leaves nothing on the machine: user, home, logs, runtime directory and /dev are in a private
# mount namespace, and all processes are in a private PID namespace and end with it. Only the cgroup is outside; it is
# removed here, or by the next start if this one is killed.
# Writes `ready HOST_PID UID HOME` to standard output once the bus answers. PATHs are made readable for the user in any
# place, including /root. UM_UNDER is a command, with arguments, that the manager is started by.
set -euo pipefail

cgroups=() # location of systemd's tree: version 2's hierarchy, or, before that, both of these
for root in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    [[ -e $root/cgroup.procs ]] && cgroups+=("$root")
done
readonly cgroups first_uid=58000 uids=1000

remove_cgroups() { # remove_cgroups SLICE: children first; those with processes in them stay
    local root
    for root in "${cgroups[@]}"; do
        find "$root/user.slice/$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
}

# ---------------------------------------------------------------------------------------------- inside the namespaces

say() { echo "user_manager.sh: $*" >&2; }

over() { # over SOURCE TARGET: SOURCE hides the file or directory TARGET
    mount --bind "$1" "$2"
}

furnish() { # furnish DIRECTORY: replaces DIRECTORY by an empty file system, with each entry bound back into it
    local stash=$work/stash entry name
    mkdir -p "$stash"
    mount --rbind "$1" "$stash"
    mount -t tmpfs -o mode=755 tmpfs "$1"
    for entry in "$stash"/* "$stash"/.[!.]*; do
        name=$1/${entry##*/}
        if [[ -L $entry ]]; then
            cp -a "$entry" "$name"
        elif [[ -d $entry ]]; then
            mkdir "$name" && mount --rbind "$entry" "$name"
        elif [[ -e $entry ]]; then
            touch "$name" && mount --bind "$entry" "$name"
        fi
    done
    umount -l "$stash"
    rmdir "$stash"
}

expose() { # expose PATH...: makes each PATH accessible to the user; other content of the private directories above is hidden
    local -A stashed=()
    local path above
    for path; do
        stashed[$path]=$work/stash-${#stashed[@]}
        mkdir "${stashed[$path]}"
        mount --rbind "$path" "${stashed[$path]}"
    done
    for path; do
        above=$(closed_directory "$path") && [[ $above != "$path" ]] && mount -t tmpfs -o mode=755 tmpfs "$above"
    done
    for path; do # in order: what is inside an earlier PATH is accessible already
        if [[ ! -e $path ]]; then
            mkdir -p "$path"
            mount --rbind "${stashed[$path]}" "$path"
        fi
        above=$(closed_directory "$path") && furnish "$above"
    done
    umount -l "${stashed[@]}"
    rmdir "${stashed[@]}"
}

closed_directory() { # closed_directory PATH: the topmost directory on the way to PATH that other users can't enter
    local at='' part
    while IFS= read -r -d / part; do
        at=$at/$part
        [[ -d $at && ! $(stat -c %A "$at") =~ [xt]$ ]] && echo "$at" && return 0
    done < <(printf '%s/' "${1#/}")
    return 1
}

hide_everything_shared() {
    mount --make-rprivate /
    mount -t proc proc /proc
    furnish /dev # a device node made here is visible only here
    # /run must be a mount point: sandboxed units get an empty file system in its place otherwise.
    mount --rbind /run /run
    local place
    for place in /run/systemd /run/log /run/user /run/dbus /var/log; do
        mkdir -p "$place"
        mount -t tmpfs -o mode=755 tmpfs "$place"
    done
    mkdir -p /run/systemd/{system,journal,unit-root,propagate,sessions,users,machines}
}

add_user() {
    local file
    for file in passwd group; do
        cp /etc/$file "$work/$file"
    done
    echo "$user:x:$uid:$uid::$home:/bin/bash" >>"$work/passwd"
    echo "$user:x:$uid:" >>"$work/group"
    chmod 644 "$work/passwd" "$work/group"
    over "$work/passwd" /etc/passwd
    over "$work/group" /etc/group
    if [[ ! -s /etc/machine-id ]]; then
        tr -d - </proc/sys/kernel/random/uuid >"$work/machine-id"
        touch /etc/machine-id
        over "$work/machine-id" /etc/machine-id
    fi
    furnish /home
    mkdir -p "$home" "$runtime"
    mount -t tmpfs -o "mode=700,uid=$uid,gid=$uid" tmpfs "$home"
    mount -t tmpfs -o "mode=700,uid=$uid,gid=$uid,nosuid,nodev" tmpfs "$runtime"
}

mask_sound_servers() { # a test starts its own; the machine's would start automatically, and both at once
    local units=$home/.config/systemd/user name
    mkdir -p "$units"
    for name in pulseaudio pipewire pipewire-pulse; do
        ln -s /dev/null "$units/$name.service"
        ln -s /dev/null "$units/$name.socket"
    done
    ln -s /dev/null "$units/wireplumber.service"
    chown -R "$uid:$uid" "$home"
}

start_journal() { # a persistent journal is split by user, which lets the user read it
    mkdir -p "/var/log/journal/$(cat /etc/machine-id)"
    chgrp -R systemd-journal /var/log/journal
    chmod -R 2755 /var/log/journal
    touch /run/systemd/journal/flushed
    setsid "$systemd_dir/systemd-journald" </dev/null >"$work/journald.log" 2>&1 &
    wait_for "the journal" test -S /run/systemd/journal/stdout
}

start_manager() {
    local slices=("${cgroups[@]/%//user.slice/user-$uid.slice/user@$uid.service}") slice file
    for slice in "${slices[@]}"; do
        mkdir -p "$slice"
        for file in "$slice" "$slice"/{cgroup.procs,cgroup.subtree_control,cgroup.threads,tasks}; do
            if [[ -e $file ]]; then chown "$uid:$uid" "$file"; fi
        done
    done
    (
        for slice in "${slices[@]}"; do echo 0 >"$slice/cgroup.procs"; done
        # shellcheck disable=SC2086 # a command with arguments
        exec ${UM_UNDER:-} setsid setpriv --reuid "$uid" --regid "$uid" --init-groups --inh-caps=-all env -i -C / "${environment[@]}" \
            "$systemd_dir/systemd" --user --log-target=journal
    ) </dev/null >"$work/manager.log" 2>&1 &
    manager=$!
    wait_for "the user's manager" as_user busctl --user --quiet call org.freedesktop.systemd1 \
        /org/freedesktop/systemd1 org.freedesktop.DBus.Peer Ping
}

as_user() {
    setpriv --reuid "$uid" --regid "$uid" --init-groups --inh-caps=-all env -i -C / "${environment[@]}" "$@" 2>/dev/null
}

wait_for() { # wait_for WHAT COMMAND...
    local what=$1 try
    shift
    for ((try = 0; try < 300; try++)); do
        "$@" && return 0
        sleep 0.1
    done
    say "$what did not come up within 30 s:"
    tail -n 30 "$work"/*.log >&2
    return 1
}

inside() { # process 1 of the PID namespace: when it ends, everything ends
    local host_pid
    read -r host_pid _ </proc/self/stat # read before /proc is this namespace's own
    hide_everything_shared
    expose "$@"
    add_user
    mask_sound_servers
    start_journal
    if command -v dbus-daemon >/dev/null; then # wireplumber ends without a system bus
        dbus-daemon --system --nopidfile --fork || say "no system bus"
    fi
    start_manager
    echo "ready $host_pid $uid $home"
    cat >/dev/null # until the process that started this closes it
    timeout 15 setpriv --reuid "$uid" --regid "$uid" --init-groups env -i "${environment[@]}" systemctl --user exit || true
    timeout 15 tail --pid="$manager" -f /dev/null || true
}

# ------------------------------------------------------------------------------------------------------------ outside

work=$1
if [[ ${UM_INSIDE:-} ]]; then
    uid=$UM_INSIDE
    user=coldvox-test
    home=/home/$user
    runtime=/run/user/$uid
    systemd_dir=/usr/lib/systemd
    [[ -x $systemd_dir/systemd ]] || systemd_dir=/lib/systemd
    environment=("HOME=$home" "USER=$user" "LOGNAME=$user" SHELL=/bin/bash PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8
        "XDG_RUNTIME_DIR=$runtime" "DBUS_SESSION_BUS_ADDRESS=unix:path=$runtime/bus")
    manager=
    shift
    inside "$@"
    exit 0
fi

parent=${cgroups[0]:?"there are no cgroups on this machine"}/user.slice
leave() { # the last processes may still be dying
    local try
    for ((try = 0; try < 50; try++)); do
        remove_cgroups "user-$uid.slice"
        [[ -e $parent/user-$uid.slice ]] || return 0
        sleep 0.1
    done
}

mkdir -p "$parent"
# Left by a killed start: empty, older than a minute, in our range.
while IFS= read -r stale; do
    remove_cgroups "${stale##*/}"
done < <(find "$parent" -maxdepth 1 -name 'user-58???.slice' -mmin +1)

for ((try = 0; try < 50; try++)); do # creating the directory reserves the number: two starts never share one
    uid=$((first_uid + RANDOM % uids))
    getent passwd "$uid" >/dev/null && uid= && continue
    mkdir "$parent/user-$uid.slice" 2>/dev/null && break
    uid=
done
[[ $uid ]] || { say "no cgroup can be made in $parent" && exit 1; }
trap leave EXIT
trap 'kill -KILL "$namespaces"; exit 143' TERM INT
UM_INSIDE=$uid unshare --mount --pid --ipc --fork --kill-child "$BASH" "$0" "$@" <&0 &
namespaces=$! # in the background: unshare itself ignores SIGTERM, and bash would not hear it while it waits
wait "$namespaces"
