#!/bin/bash
# Unpacks a current software Vulkan driver for the tests of the WebGPU provider, and a Python that runs with it.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: contrib/dev/software-vulkan.sh

Unpacks Mesa's software Vulkan driver (lavapipe) from Debian 13 into .work/vulkan, 350 MB, and writes .work/vulkan/python: the
Python of .venv with that driver and the C library that the driver needs. Nothing is installed. Requires root and mmdebstrap.
An older Mesa, such as Debian 12's, is refused by ONNX Runtime's WebGPU provider.

environment:
  COLDVOX_CHECK_MIRROR  the mirror to download from: http://deb.debian.org/debian

exit codes: 0 done, or it was there already; 64 usage error; 69 it cannot be made here
TEXT
}

(($# == 0)) || { usage >&2 && exit 64; }
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
place=$root/.work/vulkan
mirror=${COLDVOX_CHECK_MIRROR:-http://deb.debian.org/debian}
packages=libvulkan1,mesa-vulkan-drivers

tell() { printf '%s\n' "$*" >&2; }

give_up() {
    tell "software-vulkan: $*"
    exit 69 # EX_UNAVAILABLE
}

[[ $(cat "$place/complete" 2>/dev/null) != "$packages" ]] || exit 0
((EUID == 0)) || give_up "unpacking a Debian tree requires root"
command -v mmdebstrap >/dev/null || give_up "mmdebstrap is missing"
tell "unpacking $packages of Debian 13 into $place: a real Vulkan driver without a GPU, for tests"
rm -rf -- "$place"
mkdir -p "$place"
mmdebstrap --quiet --variant=extract --include="$packages" --dpkgopt='path-exclude=/usr/share/doc/*' \
    --aptopt='Acquire::Check-Valid-Until "false"' trixie "$place/tree" "$mirror" >"$place/log" 2>&1 ||
    give_up "mmdebstrap failed; see $place/log"

libraries=$(find "$place/tree/usr/lib" -maxdepth 1 -type d -name '*-linux-gnu')
loader=$(find "$libraries" -maxdepth 1 -name 'ld-linux-*.so.*' | head -1)
# The manifest names the driver by its name alone, which the machine's own library path would resolve.
manifest=$(find "$place/tree/usr/share/vulkan/icd.d" -name 'lvp_icd*.json' | head -1)
sed "s|\"library_path\": *\"[^\"]*\"|\"library_path\": \"$libraries/libvulkan_lvp.so\"|" "$manifest" >"$place/driver.json"
cat >"$place/python" <<SCRIPT
#!/bin/sh
exec "$loader" --argv0 "$root/.venv/bin/python" --library-path "$libraries" "$root/.venv/bin/python" "\$@"
SCRIPT
chmod +x "$place/python"
echo "$packages" >"$place/complete"
