"""README and manual: their size, their blocks, and each command in them run, or excluded for a reason named here.

tests/system/test_documented_commands.py runs the systemd commands.
"""

import argparse
import asyncio
import os
import re
import shlex
import signal
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import soundfile

from coldvoxd import arguments, settings_file
from coldvoxd.bus.interface_xml import DICTATION
from coldvoxd.cli.arguments import command_line
from coldvoxd.models import catalog
from coldvoxd.typist import settings as typing_settings
from tests.support.bus.private_bus import PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon, default_settings
from tests.support.documentation import (
    MANUAL,
    PLACEHOLDER,
    README,
    ROOT,
    SCRIPT,
    Block,
    Command,
    block_commands,
    blocks,
    inline_commands,
    pages,
)
from tests.support.eventually import PATIENCE_S
from tests.support.sound.media import KINDS, encoded
from tests.support.sound.speech import Sample, samples

LONGEST_README_LINES = 170
LONGEST_README_BYTES = 10_000
MARKS = {"sh", "toml", "text", "mermaid"}

GENERATES = "needs code generators: tests/component/bus/test_generated_clients.py"
IN_CI = "CI runs it in a Debian tree: contrib/fresh-check.sh"
CHANGES_THE_ACCOUNT = "changes the account that runs it; contrib/nspawn-check.sh does it in a Debian of its own"
NEEDS_THE_INDEX = "installs from a package index; tests/system/test_setup.py installs a wheel that it builds"
SETS_UP = "makes the service one of the account that runs it: tests/system/test_setup.py"
NEEDS_A_HUB = "needs the network, or gigabytes: tests/component/cli/test_model.py has a hub and models of its own"
CONVERTS = "needs a large fp32 model; tests/component/models and tests/component/preparation do it with small ones"
NEEDS_A_DESKTOP = "needs a desktop: contrib/desktop-check.sh"
MULTILINGUAL = "needs a multilingual model: tests/component/cli/test_languages.py has a crafted one"
MEASURES = "needs recordings with texts: tests/component/cli/test_evaluate.py has some"
IS_A_CHECK = "contrib/test.sh runs it"
NOT_RUN = {
    "qdbusxml2cpp -i types.h -p coldvox org.coldvox.Daemon1.xml": GENERATES,
    "gdbus-codegen --generate-c-code coldvox --c-namespace Coldvox --interface-prefix org.coldvox. org.coldvox.Daemon1.xml": (
        GENERATES
    ),
    "sdbus-c++-xml2cpp org.coldvox.Daemon1.xml --proxy=coldvox.h": GENERATES,
    "./contrib/demo.sh": IN_CI,
    "./contrib/test.sh": IN_CI,
    "./contrib/test.sh --help": "prints help; the tests run in it",
    "./contrib/test.sh -m gpu": "needs an NVIDIA GPU",
    "./contrib/install.sh": CHANGES_THE_ACCOUNT,
    "./contrib/install.sh --cuda": CHANGES_THE_ACCOUNT,
    "./contrib/install.sh --media": CHANGES_THE_ACCOUNT,
    "./contrib/install.sh --vulkan": CHANGES_THE_ACCOUNT,
    "~/.local/share/coldvoxd/uninstall.sh": f"{CHANGES_THE_ACCOUNT}; tests/contrib/test_uninstall.py",
    "sudo apt install gcc python3-dev portaudio19-dev libasound2-plugins pipx": "installs packages of the system",
    "pipx install './coldvoxd-0.1.0-py3-none-any.whl[fetch]'": NEEDS_THE_INDEX,
    "pipx install --force './coldvoxd-0.1.0-py3-none-any.whl[fetch]'": NEEDS_THE_INDEX,
    "pipx uninstall coldvoxd": NEEDS_THE_INDEX,
    "pipx inject coldvoxd 'onnx>=1.17' 'packaging>=23'": NEEDS_THE_INDEX,
    "pipx inject coldvoxd 'av>=18,<20'": NEEDS_THE_INDEX,
    "pipx inject coldvoxd 'onnxruntime-ep-webgpu>=0.4,<0.5'": NEEDS_THE_INDEX,
    ".venv/bin/pip install 'onnxruntime-gpu[cuda,cudnn]'": NEEDS_THE_INDEX,
    "coldvoxctl device default": "needs a sound server: tests/component/cli/test_devices.py",
    "coldvoxctl setup": SETS_UP,
    "coldvoxctl setup --remove": SETS_UP,
    "coldvoxctl model pull": NEEDS_A_HUB,
    "coldvoxctl model pull parakeet-tdt-0.6b-v3 --precision int8": NEEDS_A_HUB,
    "coldvoxctl model pull parakeet-tdt-0.6b-v3 --use": NEEDS_A_HUB,
    "coldvoxctl model remove parakeet-tdt-0.6b-v2": NEEDS_A_HUB,
    "coldvoxctl start --language de": MULTILINGUAL,
    "coldvoxctl transcribe --language fr talk.ogg": MULTILINGUAL,
    "coldvoxctl retry --language en": MULTILINGUAL,
    "coldvoxctl model prepare --precision fp16": CONVERTS,
    "coldvoxctl model prepare --precision int8": CONVERTS,
    "pipx inject coldvoxd 'jiwer>=4,<5' 'whisper-normalizer>=0.1.12,<0.2'": NEEDS_THE_INDEX,
    "coldvoxctl evaluate LibriSpeech/test-clean --output report.json": MEASURES,
    "coldvoxctl evaluate talks/ --compare precision=fp32,int8 --snr 20,10,5 --output report.md --output plot.svg": MEASURES,
    "coldvoxctl evaluate talks/ --compare provider=cpu,cuda --gate 0.1": MEASURES,
    "coldvoxctl evaluate talks/ --tune": MEASURES,
    "coldvoxctl evaluate talks/ --output before.json": MEASURES,
    "coldvoxctl evaluate talks/ --precision int8 --output after.json": MEASURES,
    "coldvoxctl doctor --first-run": "takes minutes: tests/component/cli/test_first_run.py",
    "coldvoxctl evaluate --blind before.json after.json": "asks a person; tests/component/cli/test_blind.py answers",
    "coldvoxctl evaluate talks/ --engine faster-whisper=models/whisper-base": MEASURES,
    "ffmpeg -i talk.mp4 -f wav - | coldvoxctl transcribe -": "needs ffmpeg; tests/component/cli pipe a WAV file",
    "systemctl --user enable --now coldvox-type": NEEDS_A_DESKTOP,
    "systemctl --user enable --now coldvoxd-keys": NEEDS_A_DESKTOP,
    "./contrib/desktop/gnome-shell/install.sh": NEEDS_A_DESKTOP,
    "./contrib/desktop/gnome-shell/install.sh --remove": NEEDS_A_DESKTOP,
    "./contrib/desktop/plasma/install.sh": NEEDS_A_DESKTOP,
    "./contrib/desktop/plasma/install.sh --remove": NEEDS_A_DESKTOP,
    "./contrib/bench.sh --model mini --parts load --times 1 --peers onnx-asr": (
        "sets up the environment of the benchmark; tests/contrib/test_bench.py"
    ),
    ".venv/bin/ruff check": IS_A_CHECK,
    ".venv/bin/ruff format --check": IS_A_CHECK,
    ".venv/bin/mypy": IS_A_CHECK,
    ".venv/bin/lint-imports": IS_A_CHECK,
    ".venv/bin/python contrib/dev/generate.py --check": IS_A_CHECK,
    ".venv/bin/python -m pytest -q tests/core": IS_A_CHECK,
}
"""Commands in blocks that no test runs, each with its reason."""

