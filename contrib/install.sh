#!/bin/bash
# Installs coldvoxd for the user who runs it, starts it, and prints what the doctor finds. contrib/uninstall.sh removes it.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/install.sh [--model NAME] [--cpu|--cuda] [--vulkan] [--openvino] [--tensorrt-rtx] [--media]
                          [--fallback ENGINE]... [--no-start]

Installs this checkout for the current user only. Run it again to upgrade; your settings are kept:
  ~/.local/share/coldvoxd/venv        Python environment with the daemon and its dependencies
  ~/.local/bin/coldvoxd, coldvoxctl, coldvox-type   links into it
  ~/.config/systemd/user/             the user service
  ~/.local/share/dbus-1/              bus activation: the first call starts the service; the interface's XML
  completions for bash, zsh and fish, and manual pages, below ~/.local/share
Then it starts the service, now and at each login, and shows what `coldvoxctl doctor` finds. Missing Debian packages are
listed with their reasons and installed with sudo; if sudo cannot be used, the command to run is printed.

  --model NAME  write this model into the settings; `mini` is bundled and meant for testing
  --cuda        also install NVIDIA's CUDA libraries; the default if an NVIDIA driver is loaded
  --vulkan      also install the WebGPU execution provider, for AMD and Intel GPUs: any with a Vulkan driver
  --openvino    also install Intel's execution provider, for its CPUs, GPUs and neural processors
  --tensorrt-rtx  also install NVIDIA's execution provider for RTX GPUs
                later runs keep these three; contrib/docs/models.md says how they are used
  --cpu         install none of them, and add the sandboxing for machines without a GPU to the service
  --media       also install PyAV, so that coldvoxctl transcribes M4A, MP4, WebM and other recordings; later runs keep it
  --fallback    also install a fallback engine, whisper or vosk, for the setting `fallback`; later runs keep it
  --no-start    install everything, but start nothing

exit codes: 0 installed, 1 installed but the service does not run, 64 usage error, 69 a requirement cannot be installed, 77 run as root
TEXT
}

model='' cpu=() start=yes cuda=no media=no engines=()
plugins=() # extras that install execution providers
[[ ! -e /dev/nvidiactl ]] || cuda=yes
while (($#)); do
    case $1 in
    --model)
        [[ ${2:-} && $2 != -* ]] || { usage >&2 && exit 64; }
        model=$2 && shift
        ;;
    --cpu) cpu=(--cpu) cuda=no ;;
    --vulkan | --openvino | --tensorrt-rtx) plugins+=("${1#--}") ;;
    --cuda) cuda=yes ;;
    --media) media=yes ;;
    --fallback)
        [[ ${2:-} == whisper || ${2:-} == vosk ]] || { usage >&2 && exit 64; }
        engines+=("$2") && shift
        ;;
    --no-start) start=no ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 64 ;;
    esac
    shift
done

