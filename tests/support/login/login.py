"""A login of that temporary user with a sound server and the daemon in it: a user's environment."""

import contextlib
import json
import os
import queue
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.eventually import PATIENCE_S, eventually_blocking
from tests.support.login.user_manager import DICTATION, NAME, OBJECT, ROOT, UserManager, install_daemon, user_manager

UNIT = "coldvoxd.service"
MINI = ROOT / "coldvoxd/data/mini"
SETTINGS = '[model]\nname = "mini"\n'

PIPEWIRE_PROGRAMS = ("pipewire", "pipewire-pulse", "wireplumber", "pw-metadata")
PIPEWIRE_UNITS = ("pipewire.socket", "pipewire.service", "pipewire-pulse.socket", "pipewire-pulse.service")
"""The units of PipeWire, beside WirePlumber's, as in their packages."""

_PULSEAUDIO = """\
[Unit]
Description=PulseAudio with a null sink whose monitor is the microphone
[Service]
Type=exec
ExecStart={pulseaudio} -n --daemonize=no --exit-idle-time=-1 --use-pid-file=no --realtime=no --high-priority=no \\
    --log-target=stderr --load=module-native-protocol-unix \\
    "--load=module-null-sink sink_name=speaker1 rate=16000 channels=1 format=s16le norewinds=1" \\
    "--load=module-remap-source master=speaker1.monitor source_name=mic1"
Restart=on-failure
RestartSec=100ms
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """A recording that ships beside the bundled model."""

    file: Path
    said: str
    reference: str
    """The reference recognizer's text of the recording, fp32."""

    def is_in(self, text: str) -> bool:
        """Return whether its words are in the text, contiguous and in order.

        Case and punctuation, which differ between weights, are ignored.
        """
        return any(f" {_words(wanted)} " in f" {_words(text)} " for wanted in (self.said, self.reference))


def samples() -> list[Sample]:
    manifest = json.loads((MINI / "manifest.json").read_text("utf-8"))
    return [Sample(MINI / entry["file"], entry["said"], entry["heard"]["fp32"]) for entry in manifest["samples"]]


