"""A file that cannot be loaded, read or found is reported in one sentence, without a traceback or a restart loop."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import DICTATION, ENGINE
from coldvoxd.bus.library_name import MODULE
from coldvoxd.core.errors import ModelInvalid, ModelMissing
from coldvoxd.core.values import Precision
from coldvoxd.models.directories import bundled_directory, find_model
from tests.support.bus.private_bus import BusClient, BusError, PrivateBus
from tests.support.eventually import eventually, eventually_answered

ROOT = Path(__file__).parents[3]
EX_CONFIG = 78

AS_AN_ORDINARY_USER = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
    if os.geteuid() == 0
    else ()
)
"""root can read every file unless it gives up these capabilities."""


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the bundled model whose permissions a test changes."""
    directory = tmp_path / "own"
    directory.mkdir()
    for file in bundled_directory().iterdir():
        if file.is_file():
            (directory / file.name).write_bytes(file.read_bytes())
    return directory


def run(*arguments: str, environment: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*AS_AN_ORDINARY_USER, sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@asynccontextmanager
async def daemon(
    bus: PrivateBus, directory: Path, name: str, *, limit: tuple[str, ...] = ()
) -> AsyncIterator[tuple[BusClient, Path]]:
    """Yield a client and the log of a daemon that uses this model and runs without root's capabilities."""
    file, log = directory / "coldvoxd.toml", directory / "log"
    file.write_text(
        f'[microphone]\ndevice = "virtual:{bus.directory}/mic"\n[model]\nname = "{name}"\nprovider = "cpu"\n'
    )
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*limit, *AS_AN_ORDINARY_USER, sys.executable, "-m", "coldvoxd", "--config", str(file)],
            cwd=ROOT,
            env=bus.environment,
            stdout=output,
            stderr=output,
        )
    try:
        async with BusClient(bus.address) as client:
            yield client, log
        assert process.poll() is None, log.read_text()
        process.terminate()
        assert await asyncio.to_thread(process.wait, 30) == 0
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()
        print(log.read_text())


async def degraded(client: BusClient) -> str:
    """Return the code of Degraded after it is set."""

    async def code() -> str:
        try:
            return str(await client.get(ENGINE, "Degraded"))
        except BusError:
            return ""

    return await eventually_answered(code, what="a code in Degraded")


@pytest.mark.parametrize("part", ["encoder-model.onnx", "vocab.txt", "config.json", ""])
async def test_a_model_that_may_not_be_read_is_invalid_and_named(
    bus: PrivateBus, tmp_path: Path, model: Path, part: str
) -> None:
    if not (model / part).exists():
        (model / part).write_text('{"model_type": "nemo-conformer-tdt"}')
    (model / part).chmod(0)
    try:
        async with daemon(bus, tmp_path, str(model)) as (client, _):
            assert await degraded(client) == "model-invalid"
            error = await client.get(ENGINE, "LastError")
            assert str(model / part) in error
            assert "fetch" not in error
            (model / part).chmod(0o755)  # fixed: no restart is needed
            await eventually_answered(lambda: is_idle(client), what="the model")
    finally:
        (model / part).chmod(0o755)


async def is_idle(client: BusClient) -> bool:
    return bool(await client.get(DICTATION, "State") == "idle")


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("~no-such-user/model", "model-missing", "no home directory ~no-such-user"),
        ("/" + "a" * 5000, "model-invalid", "File name too long"),
        ("a" * 5000, "model-invalid", "File name too long"),
        ("/tmp/nul\\u0000byte", "model-missing", "no model directory"),
    ],
)
async def test_a_name_that_can_not_be_looked_up_is_a_sentence(
    bus: PrivateBus, tmp_path: Path, name: str, code: str, said: str
) -> None:
    async with daemon(bus, tmp_path, name) as (client, log):
        assert await degraded(client) == code
        assert said in await client.get(ENGINE, "LastError")
        await eventually(lambda: "ready" in log.read_text(), what="the log")
        assert max(len(line) for line in log.read_text().splitlines()) < 1000


