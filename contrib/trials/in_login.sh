# shellcheck shell=bash
# Common parts of the long trials: sourced by crash.sh and replace.sh, which define `usage` and call `try`.

try() { # try TRIAL [--times N] [--seed N]: sets up, then runs it in a temporary user's login (contrib/trials/in_login.py)
    local trial=$1 arguments=()
    shift
    while (($#)); do
        case $1 in
        -h | --help) usage && exit 0 ;;
        --times | --seed)
            [[ ${2:-} ]] || { usage >&2 && exit 64; }
            arguments+=("$1" "$2") && shift 2
            ;;
        *) usage >&2 && exit 64 ;;
        esac
    done
    # shellcheck source=contrib/dev/setup.sh
    source "$(dirname -- "${BASH_SOURCE[0]}")/../dev/setup.sh"
    set_up system
    exec "$venv/bin/python" "$root/contrib/trials/in_login.py" "$trial" "${arguments[@]}"
}