PATH = re.compile(r"`(?:\./|python )?((?:coldvoxd|contrib|dbus|systemd|tests|\.ci)/[\w./@-]*)")
"""A path in the repository, at the beginning of a code span."""
OF_SYSTEMD = {"systemctl", "journalctl"}
STARTS = re.compile(r"coldvoxctl (start|toggle)$|busctl .* (StartDictation|ToggleDictation)$")
"""Each of these starts a session, so the test speaks into it."""
STOPS = re.compile(r"coldvoxctl (stop|cancel)$|busctl .* (StopDictation|CancelDictation)$")
"""Each of these needs a session with speech."""
NEVER_ENDS = re.compile(r"coldvoxctl listen|busctl --user monitor")
PRINTS_THE_TEXT = re.compile(r"coldvoxctl (stop|retry|transcribe|listen)|busctl .* StopDictation|busctl --user monitor")
WRITES_THE_TEXT = re.compile(r"coldvoxctl transcribe .*--output ([^ ]+)")
DOCTOR = "coldvoxctl doctor"
"""It exits with 1 if it finds a problem, as on a machine without systemd."""
MANY = 6
"""The commands of a page with more than this number take over 20 s: most dictate a sentence."""
DICTATIONS = 5
"""Maximum number of dictated sentences: a listening program does not report when it is ready, so it may miss some."""


