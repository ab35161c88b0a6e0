#!/bin/bash
# Takes Silero's voice activity model out of the wheel that pyproject pins in the dependency group `vad-model`.
#
#   contrib/dev/refresh-silero.sh            unpack it; fails if the file differs from the recorded hash
#   contrib/dev/refresh-silero.sh --accept   the same, and record the new hash (after reading upstream's changes)
#
# The wheel declares torch, which the ONNX file does not need: so it is downloaded without its dependencies,
# never installed, and only the file and its licence are kept.
set -euo pipefail
cd "$(dirname "$0")/../.."

accept=no
case "${1:-}" in
  "") ;;
  --accept) accept=yes ;;
  *) sed -n '2,5s/^# \{0,1\}//p' "$0"; [ "$1" = --help ] && exit 0; exit 2 ;;
esac

python=python3
[ -x .venv/bin/python ] && python=.venv/bin/python
requirement=$(sed -n 's/^vad-model = \["\(silero-vad==[^"]*\)"\].*/\1/p' pyproject.toml)
[ -n "$requirement" ] || { echo "pyproject.toml has no dependency group vad-model = [\"silero-vad==VERSION\"]" >&2; exit 1; }

name=silero_vad_16k_op15.onnx
into=coldvoxd/data/silero
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$python" -m pip --quiet --disable-pip-version-check download --no-deps --only-binary :all: --dest "$scratch" "$requirement"
"$python" -m zipfile -e "$scratch"/silero_vad-*.whl "$scratch/wheel"
model=$scratch/wheel/silero_vad/data/$name
licence=$(echo "$scratch"/wheel/silero_vad-*.dist-info/licenses/LICENSE)
for file in "$model" "$licence"; do
  [ -f "$file" ] || { echo "$requirement has no ${file#"$scratch"/wheel/}: its layout has changed" >&2; exit 1; }
done

found=$(sha256sum "$model" | cut -d' ' -f1)
if [ "$accept" = no ] && [ -f "$into/$name.sha256" ]; then
  recorded=$(cut -d' ' -f1 "$into/$name.sha256")
  if [ "$found" != "$recorded" ]; then
    echo "$requirement has a $name with SHA-256 $found; recorded is $recorded. To take it: $0 --accept" >&2
    exit 1
  fi
fi

mkdir -p "$into"
install -m 644 "$model" "$into/$name"
install -m 644 "$licence" "$into/LICENSE"
echo "$found  $name" > "$into/$name.sha256"
echo "$name of $requirement, SHA-256 $found"