((${#cpu[@]} == 0 || ${#plugins[@]} == 0)) || { usage >&2 && exit 64; }

# shellcheck source=contrib/dev/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/dev/setup.sh"
if ((EUID == 0)); then
    tell "$0: the service belongs to a user: run this as the user who dictates, not as root"
    exit 77
fi
if [[ $model && ! $model =~ ^[A-Za-z0-9._/~-]+$ ]]; then
    tell "$0: $model is not a model's name"
    exit 64
fi

absolute() { # absolute PATH DEFAULT: the path, or the default if the path is relative (to be ignored by the XDG specification)
    if [[ $1 == /* ]]; then printf '%s' "$1"; else printf '%s' "$2"; fi
}

data=$(absolute "${XDG_DATA_HOME:-}" "$HOME/.local/share")
config=$(absolute "${XDG_CONFIG_HOME:-}" "$HOME/.config")
bin=$HOME/.local/bin
home=$data/coldvoxd # the installation itself
venv=$home/venv
work=$home/install # logs, while this runs
installed=$home/installed # every file and directory created outside of it, for uninstall.sh

remember() { # remember KIND PATH: once per path
    grep -qxF -- "$1 $2" "$installed" 2>/dev/null || printf '%s %s\n' "$1" "$2" >>"$installed"
}

make_directory() { # make_directory PATH: and its parents, remembering those that did not exist
    [[ -d $1 ]] && return
    make_directory "$(dirname -- "$1")"
    mkdir -- "$1" 2>/dev/null || [[ -d $1 ]] || give_up "cannot create the directory $1" # another run may have made it
    if [[ -d $home ]]; then remember directory "$1"; else made+=("$1"); fi
}

take_lock() {
    exec {install_lock}>"$home/install.lock" # outside of $work, which the run before deletes
    local busy=75 result=0
    flock --nonblock --conflict-exit-code "$busy" "$install_lock" 2>/dev/null || result=$?
    if ((result == busy)); then
        tell "waiting for another $0, which installs into $home"
        flock "$install_lock"
    elif ((result)); then
        tell "the file system of $home has no file locks: do not run $0 twice at once"
    fi
}

check_exec() { # the programs are scripts below $home
    printf '#!/bin/sh\n' >"$work/program"
    chmod +x -- "$work/program"
    "$work/program" 2>/dev/null ||
        give_up "no program can be run from $home: its file system is mounted without exec. Set XDG_DATA_HOME to a directory elsewhere"
}

install_packages() {
    unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX VIRTUAL_ENV
    find_python
    need_for_python
    need_for_daemon
    need_for_typing
    install_wanted
}

has_package() { # has_package NAME: whether the environment of an earlier run has it
    compgen -G "$venv/lib/python3.*/site-packages/$1-*.dist-info" >/dev/null
}

keep_plugins() { # add the plugin providers of an earlier run, unless the CPU alone is wanted
    local extra module
    ((${#cpu[@]} == 0)) || return 0
    for extra in vulkan:webgpu openvino:openvino tensorrt-rtx:nv_tensorrt_rtx; do
        module=onnxruntime_ep_${extra#*:}
        ! compgen -G "$venv/lib/python3.*/site-packages/$module/__init__.py" >/dev/null || plugins+=("${extra%:*}")
    done
}

propose_plugin() { # name the option for a GPU that nothing installed here uses
    local vendor vendors=
    ((${#cpu[@]} == 0 && ${#plugins[@]} == 0)) || return 0
    for vendor in /sys/class/drm/*/device/vendor; do
        [[ ! -r $vendor ]] || vendors+=" $(<"$vendor")"
    done
    case $vendors in
    *0x1002*) tell "this machine has an AMD GPU: --vulkan would install what recognition on it needs, 16 MB" ;;
    *0x8086*) tell "this machine has an Intel GPU: --vulkan or --openvino would install what recognition on it needs, 16 or 53 MB" ;;
    esac
}

install_environment() {
    local what="$root" extras=()
    grep -q '^fetch = ' "$root/pyproject.toml" && extras+=(fetch)
    # Before the environment is created again.
    ! has_package av || media=yes
    ! has_package pywhispercpp || engines+=(whisper)
    ! has_package vosk || engines+=(vosk)
    extras+=("${engines[@]}")
    if [[ $cuda == yes ]]; then
        extras+=(cuda)
        tell "including NVIDIA's CUDA libraries, about 2 GB, for this machine's GPU"
    fi
    keep_plugins # before the environment is created again
    propose_plugin
    extras+=("${plugins[@]}")
    if [[ $media == yes ]]; then
        extras+=(media)
        tell "including PyAV with ffmpeg's libraries, for recordings in other formats"
    fi
    ((${#extras[@]} == 0)) || what="${root}[$(IFS=, && echo "${extras[*]}")]"
    renew_environment "$venv"
    tell "installing coldvoxd into $venv with $("$venv/bin/python" -V), from the package index; the first time takes some minutes"
    # uninstall.sh removes everything, so pip must not keep a cache elsewhere unless one was named. Exported for pip's child pip.
    [[ ${PIP_CACHE_DIR:-} ]] || export PIP_NO_CACHE_DIR=1
    export PIP_DISABLE_PIP_VERSION_CHECK=1
    "$venv/bin/python" -m pip --no-input install --quiet --progress-bar off \
        --upgrade "$what" >"$work/pip.log" 2>&1 || {
        tail -n 30 "$work/pip.log" >&2
        give_up "pip failed; its output is in $work/pip.log. Run $0 again to resume."
    }
}

install_links() {
    local name link
    for name in coldvoxd coldvoxctl coldvox-type; do
        link=$bin/$name
        if [[ -e $link && ! $(readlink -f -- "$link") -ef $venv/bin/$name ]]; then
            give_up "$link already exists and belongs to another installation: remove it (pipx uninstall coldvoxd?) and run $0 again"
        fi
    done
    make_directory "$bin"
    for name in coldvoxd coldvoxctl coldvox-type; do
        ln -sfn -- "$venv/bin/$name" "$bin/$name"
        remember file "$bin/$name"
    done
}

set_model() {
    [[ $model ]] || return 0
    local file=$config/coldvoxd/coldvoxd.toml
    if [[ $("$venv/bin/coldvoxctl" config get model.name) == "$model" ]]; then
        return
    elif grep -qE '^[[:space:]]*\[?[[:space:]]*model[].[:space:]]' "$file" 2>/dev/null; then
        tell "$file already has a section [model], which is kept: to use $model, write   name = \"$model\"   there"
        return
    fi
    make_directory "$config/coldvoxd"
    printf '[model]\nname = "%s"\n' "$model" >>"$file"
    "$venv/bin/coldvoxctl" config check >/dev/null || give_up "the settings are invalid; see above"
    tell "wrote model $model into $file"
}

set_up_service() { # units, bus activation, completions and manual pages, all recorded; then start it
    local options=(--bin "$bin" "${cpu[@]}")
    [[ $start == yes ]] || options+=(--no-start)
    "$venv/bin/coldvoxctl" setup "${options[@]}" >"$work/setup.log" || {
        tell "the service does not run: see above"
        status=1
    }
}

summary() {
    tell
    tell "Findings of coldvoxctl doctor:"
    "$venv/bin/coldvoxctl" doctor >&2 || true
    tell
    tell "To uninstall: $home/uninstall.sh"
    [[ :$PATH: == *":$bin:"* ]] || tell "$bin is not in the PATH of this shell; log in again, or add it"
    [[ ${SHELL:-} != */zsh ]] || tell "for zsh, add to ~/.zshrc before compinit:   fpath+=($(printf %q "$data/zsh/site-functions"))"
    tell
    grep -v '^installed ' "$work/setup.log" >&2 || true # ends with how to get a word into a window
}

status=0
made=()
make_directory "$home"
((${#made[@]})) && for directory in "${made[@]}"; do remember directory "$directory"; done
[[ -w $home ]] || give_up "$home cannot be written to: change its permissions, or set XDG_DATA_HOME to another directory"
take_lock
mkdir -p -- "$work"
check_exec

install_packages
install_environment
install_links
install -m 755 -- "$root/contrib/uninstall.sh" "$home/uninstall.sh"
set_model
set_up_service
summary
rm -rf -- "$work"
exit "$status"
