#!/bin/bash
# Runs the checks and tests of this checkout, after the same setup as the demo.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/test.sh [--system] [--again N] [PYTEST ARGUMENT...]

Sets this checkout up (it prints what it installs and why), then runs ruff, mypy --strict, the layer contract, the
checks of generated files, of the language and of sizes, and the tests of the plain lane: those that need only the daemon, a private
bus and a private sound server, and take less than 20 s each. Bus tests run again with the other D-Bus library.
contrib/docs/contributing.md describes the lanes.

  --system   install what the other tests need (a user's systemd, a second sound server, desktops), and run only those, and
             shellcheck
  --again N  run only the tests that failed in the last run of this lane, one after the other, if there were at most N and
             nothing else failed. CI uses this; the tests are added to .work/second-tries
  PYTEST ARGUMENT...
             run pytest with these arguments, on the tests that they select, of any lane

COLDVOX_TEST_JOBS is the number of test files that run concurrently: by default 3, or 4 with --system; 0 runs them one after
the other.

At the end, tests that were left out are listed with their reasons, and the lane's time with its budget. With CI=true and
--system, any test that was left out and does not need a GPU is a failure.
exit codes: 0 all passed, 1 at least one check failed, 64 usage error, 69 a requirement cannot be installed
TEXT
}

lane=plain level="test" budget_min=15 again=
while (($#)); do
    case $1 in
    -h | --help) usage && exit 0 ;;
    --system) lane=ci level=system budget_min=40 ;;
    --again)
        [[ ${2:-} =~ ^[0-9]+$ ]] || { usage >&2 && exit 64; }
        again=$2 && shift
        ;;
    *) break ;;
    esac
    shift
done

# shellcheck source=contrib/dev/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/dev/setup.sh"
set_up "$level"
cd "$root"
export PATH=$venv/bin:$PATH
export ORT_DISABLE_TELEMETRY=1 # for code that loads ONNX Runtime without coldvoxd.native.ort, such as the peer library

# Seconds for which the tests' sound server is stopped or frozen; see tests/support/login/login.py.
[[ $level == system ]] && export COLDVOX_TEST_FAULT_S=${COLDVOX_TEST_FAULT_S:-60}

record=$work/lane-$lane.json   # results of the tests
faults=$work/lane-$lane.faults # checks other than tests that failed

if [[ $again ]]; then
    [[ -s $faults ]] && give_up_again="more than tests failed"
    tests=$(python contrib/dev/lanes.py failed "$record" "$again") || give_up_again="not 1 to $again tests failed"
    [[ ${give_up_again:-} ]] && tell "no second try: $give_up_again" && exit 1
    mapfile -t tests <<<"$tests"
    tell "== pytest, a second try, alone"
    python -m pytest --numprocesses 0 "${tests[@]}" || exit 1
    printf '%s\n' "${tests[@]}" >>"$work/second-tries"
    exit 0
fi

failed=()
check() { # check NAME COMMAND...
    local name=$1
    shift
    tell "== $name"
    "$@" || failed+=("$name")
}

rm -f "$record" "$faults"
if [[ $lane == plain ]]; then
    check "ruff check" ruff check
    check "ruff format" ruff format --check
    check "mypy --strict" mypy
    check "layers" lint-imports
    check "generated files" python contrib/dev/generate.py --check
    check "language" python contrib/dev/language.py
    check "sizes of classes, modules and functions" python contrib/dev/figures.py
fi
if have shellcheck; then
    mapfile -t scripts < <(find contrib tests .ci/run -name '*.sh' -o -path .ci/run)
    check "shellcheck" shellcheck -x "${scripts[@]}"
else
    left_out+=("shellcheck is not installed")
fi
printf '%s\n' "${failed[@]}" | grep . >"$faults" || true

# Most tests wait for sound in real time, so several files run in parallel. In the CI lane one of them is the soak, which
# waits for ten minutes; tests/support/lanes.py sorts the files so that it starts first.
jobs=3
[[ $lane == ci ]] && jobs=4
options=(--numprocesses "${COLDVOX_TEST_JOBS:-$jobs}" --dist loadfile --record "$record")
[[ $lane == ci ]] && options+=(--no-loadscope-reorder)
(($#)) || options+=(--lane "$lane")
check "pytest" python -m pytest "${options[@]}" "$@"

# On Python 3.15 dbus-fast takes the place of dbus-next, and no client may notice: contrib/docs/decisions/dbus-next.md.
if ((! $#)) && python -c 'import sys; sys.exit(sys.version_info >= (3, 15))'; then
    bus_tests=(tests/component/bus --ignore tests/component/bus/test_generated_clients.py)
    [[ $lane == plain ]] && bus_tests=(--lane plain tests/component/bus/test_{body,connection,dictation,files,header,interface}.py)
    name="pytest, the bus tests on dbus-fast"
    check "$name" env COLDVOX_TEST_BUS_LIBRARY=dbus-fast python -m pytest --numprocesses "${COLDVOX_TEST_JOBS:-$jobs}" \
        --dist loadfile "${bus_tests[@]}"
    [[ ${failed[*]} == *"$name"* ]] && echo "$name" >>"$faults" # not among the tests that get a second try
fi

if [[ -e $record ]]; then
    python contrib/dev/lanes.py left-out "$record" "${left_out[@]}" ||
        { [[ ${CI:-} == true && $lane == ci ]] && failed+=("something was left out") && echo "left out" >>"$faults"; }
fi
tell "$lane lane: $((SECONDS / 60)) min $((SECONDS % 60)) s of its budget of $budget_min min"
if ((${#failed[@]})); then
    printf -v list '%s, ' "${failed[@]}"
    tell "failed: ${list%, }"
    exit 1
fi
tell "all passed"
