#!/bin/bash
# Installs coldvoxd in a separate Debian system, as an ordinary user would, dictates there, and removes it again.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/nspawn-check.sh [bookworm|trixie] [--keep]

Creates a Debian tree (once), boots it with systemd-nspawn (systemd as PID 1, logind, lingering user) on a temporary layer,
and runs there, as an ordinary user without sudo and with a clone of this checkout's HEAD: contrib/install.sh --model mini,
StartDictation with busctl, a recording played into a virtual microphone, its text from the Transcribed signal and from
StopDictation, restart, crash, suspend (by the real logind and systemd, except for the suspend itself), start at login, bus
activation, upgrade, contrib/uninstall.sh. It compares the home directory before and after. bookworm has PulseAudio, trixie
has PipeWire. Requires root, mmdebstrap and systemd-container.

  --keep  keep the layer of this run

environment:
  COLDVOX_CHECK_DIR     where trees and layers are stored: /var/tmp/coldvoxd-check
  COLDVOX_CHECK_MIRROR  Debian mirror: http://deb.debian.org/debian
  COLDVOX_CHECK_BIND    files or directories of this machine to mount inside, read-only, separated by spaces
  COLDVOX_CHECK_ENV     NAME=VALUE for the logins inside, separated by spaces

exit codes: 0 all passed, 1 a step failed (the journal is printed), 64 usage error, 69 a requirement is missing
TEXT
}

user=dictator uid=1000
home=/home/$user
name=org.coldvox.Daemon1 object=/org/coldvox/Daemon1 dictation=org.coldvox.Dictation1
samples=coldvoxd/data/mini/samples

tell() { printf '%s  %s\n' "$(date +%T)" "$*" >&2; }

die() {
    tell "FAILED: $*"
    exit 1
}

# ---------------------------------------------------------------------------------------------- inside, as the user

call() { busctl --user call "$name" "$object" "$dictation" "$@"; }

property() { # without starting the daemon
    busctl --user --auto-start=no call "$name" "$object" org.freedesktop.DBus.Properties Get ss "$dictation" "$1" | cut -d'"' -f2
}

eventually() { # eventually SECONDS COMMAND...
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || die "timed out: $*"
        sleep 0.2
    done
}

is_active() { systemctl --user --quiet is-active coldvoxd; }
is_idle() { [[ $(property State 2>/dev/null) == idle ]]; }
restarts_are() { [[ $(systemctl --user show -P NRestarts coldvoxd) == "$1" ]]; }
has_microphone() { pactl list short sources 2>/dev/null | grep -qw mic1; }
words() { tr '[:upper:]' '[:lower:]' | tr -cs "[:alnum:]'" ' ' | sed 's/^ //; s/ $//'; }
listing() { # all files except the clone and the sound server's own
    find "$HOME" \( -path "$HOME/coldvoxd" -o -path "$HOME/.config/pulse/*" -o -path "$HOME/.local/state/wireplumber/*" \) -prune \
        -o -printf '%y %p %l\n' | sort
}

inside_before() {
    eventually 30 has_microphone
    pactl set-default-source mic1 # for PulseAudio; PipeWire's session manager stores it
    tell "sound server: $(pactl info | sed -n 's/^Server Name: //p'), default source $(pactl get-default-source)"
    listing >/tmp/before
    tell "home before: $(wc -l </tmp/before) entries"
}

inside_install() {
    cd ~/coldvoxd
    local status=0
    ./contrib/install.sh --model mini || status=$?
    return "$status"
}

dictate() { # dictate SAMPLE WORDS: from StartDictation to the text, which is reported twice
    local told stopped listener
    coldvoxctl listen --json >/tmp/heard &
    listener=$!
    eventually 20 grep -q '"listening"' /tmp/heard
    call StartDictation
    paplay --device=speaker1 "$1"
    eventually 60 grep -q '"transcribed"' /tmp/heard
    stopped=$(call StopDictation)
    kill "$listener"
    wait "$listener" || true
    told=$(sed -n 's/.*"event": "transcribed".*"text": "\([^"]*\)".*/\1/p' /tmp/heard | words)
    stopped=$(cut -d'"' -f2 <<<"$stopped" | words)
    tell "said: $2 | Transcribed: $told | StopDictation: $stopped"
    [[ $told == "$2" && $stopped == "$2" ]] || die "heard something else"
}

