#!/bin/bash
# Every check and test of this checkout, after the same set-up as the demo.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/test.sh [--system] [PYTEST ARGUMENT...]

Sets this checkout up (saying what it will install and why), then runs ruff, mypy --strict, the layer contract, the check
that generated files are up to date, and pytest.

  --system  also installs what heavier tests need (a user's systemd, a second sound server); without it they run where
            those are there already

COLDVOX_TEST_JOBS, 3 where it isn't set, is how many files of tests run at once; 0 runs them one after the other.

What was left out is listed at the end with its reason. With CI=true and --system anything left out that is not a GPU's
business is a failure. exit codes: 0 all passed, 1 something failed, 69 something is missing that can't be installed
TEXT
}

level="test"
if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    usage && exit 0
elif [[ ${1:-} == --system ]]; then
    level=system
    shift
fi

# shellcheck source=contrib/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
set_up "$level"
cd "$root"
export PATH=$venv/bin:$PATH
export ORT_DISABLE_TELEMETRY=1 # for those that load ONNX Runtime past coldvoxd.ort, such as the peer library

# How long the tests' sound server is gone or frozen; see tests/support/login.py.
[[ $level == system ]] && export COLDVOX_TEST_FAULT_S=${COLDVOX_TEST_FAULT_S:-60}

failed=()
check() { # check NAME COMMAND...
    local name=$1
    shift
    tell "== $name"
    "$@" || failed+=("$name")
}

check "ruff check" ruff check
check "ruff format" ruff format --check
check "mypy --strict" mypy
check "layers" lint-imports
check "generated files" python contrib/generate.py --check
if have shellcheck; then
    mapfile -t scripts < <(find contrib tests .ci/run -name '*.sh' -o -path .ci/run)
    check "shellcheck" shellcheck -x "${scripts[@]}"
else
    left_out+=("shellcheck: the program is not installed")
fi
run_pytest() {
    # Most tests wait for sound, which takes its time; so several files run at once.
    python -m pytest --numprocesses "${COLDVOX_TEST_JOBS:-3}" --dist loadfile --junitxml="$work/pytest.xml" "$@" && return
    # Real servers on a busy machine are late at times: what failed is run once more, alone, and told all the same.
    tell "== pytest, what failed once more and alone"
    python -m pytest --last-failed --last-failed-no-failures none --numprocesses 0 || return
    tell "these failed at first and passed alone (see above); if one of them does so often, report it"
}
check "pytest" run_pytest "$@"

python contrib/left_out.py "$work/pytest.xml" "${left_out[@]}" ||
    { [[ ${CI:-} == true && $level == system ]] && failed+=("something was left out"); }
if ((${#failed[@]})); then
    printf -v list '%s, ' "${failed[@]}"
    tell "failed: ${list%, }"
    exit 1
fi
tell "all passed"
