# shellcheck shell=bash
# A separate Debian tree with a current desktop, for desktop-check and the gallery. Sourced; requires root.
#
# Prints what it will do before it does; installs nothing on the machine and uses no user's desktop. All files are in
# COLDVOX_DESKTOP_DIR (/var/tmp/coldvoxd-desktop), can be deleted at any time, and are reused by the next run.
# COLDVOX_DESKTOP_SUITE is the Debian release: trixie (GNOME Shell 48), or forky or sid for newer desktops.

desktops=${COLDVOX_DESKTOP_DIR:-/var/tmp/coldvoxd-desktop}
suite=${COLDVOX_DESKTOP_SUITE:-trixie}
tree=$desktops/$suite
mirror=${COLDVOX_CHECK_MIRROR:-http://deb.debian.org/debian}

tell() { printf '%s\n' "$*" >&2; }

base_packages=(
    dbus-daemon        # the session's own bus
    fonts-dejavu-core  # fonts
    gettext            # the extension's translations
    gir1.2-gtk-4.0     # the window that receives the text
    gjs                # runs that window
    imagemagick        # image conversion
    gsettings-desktop-schemas dconf-gsettings-backend # GNOME's settings
    libgl1-mesa-dri    # software rendering
    locales-all        # German, to check the translation
    wl-clipboard       # the clipboard of a Wayland desktop
)
# shellcheck disable=SC2034 # used by make_tree, by name
gnome_packages=(gnome-shell gir1.2-adw-1 adwaita-icon-theme
    gnome-settings-daemon gnome-control-center # custom keys and the portal's
    xdg-desktop-portal xdg-desktop-portal-gnome # keyboard, clipboard and shortcuts for programs
    python3 python3-numpy) # for coldvox-type
# shellcheck disable=SC2034
plasma_packages=(plasma-desktop plasma-workspace kwin-x11 kpackagetool6 libkirigami-data qml6-module-org-kde-kirigami
    breeze-icon-theme xvfb libglib2.0-bin at-spi2-core # gdbus, and what a screen reader asks
    python3 python3-numpy xdotool xclip x11-utils) # the last line is for coldvox-type

need_for_root() {
    ((EUID == 0)) && return
    tell "this creates a Debian tree and runs programs in it with chroot: run it as root"
    return 69
}

make_tree() { # make_tree gnome|plasma: once; waits for a concurrent run
    local desktop=$1 packages=() lock
    mkdir -p "$desktops"
    exec {lock}>"$desktops/lock"
    flock "$lock"
    if [[ ! -e $tree.base ]]; then
        tell "creating a Debian $suite tree in $tree (0.5 GB); nothing is installed on this machine"
        rm -rf -- "$tree"
        mmdebstrap --quiet --variant=apt --skip=cleanup/apt/lists --include="ca-certificates,$(IFS=, && echo "${base_packages[*]}")" \
            --aptopt='Acquire::Check-Valid-Until "false"' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' "$suite" "$tree" "$mirror" || return
        : >"$tree/etc/machine-id"
        echo 0123456789abcdef0123456789abcdef >"$tree/etc/machine-id" # programs require an ID; it identifies no machine
        touch "$tree.base"
    fi
    local -n of_desktop=${desktop}_packages
    packages=("${of_desktop[@]}")
    if [[ $(cat "$tree.$desktop" 2>/dev/null) != "${packages[*]}" ]]; then # none yet, or the list has changed
        tell "installing in that tree (1 to 2 GB, some minutes): ${packages[*]}"
        # shellcheck disable=SC2016 # the inner bash expands it
        unshare --mount --propagation private -- bash -eu -c '
            mount --bind /proc "$1/proc"; mount --rbind /dev "$1/dev"
            tree=$1; shift
            cp /etc/resolv.conf "$tree/etc/"
            printf "#!/bin/sh\nexit 101\n" >"$tree/usr/sbin/policy-rc.d"; chmod +x "$tree/usr/sbin/policy-rc.d"
            exec chroot "$tree" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
                apt-get install -y -qq --no-install-recommends "$@"' \
            - "$tree" "${packages[@]}" >"$tree.$desktop.log" 2>&1 </dev/null || {
            tail -n 20 "$tree.$desktop.log" >&2
            tell "the tree of $desktop cannot be created; see $tree.$desktop.log"
            return 69
        }
        echo "${packages[*]}" >"$tree.$desktop"
    fi
    exec {lock}>&-
}

enter() { # enter PROGRAM...: in separate mount and process namespaces, which end with it
    COLDVOX_DESKTOP_TREE=$tree exec unshare --mount --propagation private --pid --fork --kill-child --mount-proc -- "$@"
}
