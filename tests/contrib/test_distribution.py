"""What a user gets who installs our wheel."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our wheel, built as a distributor would, but with the installed tools."""
    into = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(into), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = into.glob("coldvoxd-*.whl")
    return wheel


def test_the_voice_activity_model_travels_with_its_hash_and_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {Path(name).name for name in archive.namelist() if name.startswith("coldvoxd/data/silero/")}
    assert packed == {"silero_vad_16k_op15.onnx", "silero_vad_16k_op15.onnx.sha256", "LICENSE"}


@pytest.mark.heavy
def test_plain_pip_resolves_our_wheel_without_torch(wheel: Path, tmp_path: Path) -> None:
    """Queries pip's configured package index, and fails if there is none: only that proves it.

    `--ignore-installed` makes pip resolve everything regardless of this environment; `--dry-run` installs nothing.
    """
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--report", str(report)]
    resolved = subprocess.run([*command, str(wheel)], capture_output=True, text=True, check=False)
    assert resolved.returncode == 0, f"pip needs a package index that it can reach:\n{resolved.stderr}"
    found = {
        item["metadata"]["name"].lower(): item["metadata"]["version"]
        for item in json.loads(report.read_text())["install"]
    }
    print(*(f"{name} {version}" for name, version in sorted(found.items())), sep="\n")
    assert {"coldvoxd", "numpy", "pyaudio"} <= found.keys()
    del found["nvidia-ml-py"]  # one file of pure Python; NVIDIA's other packages are CUDA libraries of gigabytes
    assert not {name for name in found if "torch" in name or name.startswith(("silero", "nvidia-"))}
