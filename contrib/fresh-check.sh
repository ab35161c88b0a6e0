#!/bin/bash
# Runs the commands that README.md gives a new user, in an unprepared Debian 12 tree.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/fresh-check.sh [--bare] [--keep] [--results FOLDER] [COMMAND...]

Creates a minimal Debian 12 tree, clones this checkout's HEAD into it at /root/coldvoxd, and runs there, in a chroot as root
with an otherwise empty HOME=/root, `./contrib/demo.sh` and `./contrib/test.sh`, or the given shell commands instead, each one
argument. It stops at the first failure. Requires root and mmdebstrap.

The tree has apt, git and systemd's programs; systemd is not running. It gets this machine's apt sources, the settings of
apt and pip, the CA bundle, and the variables that name proxies and certificates. Only pip's download cache is shared.
Mounts and processes are in separate namespaces, so they end with this script in any case.

  --bare  without git, systemd, a machine ID and the name `localhost`
  --keep  keep the tree; its path is printed
  --results FOLDER
          copy the records of the tests there: lane-*.json, and second-tries if tests were repeated

environment:
  COLDVOX_CHECK_DIR  where the tree and pip's cache are stored: /var/tmp/coldvoxd-check
  COLDVOX_TEST_JOBS  passed on; see contrib/test.sh --help

exit codes: 0 all passed, 64 usage error, 69 the tree could not be created, otherwise that of the command that failed
TEXT
}

bundle=/etc/ssl/certs/ca-certificates.crt           # this machine's certificate authorities
copied_bundle=/etc/ssl/machine-ca-certificates.crt # path in the tree that no package overwrites

tell() { printf '%s\n' "$*" >&2; }

give_up() {
    tell "fresh-check: $*"
    exit 69 # EX_UNAVAILABLE
}

# --------------------------------------------------------------------------------------------- in separate namespaces

if [[ ${1:-} == --inside ]]; then
    tree=$2
    shift 2
    mount -t proc proc "$tree/proc"
    mount --rbind /dev "$tree/dev"
    mount -t tmpfs -o mode=1777 tmpfs "$tree/dev/shm" # not this machine's: servers leave shared memory there
    mount --bind "$COLDVOX_CHECK_PIP_CACHE" "$tree/var/cache/pip"
    passed_on=(PIP_CACHE_DIR=/var/cache/pip)
    [[ -e $tree$copied_bundle ]] && passed_on+=("PIP_CERT=$copied_bundle")
    while IFS= read -r name; do
        case ${name^^} in
        PIP_CERT | PIP_CACHE_DIR | PIP_FIND_LINKS) ;;
        COLDVOX_TEST_JOBS | PIP_* | *_PROXY) passed_on+=("$name=${!name}") ;;
        *CERT* | *CA_BUNDLE* | *CAINFO*) [[ ${!name} == "$bundle" ]] && passed_on+=("$name=$copied_bundle") ;;
        esac
    done < <(compgen -e)
    for command; do
        tell "== in the tree: $command"
        chroot "$tree" env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" \
            "${passed_on[@]}" bash -c "cd /root/coldvoxd && $command" </dev/null || exit
    done
    exit 0
fi

# -------------------------------------------------------------------------------------------------------- on this machine

bare=no keep=no results=
while (($#)); do
    case $1 in
    -h | --help) usage && exit 0 ;;
    --bare) bare=yes ;;
    --keep) keep=yes ;;
    --results)
        [[ ${2:-} ]] || { usage >&2 && exit 64; }
        results=$2 && shift
        ;;
    -*) usage >&2 && exit 64 ;;
    *) break ;;
    esac
    shift
done
(($#)) || set -- ./contrib/demo.sh ./contrib/test.sh
((EUID == 0)) || give_up "this creates a Debian tree and runs programs in it with chroot: run it as root"

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
place=${COLDVOX_CHECK_DIR:-/var/tmp/coldvoxd-check}
export COLDVOX_CHECK_PIP_CACHE=$place/pip-cache
mkdir -p "$place" "$COLDVOX_CHECK_PIP_CACHE"
made=$(mktemp -d "$place/fresh-XXXXXX")
tree=$made/tree

# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local status=$?
    trap - EXIT
    if [[ ${inside:-} ]]; then
        kill -KILL "$inside" 2>/dev/null || true # and all processes in the tree, by --kill-child
        wait "$inside" 2>/dev/null || true
    fi
    if [[ $keep == yes ]]; then tell "kept: $tree"; else rm -rf --one-file-system -- "$made"; fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

make_tree() {
    local packages=(--include="ca-certificates,git,systemd") sources=()
    [[ $bare == yes ]] && packages=()
    apt-config dump Acquire >"$made/apt.conf"
    mapfile -t sources < <(grep -lsE '^(deb |Types: *deb)' /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} | xargs -r grep -lE 'debian' || true)
    mmdebstrap --quiet --variant=minbase --skip=cleanup/apt/lists "${packages[@]}" --aptopt="$made/apt.conf" \
        bookworm "$tree" "${sources[@]}" || give_up "mmdebstrap failed"
}

furnish_tree() { # configures what a machine's installation adds to its packages, and the access to the package index
    mkdir -p "$tree/var/cache/pip" "$tree/etc/ssl" "$tree/etc/xdg"
    cp /etc/resolv.conf "$tree/etc/"
    cp "$bundle" "$tree$copied_bundle" 2>/dev/null || true
    cp /etc/pip.conf "$tree/etc/" 2>/dev/null || true
    cp -r /etc/xdg/pip "$tree/etc/xdg/" 2>/dev/null || true
    printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d" && chmod +x "$tree/usr/sbin/policy-rc.d" # start no services
    rm -f "$tree/etc/machine-id" "$tree/etc/hosts"
    if [[ $bare == no ]]; then
        echo "127.0.0.1 localhost" >"$tree/etc/hosts"
        tr -d - </proc/sys/kernel/random/uuid >"$tree/etc/machine-id"
    fi
    git clone --quiet --no-hardlinks -- "file://$root" "$tree/root/coldvoxd"
}

make_tree
furnish_tree
tell "a tree of Debian $(cat "$tree/etc/debian_version"), $(du -sm "$tree" | cut -f1) MB, made in $SECONDS s"
unshare --mount --propagation private --pid --fork --kill-child -- "${BASH_SOURCE[0]}" --inside "$tree" "$@" &
inside=$!
status=0
wait "$inside" || status=$?
inside=
if [[ $results ]]; then
    mkdir -p "$results"
    cp "$tree"/root/coldvoxd/.work/{lane-*.json,second-tries} "$results/" 2>/dev/null || true # those that exist
fi
exit "$status"