class Output:
    """A process's output, read line by line with a timeout."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._queue: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def line(self, patience_s: float = PATIENCE_S) -> str:
        """Return the next line. Raises queue.Empty after `patience_s` seconds."""
        return self._queue.get(timeout=max(0.0, patience_s))

    def _read(self) -> None:
        assert self.process.stdout is not None
        with contextlib.suppress(ValueError):  # closed during a read at the end
            for line in self.process.stdout:
                self._queue.put(line.strip())


class Listener(Output):
    """`coldvoxctl listen --json`, read as it is written."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        super().__init__(process)
        self.events: list[dict[str, Any]] = []

    def wait_for(self, name: str, *, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """Return the next event of that name; earlier ones are kept in `events` too."""
        deadline_s = time.monotonic() + patience_s
        while True:
            try:
                line = self.line(deadline_s - time.monotonic())
            except queue.Empty:
                raise AssertionError(f"no event {name!r} within {patience_s:g} s; there were {self.events}") from None
            if not line.startswith("{"):
                self.events.append({"event": "", "line": line})
                continue
            event: dict[str, Any] = json.loads(line)
            self.events.append(event)
            if event["event"] == name:
                return event

    def wait_for_text(self, sample: Sample, *, patience_s: float = PATIENCE_S) -> list[dict[str, Any]]:
        """Return texts until the sample's words are in them: a pause makes two utterances of one sentence."""
        texts: list[dict[str, Any]] = []
        while not sample.is_in(" ".join(text["text"] for text in texts)):
            texts.append(self.wait_for("transcribed", patience_s=patience_s))
        return texts


class Login(UserManager):
    """A login with the default source `mic1`, fed by the sink `speaker1`, and the daemon installed, not started."""

    @property
    def ctl(self) -> Path:
        return self.home / ".local/bin/coldvoxctl"

    @property
    def install_script(self) -> Path:
        return ROOT / "contrib/dev/install-units.sh"

    def start(self) -> None:
        """Start the daemon as in the README; return after READY and the loading of the model."""
        self.systemctl("start", UNIT)
        self.wait_for_state("idle")

    def state(self) -> str:
        """Return the published state, `gone` if the name has no owner.

        Doesn't start the daemon, as get-property would.
        """
        done = self.run(
            *("busctl", "--user", "--json=short", "--auto-start=no", "call", NAME, OBJECT),
            *("org.freedesktop.DBus.Properties", "Get", "ss", DICTATION, "State"),
            check=False,
        )
        return str(json.loads(done.stdout)["data"][0]["data"]) if done.returncode == 0 else "gone"

    def wait_for_state(self, *wanted: str, patience_s: float = PATIENCE_S) -> None:
        def is_there() -> str:
            state = self.state()
            return state if state in wanted else ""

        try:
            eventually_blocking(is_there, patience_s=patience_s, what=f"state {' or '.join(wanted)}")
        except AssertionError as error:
            raise AssertionError(f"{error}; now {self.state()}\n{self.journal(UNIT)}") from error

    def speak(self, sample: Sample) -> None:
        """Play the sample to its end, in real time."""
        self.run("paplay", "--device=speaker1", sample.file)

    @contextlib.contextmanager
    def speaking(self, sample: Sample) -> Iterator[None]:
        """Play the sample during the context."""
        with self.running("paplay", "--device=speaker1", sample.file):
            yield

    @contextlib.contextmanager
    def listening(self, *arguments: str) -> Iterator[Listener]:
        """Listen to all events during the context; with `--start`, the first one reports the listener's own session."""
        with self.running(self.ctl, "--json", "listen", *arguments) as process:
            listener = Listener(process)
            listener.wait_for("started" if "--start" in arguments else "listening")
            yield listener

    @property
    def main_pid(self) -> int:
        """Process ID in the user's PID namespace."""
        return int(self.show(UNIT, "MainPID"))

    @property
    def restarts(self) -> int:
        return int(self.show(UNIT, "NRestarts"))

    def wait_for_sound(self) -> None:
        eventually_blocking(
            lambda: self.run("pactl", "info", check=False).returncode == 0, what="an answer from the sound server"
        )
        self.run("pactl", "set-default-source", "mic1")


@contextlib.contextmanager
def login(sound: str = "pulseaudio") -> Iterator[Login]:
    """Run a login with `pulseaudio` or `pipewire` within the context. Prints its journal if the body fails."""
    with user_manager(kind=Login) as here:
        try:
            if sound == "pulseaudio":
                _start_pulseaudio(here)
            else:
                _start_pipewire(here)
            here.wait_for_sound()
            install_daemon(here, SETTINGS)
            # As in the README. systemd also forgets how a stopped unit ended unless another unit wants it.
            here.systemctl("enable", UNIT)
            yield here
        except BaseException:
            print(here.journal(), here.logs())
            raise


def _start_pulseaudio(here: Login) -> None:
    program = shutil.which("pulseaudio")
    assert program, "there is no pulseaudio: ./contrib/test.sh sets one up"
    here.systemctl("unmask", "pulseaudio.service")
    here.write(".config/systemd/user/pulseaudio.service", _PULSEAUDIO.format(pulseaudio=program))
    here.systemctl("daemon-reload")
    here.systemctl("start", "pulseaudio.service")


def _start_pipewire(here: Login) -> None:
    here.systemctl("unmask", *PIPEWIRE_UNITS, "wireplumber.service")
    here.systemctl("daemon-reload")
    here.systemctl("start", "pipewire.socket", "pipewire-pulse.socket", "wireplumber.service")
    eventually_blocking(lambda: here.run("pactl", "info", check=False).returncode == 0, what="pipewire-pulse")
    here.run("pw-metadata", "-n", "settings", "0", "clock.force-rate", "16000")
    mono = ("rate=16000", "channels=1", "channel_map=mono")
    here.run("pactl", "load-module", "module-null-sink", "sink_name=speaker1", *mono)
    source = ("source_name=mic1", "master=speaker1.monitor", "master_channel_map=mono")
    here.run("pactl", "load-module", "module-remap-source", *source, *mono)


def fault_s() -> float:
    """Return the seconds of a fault that the daemon must survive without a restart.

    More than the unit's WatchdogSec=20 plus the daemon's feeding interval of 10 s, so that a starved watchdog would
    have fired. COLDVOX_TEST_FAULT_S overrides it.
    """
    return float(os.environ.get("COLDVOX_TEST_FAULT_S", "40"))


def _words(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower()))