inside_dictate() {
    export PATH=$HOME/.local/bin:$PATH
    eventually 60 is_active
    eventually 60 is_idle
    dictate ~/coldvoxd/$samples/05-one-two-three-four-five.flac "one two three four five"
    tell "doctor:"
    coldvoxctl doctor --report /tmp/report.md >&2 || die "the doctor finds something broken"
    ! grep -q "$USER" /tmp/report.md || die "the report names the user"

    tell "restart"
    systemctl --user restart coldvoxd
    eventually 60 is_idle
    tell "crash"
    systemctl --user kill --signal=KILL coldvoxd
    eventually 60 restarts_are 1
    eventually 60 is_idle
    tell "bus activation"
    systemctl --user stop coldvoxd
    call StartDictation
    eventually 60 is_active
    call CancelDictation
    dictate ~/coldvoxd/$samples/13-the-pictures-are-not-big.flac "the pictures are not big"
}

delays_sleep() { systemd-inhibit --list --no-pager | grep -q 'coldvoxd.*sleep.*delay'; }
has_stopped() { grep -q '"stopped"' /tmp/heard; }

inside_sleep() {
    export PATH=$HOME/.local/bin:$PATH
    local listener
    eventually 20 delays_sleep
    tell "$(systemd-inhibit --list --no-pager | grep coldvoxd)"
    coldvoxctl listen --json >/tmp/heard &
    listener=$!
    eventually 20 grep -q '"listening"' /tmp/heard
    call StartDictation
    paplay --device=speaker1 ~/coldvoxd/$samples/05-one-two-three-four-five.flac
    touch /tmp/said # signals root to put the machine to sleep
    eventually 30 has_stopped
    kill "$listener"
    wait "$listener" || true
    tell "asleep: $(sed -n 's/.*\("event": "stopped".*\)}/\1/p' /tmp/heard), state $(property State)"
    grep -q '"reason": "suspending"' /tmp/heard || die "the session did not end by the sleep"
    eventually 30 is_idle
    eventually 20 delays_sleep
    dictate ~/coldvoxd/$samples/13-the-pictures-are-not-big.flac "the pictures are not big"
}

inside_login() {
    eventually 60 is_active
    eventually 60 is_idle
    tell "the service was started by the login: $(systemctl --user show -P StatusText coldvoxd)"
}

inside_upgrade() {
    export PATH=$HOME/.local/bin:$PATH
    printf '[dictation]\nstop_tail_ms = 321\n' >>~/.config/coldvoxd/coldvoxd.toml
    sha256sum ~/.config/coldvoxd/coldvoxd.toml >/tmp/settings.sum
    (cd ~/coldvoxd && ./contrib/install.sh 2>/tmp/upgrade.log) || die "the upgrade fails: $(tail -n 5 /tmp/upgrade.log)"
    sha256sum --check --quiet /tmp/settings.sum || die "the upgrade changed the settings"
    [[ $(coldvoxctl config get dictation.stop_tail_ms) == 321 ]] || die "the settings are not in force"
    eventually 60 is_idle
    MANPATH='' man -w coldvoxctl coldvoxd coldvoxd.toml >&2 || die "the manual pages are not found"
}

inside_uninstall() {
    if ~/.local/share/coldvoxd/uninstall.sh </dev/null; then die "it does not ask"; fi
    ~/.local/share/coldvoxd/uninstall.sh --yes >&2
    listing >/tmp/after
    diff -u /tmp/before /tmp/after >&2 || die "the home directory is not as it was"
    tell "home after: as before, $(wc -l </tmp/after) entries"
    ! busctl --user list | grep -q coldvox || die "the bus still knows the name"
    [[ $(systemctl --user show -P LoadState coldvoxd.service) == not-found ]] || die "systemd still knows the unit"
    [[ ! -e $XDG_RUNTIME_DIR/coldvoxd ]] || die "$XDG_RUNTIME_DIR/coldvoxd is still there"
}

