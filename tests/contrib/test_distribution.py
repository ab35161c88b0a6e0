"""What a user gets who installs our wheel."""

import json
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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


def test_the_build_needs_nothing_but_what_it_requires(tmp_path: Path) -> None:
    """A user's pip builds in an environment that has only the packages of `build-system.requires`."""
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    for file in _files_of({Requirement(text).name for text in requires}):
        top = file.parts[0]
        if top != ".." and not (tmp_path / top).exists():
            (tmp_path / top).symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1] / top)
    documents = "from coldvoxd.cli import manual, setup\nfrom coldvoxd.cli.completion import script_for\n"
    documents += "[page() for page in manual.PAGES.values()], [script_for(shell) for shell in setup.COMPLETIONS]"
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path[:0] = {[str(tmp_path), str(ROOT)]}\n{documents}",
    ]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (made.returncode, made.stderr) == (0, "")


def _files_of(packages: set[str]) -> Iterator[metadata.PackagePath]:
    """Yield the files of these installed packages and of the packages that they require."""
    known: set[str] = set()
    while packages - known:
        name = (packages - known).pop()
        known.add(name)
        package = metadata.distribution(name)
        yield from package.files or ()
        needed = [Requirement(text) for text in package.requires or ()]
        packages |= {one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})}


@pytest.mark.heavy
def test_plain_pip_builds_our_wheel_in_an_environment_of_its_own(tmp_path: Path) -> None:
    """As contrib/install.sh does. Needs pip's configured package index."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    assert len(list(tmp_path.glob("coldvoxd-*.whl"))) == 1


@pytest.mark.heavy
def test_plain_pip_resolves_resolves_our_wheel_without_torch(wheel: Path, tmp_path: Path) -> None:
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