def test_the_readme_is_short() -> None:
    content = README.read_bytes()
    assert len(content.splitlines()) <= LONGEST_README_LINES
    assert len(content) <= LONGEST_README_BYTES


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_each_block_says_what_it_is(page: Path) -> None:
    for block in blocks(page):
        assert block.mark in MARKS, block.place


def test_the_index_of_the_manual_names_each_page() -> None:
    index = (MANUAL / "README.md").read_text("utf-8")
    missing = [page for page in pages() if page.is_relative_to(MANUAL) and f"({page.relative_to(MANUAL)}" not in index]
    assert missing == [MANUAL / "README.md"]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_each_path_in_the_text_exists(page: Path) -> None:
    for path in PATH.findall(page.read_text("utf-8")):
        if "coldvoxd/models" not in path:  # in the data directories, not in the repository
            assert (ROOT / path).exists(), path


def toml_blocks() -> list[Block]:
    return [block for page in pages() for block in blocks(page) if block.mark == "toml"]


@pytest.mark.parametrize("block", toml_blocks(), ids=lambda block: block.place)
def test_each_settings_file_in_the_text_is_accepted(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "coldvoxd" / block.argument
    file.parent.mkdir()
    file.write_text(block.text)
    if block.argument == "coldvoxd.toml":
        assert settings_file.load(file, {}) == settings_file.load(None, {}), "the text shows the defaults"
    elif block.argument == "type.toml":
        assert typing_settings.load(file).applications
    else:
        assert block.argument == "models.toml"
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        listed = tomllib.loads(block.text)
        assert catalog.known_models().keys() > listed.keys()


def test_what_is_not_run_is_in_the_text() -> None:
    assert NOT_RUN.keys() <= {command.text for command in block_commands()}


@pytest.mark.parametrize("command", [*block_commands(), *inline_commands()], ids=lambda command: command.text)
def test_each_command_is_one_of_its_program(command: Command) -> None:
    """Includes commands that are not run, and those in the running text."""
    if (script := SCRIPT.match(command.text.removeprefix(".venv/bin/").removeprefix("python "))) is not None:
        source = (ROOT / script[0]).read_text("utf-8")
        for option in re.findall(r" (--[\w-]+)", command.text):
            assert option in source, f"{script[0]} has no {option}"
    elif (parser := parsers().get(command.program)) is not None:
        words = command.text.partition(" | ")[0].removeprefix(".venv/bin/").removeprefix(command.program)
        if "COMMAND" not in words:
            parser.parse_args(shlex.split(PLACEHOLDER.sub("1", words)))
    elif command.program in OF_SYSTEMD:
        for unit in re.findall(r"\bcoldvox[a-z-]+", command.text):
            assert (ROOT / "systemd" / f"{unit}.service").exists()


@cache
def parsers() -> dict[str, argparse.ArgumentParser]:
    return {"coldvoxctl": command_line(), "coldvoxd": arguments.command_line()}


def to_run(*programs: str) -> dict[Path, list[Command]]:
    """Return the commands of these programs by the first page that has them, in the order of the text."""
    found: dict[Path, list[Command]] = {}
    known = set(NOT_RUN)
    for command in block_commands():
        if command.program in programs and command.text not in known:
            known.add(command.text)
            found.setdefault(command.page, []).append(command)
    return found


def by_page(program: str) -> list[Any]:
    """Return parameters: a list of commands for each page."""
    return [
        pytest.param(commands, marks=[pytest.mark.heavy] if len(commands) > MANY else [], id=page.stem)
        for page, commands in to_run(program).items()
    ]


def test_each_command_is_run_or_left_out_for_a_reason() -> None:
    run = {command.text for part in to_run("coldvoxctl", "busctl", *OF_SYSTEMD).values() for command in part}
    assert [command for command in block_commands() if command.text not in run | NOT_RUN.keys()] == []


@dataclass(frozen=True, slots=True)
class Desk:
    """What a reader needs to type the commands: a home, a bus, a daemon, and files to transcribe."""

    directory: Path
    bus: PrivateBus
    running: RunningDaemon
    environment: dict[str, str]

    async def run(self, command: Command) -> None:
        """Run the command in the state that it needs. Fails unless it does what the text says."""
        text = command.text.removeprefix(".venv/bin/")
        sample = samples()[0]
        if STOPS.search(text):
            await self._call("StartDictation")
            await self.running.speak(sample)
        elif text in {"coldvoxctl retry", "coldvoxctl retry --alternatives 3"}:
            await self._dictate(sample)
        code, printed = await (self._watched(text, sample) if NEVER_ENDS.match(text) else self._ended(text))
        assert code in ({0, 1} if text.startswith(DOCTOR) else {0}), f"{text}: {code}\n{printed}"
        if (written := WRITES_THE_TEXT.search(text)) is not None:
            place = self.directory / written[1]
            files = [*place.iterdir()] if place.is_dir() else [place]
            texts = [" ".join(file.read_text().split()) for file in files]
            assert texts
            assert all(sample.heard["fp32"] in written_text for written_text in texts), f"{text}\n{texts}"
        elif PRINTS_THE_TEXT.match(text):
            assert sample.heard["fp32"] in printed, f"{text}\n{printed}"
        if STARTS.search(text):
            assert await self._state() == "listening"
        if await self._state() != "idle":
            await self._call("CancelDictation")

    async def _ended(self, text: str) -> tuple[int, str]:
        async with self._process(text) as process:
            output, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        return process.returncode or 0, output.decode()

    async def _watched(self, text: str, sample: Sample) -> tuple[int, str]:
        """Run an endless command until it has printed a sentence, interrupt it, and return its exit code and output."""
        printed = ""
        async with self._process(f"exec {text}") as process:
            assert process.stdout is not None
            for _ in range(DICTATIONS):
                await self._dictate(sample)
                while sample.heard["fp32"] not in printed:
                    try:
                        line = await asyncio.wait_for(process.stdout.readline(), 1)
                    except TimeoutError:
                        break
                    assert line, f"{text} ended\n{printed}"
                    printed += line.decode()
                else:
                    break
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.communicate(), PATIENCE_S)
        return 0, printed

    @asynccontextmanager
    async def _process(self, text: str) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", text),
            cwd=self.directory,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _dictate(self, sample: Sample) -> None:
        await self._call("StartDictation")
        await self.running.speak(sample)
        assert sample.heard["fp32"] in str(await self._call("StopDictation"))

    async def _call(self, method: str) -> object:
        async with self.running.client() as client:
            return await client.call(method)

    async def _state(self) -> str:
        async with self.running.client() as client:
            return str(await client.get(DICTATION, "State"))


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