if [[ ${1:-} == --inside ]]; then
    "inside_$2"
    exit
fi

# ------------------------------------------------------------------------------------------------------ outside, root

suite=bookworm keep=no
while (($#)); do
    case $1 in
    bookworm | trixie) suite=$1 ;;
    --keep) keep=yes ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 64 ;;
    esac
    shift
done
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
place=${COLDVOX_CHECK_DIR:-/var/tmp/coldvoxd-check}
mirror=${COLDVOX_CHECK_MIRROR:-http://deb.debian.org/debian}
tree=$place/$suite

missing=()
command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
if ((EUID != 0)); then
    tell "this boots a machine: run it as root"
    exit 69
elif ((${#missing[@]})); then
    tell "missing here: apt-get install --no-install-recommends ${missing[*]}"
    exit 69
fi
# Mounts and machine are in a separate namespace and end with it.
if [[ ${COLDVOX_CHECK_APART:-} != yes ]]; then
    arguments=("$suite")
    [[ $keep == no ]] || arguments+=(--keep)
    COLDVOX_CHECK_APART=yes exec unshare --mount --propagation private -- "$0" "${arguments[@]}"
fi

read -ra binds <<<"${COLDVOX_CHECK_BIND:-}"
read -ra variables <<<"${COLDVOX_CHECK_ENV:-}"
sound=(pulseaudio)
[[ $suite == bookworm ]] || sound=(pipewire pipewire-bin pipewire-pulse wireplumber)

make_tree() {
    [[ ! -e $tree/complete ]] || return 0
    tell "making a tree of $suite in $tree"
    mkdir -p "$place"
    rm -rf "$tree" && mkdir "$tree"
    mmdebstrap --quiet --variant=apt --skip=cleanup/apt/lists "$suite" "$tree/root" "$mirror" \
        --include="systemd,systemd-sysv,libpam-systemd,polkitd,dbus-user-session,ca-certificates,man-db,procps,util-linux,pulseaudio-utils,$(IFS=, && echo "${sound[*]}")"
    touch "$tree/complete"
}

make_layer() {
    layer=$(mktemp -d "$place/run-XXXXXX")
    mkdir "$layer"/{upper,work,root}
    mount -t overlay overlay -o "lowerdir=$tree/root,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
    machine=$layer/root
    useradd --root "$machine" --create-home --uid $uid --shell /bin/bash $user
    mkdir -p "$machine/var/lib/systemd/linger" && touch "$machine/var/lib/systemd/linger/$user"
    : >"$machine/etc/machine-id"
    printf '%s\n' LANG=C.UTF-8 "${variables[@]}" >>"$machine/etc/environment"
    git clone --quiet --no-hardlinks -- "file://$root" "$machine$home/coldvoxd"
    mkdir -p "$place/pip-cache" && chown $uid:$uid "$place/pip-cache" # for the next run; pip inside the machine uses it
    echo PIP_CACHE_DIR=/var/cache/pip >>"$machine/etc/environment"
    chown -R $uid:$uid "$machine$home"
}

microphone() { # mic1 records what speaker1 plays, from the sound server's first start
    local sink="module-null-sink sink_name=speaker1 rate=16000 channels=1" source="module-remap-source master=speaker1.monitor source_name=mic1"
    if [[ $suite == bookworm ]]; then
        mkdir -p "$machine/etc/pulse/default.pa.d"
        printf '%s\n' "load-module $sink norewinds=1" "load-module $source" "set-default-source mic1" >"$machine/etc/pulse/default.pa.d/check.pa"
    else
        mkdir -p "$machine/etc/pipewire/pipewire-pulse.conf.d"
        printf 'pulse.cmd = [\n{ cmd = "load-module" args = "%s" }\n{ cmd = "load-module" args = "%s" }\n]\n' "$sink" "$source" \
            >"$machine/etc/pipewire/pipewire-pulse.conf.d/check.conf"
    fi
}

boot() {
    local options=() bind
    for bind in "${binds[@]}"; do
        options+=("--bind-ro=$bind")
    done
    systemd-nspawn --quiet --directory="$machine" --machine=coldvoxd-check --register=no --keep-unit --link-journal=no --timezone=off \
        --console=passive --bind="$place/pip-cache:/var/cache/pip" "${options[@]}" --boot >"$layer/console" 2>&1 &
    nspawn=$!
    eventually 60 has_leader
    eventually 60 has_booted
    tell "booted: $(in_machine cat /etc/debian_version), $(in_machine systemctl --version | head -n 1), $(in_machine systemctl is-system-running || true)"
}

has_leader() {
    kill -0 "$nspawn" 2>/dev/null || die "the machine did not start: $(cat "$layer/console")"
    leader=$(pgrep --parent "$nspawn" | tail -n 1) && [[ $leader ]]
}

has_booted() { in_machine systemctl is-active --quiet "user@$uid.service" 2>/dev/null; }

in_machine() { nsenter --target "$leader" --mount --uts --ipc --net --pid --cgroup --root --wd=/ env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"; }

login() { # login COMMAND...: in a login of the user, created by PAM and logind
    in_machine systemd-run --quiet --pipe --wait --collect --uid=$user --working-directory="$home" --property=PAMName=login -- "$@"
}

step() { # step NAME
    tell "-- $1"
    login "$home/coldvoxd/contrib/nspawn-check.sh" --inside "$1"
}

install_as_a_guest() { # without sudo the installer prints the command, and root runs it
    local status=0 command
    step install 2>"$layer/install.log" || status=$?
    cat "$layer/install.log" >&2
    ((status)) || return 0
    command=$(sed -nE 's/^    (sudo )?(apt-get .*)/\2/p' "$layer/install.log")
    [[ $command ]] || die "install.sh ended with $status and no command to type"
    tell "root types: $command"
    # shellcheck disable=SC2086 # it is a command line
    in_machine env DEBIAN_FRONTEND=noninteractive $command >"$layer/apt.log" 2>&1 || die "apt-get: $(tail -n 40 "$layer/apt.log")"
    step install
}

sleep_and_wake() { # systemd and logind are real; the kernel's sleep is replaced by a pause of five seconds
    local asleep
    in_machine mount -t tmpfs tmpfs /sys/power
    in_machine sh -c 'echo freeze mem >/sys/power/state; echo s2idle [deep] >/sys/power/mem_sleep
        mkdir -p /run/systemd/system/systemd-suspend.service.d
        printf "[Service]\nExecStart=\nExecStart=/bin/sleep 5\n" >/run/systemd/system/systemd-suspend.service.d/check.conf
        systemctl daemon-reload'
    step sleep &
    asleep=$!
    eventually 60 in_machine test -e /tmp/said
    in_machine systemctl suspend
    wait "$asleep"
}

log_out_and_in() {
    in_machine loginctl disable-linger $user
    in_machine systemctl stop "user@$uid.service"
    step login
    in_machine loginctl enable-linger $user
}

clean_up() {
    local status=$?
    trap - EXIT
    if ((status)) && [[ ${leader:-} ]]; then
        in_machine journalctl --no-pager --lines=60 "_UID=$uid" >&2 || true
    fi
    if [[ ${nspawn:-} ]]; then
        kill -s RTMIN+4 "${leader:-$nspawn}" 2>/dev/null || true # systemd's signal for poweroff
        for _ in {1..50}; do
            kill -0 "$nspawn" 2>/dev/null || break
            sleep 0.2
        done
        kill -KILL "${leader:-$nspawn}" 2>/dev/null || true
        wait "$nspawn" 2>/dev/null || true
    fi
    if [[ ${layer:-} ]]; then
        umount "$layer/root" 2>/dev/null || umount --lazy "$layer/root" || true
        if [[ $keep == yes ]]; then tell "kept: $layer"; else rm -rf -- "$layer"; fi
    fi
    exit "$status"
}

trap clean_up EXIT
trap 'exit 1' INT TERM
make_tree
make_layer
microphone
boot
step before
install_as_a_guest
step dictate
sleep_and_wake
log_out_and_in
step upgrade
step uninstall
tell "all went well on $suite, in $SECONDS s"