def test_the_command_line_says_the_same(model: Path) -> None:
    (model / "encoder-model.onnx").chmod(0)
    shown = run("coldvoxd.cli.main", "model", "verify", str(model))
    assert shown.returncode not in {0, -6, -11}
    assert "cannot be read" in shown.stderr + shown.stdout
    assert "Traceback" not in shown.stderr


def test_find_model_translates_what_the_file_system_says(model: Path) -> None:
    (model / "encoder-model.onnx").unlink()
    (model / "encoder-model.onnx").symlink_to("/proc/self/mem")  # can be opened but not read: EIO
    with pytest.raises(ModelInvalid, match=r"encoder-model\.onnx"):
        find_model(str(model), Precision.FP32)
    with pytest.raises(ModelMissing, match="~no-such-user"):
        find_model("~no-such-user/x", Precision.FP32)


@pytest.mark.parametrize(
    "arguments", [("coldvoxd",), ("coldvoxd.cli.main", "config"), ("coldvoxd.cli.main", "config", "path")]
)
def test_a_settings_directory_that_may_not_be_read_is_a_sentence(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    place = tmp_path / "coldvoxd"
    place.mkdir()
    place.chmod(0)
    try:
        shown = run(*arguments, environment={"XDG_CONFIG_HOME": str(tmp_path)})
    finally:
        place.chmod(0o755)
    assert shown.returncode == (EX_CONFIG if arguments == ("coldvoxd",) else 1)
    [line] = shown.stderr.splitlines()
    assert f"{place}/coldvoxd.toml cannot be read: Permission denied" in line


@pytest.mark.parametrize("library", ["onnxruntime", "pyaudio", "soundfile", "pulsectl", "soxr", MODULE])
def test_a_library_that_can_not_be_loaded_is_a_sentence_and_no_reason_to_try_again(
    tmp_path: Path, library: str
) -> None:
    said = "libnothing.so.3: cannot open shared object file"
    kind = "OSError" if library == "soundfile" else "ImportError"
    (tmp_path / f"{library}.py").write_text(f"raise {kind}({said!r})\n")
    environment = {"PYTHONPATH": str(tmp_path), "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere"}
    shown = run("coldvoxd", environment=environment)
    assert shown.returncode == EX_CONFIG
    assert said in shown.stderr
    assert "doctor" in shown.stderr
    assert "Traceback" not in shown.stderr
    if library == MODULE:
        shown = run("coldvoxd.cli.main", "status", environment=environment)
        assert shown.returncode == 1
        assert said in shown.stderr
        assert "Traceback" not in shown.stderr


_OPEN_IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from coldvoxd.bus.library_name import MODULE
from coldvoxd.core.errors import NotReady
from coldvoxd.bus.library_name import MODULE
from coldvoxd.core.settings import ModelSettings
from coldvoxd.bus.library_name import MODULE
from coldvoxd.core.values import Precision
from coldvoxd.recognition.factory import open_staged
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]) * 1_000_000, resource.RLIM_INFINITY))
try:
    open_staged(ModelSettings(name="mini", threads=1), Precision.FP32).close()
except NotReady as fault:
    print(type(fault).__name__, fault)
else:
    print("opened")
"""


def test_too_little_memory_is_reported_as_that() -> None:
    """At each stage of opening, the model's files must not be blamed.

    ONNX Runtime itself may crash if one of its own allocations fails; such a run is not judged.
    """
    reported = []
    for spare_mb in (1, 4, 8, 10, 12, 16, 20):
        shown = subprocess.run(
            [sys.executable, "-c", _OPEN_IN_LITTLE_MEMORY, str(spare_mb)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if shown.returncode >= 0:
            assert shown.returncode == 0, shown.stderr
            reported.append(shown.stdout.strip())
    failed = [line for line in reported if line != "opened"]
    assert len(failed) >= 2
    assert all(line.startswith("ResourcesExhausted There is not enough memory") for line in failed)