@pytest.fixture
async def desk(bus: PrivateBus, tmp_path: Path) -> AsyncIterator[Desk]:
    home, programs, directory = tmp_path / "home", tmp_path / "bin", tmp_path / "desk"
    settings = home / ".config/coldvoxd"
    for folder in (settings, programs, directory, home / ".config/sway"):
        folder.mkdir(parents=True)
    (home / ".config/sway/config").touch()
    (directory / "coldvoxd").symlink_to(ROOT / "coldvoxd")  # for paths below the checkout
    _write_program(programs / "coldvoxctl", "coldvoxd.cli.main")
    recording, rate = soundfile.read(samples()[0].path)
    soundfile.write(directory / "talk.ogg", recording, rate)
    soundfile.write(directory / "meeting.flac", recording, rate)
    (directory / "film.mp4").write_bytes(encoded(KINDS["MP4"], samples()[0].wave(), video_s=2))
    (directory / "recordings").mkdir()
    soundfile.write(directory / "recordings" / "talk.wav", recording, rate)
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    bus.extra_environment |= {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_CURRENT_DESKTOP": "sway",
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
    async with daemon(bus, settings, default_settings(bus.directory / "mic")) as running:
        yield Desk(directory, bus, running, bus.environment)


def _write_program(path: Path, module: str) -> None:
    """Write a program that uses this checkout, since the environment's own may belong to another one."""
    call = f"import sys; from {module} import main; sys.exit(main())"
    path.write_text(f"#!/bin/sh\nexport PYTHONPATH='{ROOT}'\nexec '{sys.executable}' -c \"{call}\" \"$@\"\n")
    path.chmod(0o755)


@pytest.mark.parametrize("commands", by_page("coldvoxctl"))
async def test_the_commands_of_coldvoxctl_work(commands: list[Command], desk: Desk) -> None:
    for command in commands:
        await desk.run(command)


@pytest.mark.programs("busctl")
@pytest.mark.parametrize("commands", by_page("busctl"))
async def test_the_commands_of_busctl_work(commands: list[Command], desk: Desk) -> None:
    for command in commands:
        await desk.run(command)
