"""Private sound servers: real PulseAudio and PipeWire processes, invisible to the desktop's own session."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.eventually import eventually_blocking

NO_HARDWARE = {
    # WirePlumber 0.4: between the defaults (50) and the files that enable them (90).
    "wireplumber/main.lua.d/60-no-hardware.lua": "\n".join(
        f"{kind}_monitor.enabled = false" for kind in ("alsa", "v4l2", "libcamera")
    ),
    "wireplumber/bluetooth.lua.d/60-no-hardware.lua": "bluez_monitor.enabled = false",
    # WirePlumber 0.5
    "wireplumber/wireplumber.conf.d/60-no-hardware.conf": "wireplumber.profiles = { main = { "
    + " ".join(f"hardware.{kind} = disabled" for kind in ("audio", "bluetooth", "video-capture"))
    + " } }",
}
"""Disables hardware: a second WirePlumber would set the volumes of the desktop's own sound cards."""

PIPEWIRE_PROGRAMS = ("pipewire", "wireplumber", "pipewire-pulse", "dbus-daemon", "pw-metadata")


NOT_YET = 0xFFFFFFFF
"""PipeWire's source of a stream that is still being linked."""
DESCRIPTIONS = {1: "Blue Yeti", 2: "Built-in Audio"}


class SoundServer:
    """Common parts of both kinds of server: a separate directory, PulseAudio's socket, and faults on command.

    `mic1`, the “Blue Yeti”, is the default source, and `mic2` is “Built-in Audio”; `mic1` records what is played to the
    sink `speaker1`, sample by sample, and `mic2` what is played to `speaker2`.
    """

    NULL_SINK = ""
    """Further arguments of a null sink."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def socket(self) -> Path:
        return self.directory / "pulse" / "native"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    def environment(self) -> dict[str, str]:
        """Return the environment in which programs find this server and no other."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PULSE_", "PIPEWIRE_", "DBUS_"))}
        return kept | {
            "HOME": str(self.directory),
            "XDG_RUNTIME_DIR": str(self.directory),
            "XDG_CONFIG_HOME": str(self.directory / "config"),
            "XDG_STATE_HOME": str(self.directory / "state"),
            "PULSE_RUNTIME_PATH": str(self.directory / "pulse"),
            "PULSE_SERVER": f"unix:{self.socket}",
            "PULSE_CLIENTCONFIG": str(self._client_config()),
        }

    @contextlib.contextmanager
    def adopted(self) -> Iterator[None]:
        """Let this process find the server too: libpulse and ALSA read the environment at each opening."""
        before, ours = dict(os.environ), self.environment()
        os.environ.clear()
        os.environ.update(ours)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def start(self) -> None:
        raise NotImplementedError

    def restart(self) -> None:
        """Start a new server in place of the dead one."""
        self.start()

    def kill(self) -> None:
        """Kill the server with SIGKILL."""
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
        self._reap()

    def freeze(self) -> None:
        """Freeze the server with SIGSTOP: it keeps its sockets and answers nothing."""
        for process in self.processes:
            process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.thaw()
        for process in reversed(self.processes):
            process.terminate()
        self._reap()

    def play(self, wav: Path, sink: str = "speaker1", positions: Sequence[str] = ()) -> None:
        """Play a file to its end; with `positions`, map its channels to these positions of the sink."""
        mapped = [f"--channel-map={','.join(positions)}"] if positions else []
        self._run("paplay", f"--device={sink}", *mapped, str(wav))

    def plug_many(self, positions: Sequence[str], number: int = 9) -> None:
        """Add a default microphone with these channels: `mic9` records what `speaker9` plays, channel by channel."""
        layout = f"rate=16000 channels={len(positions)} channel_map={','.join(positions)}"
        sink = f"sink_name=speaker{number} {layout} {self.NULL_SINK}".split()
        self._run("pactl", "load-module", "module-null-sink", *sink)
        described = f'source_properties="device.description=Array{number}"'
        master = f"master=speaker{number}.monitor master_channel_map={','.join(positions)} remix=no"
        self._run(
            *("pactl", "load-module", "module-remap-source"), f"source_name=mic{number} {master} {layout} {described}"
        )
        self.set_default_source(f"mic{number}")

    def play_in_background(self, wav: Path, sink: str = "speaker1") -> "subprocess.Popen[bytes]":
        return subprocess.Popen(["paplay", f"--device={sink}", str(wav)], env=self.environment())

    def suspend(self, source: str = "mic1", *, suspended: bool = True) -> None:
        self._run("pactl", "suspend-source", source, "1" if suspended else "0")

    def set_default_source(self, source: str) -> None:
        """Make it the default, once the server can: PipeWire's WirePlumber takes a moment to start."""
        eventually_blocking(lambda: self._succeeds("pactl", "set-default-source", source), what=f"{source} as default")

    def microphone(self, number: int, *properties: str) -> str:
        """Return arguments of the module that makes a microphone from a speaker's output."""
        described = " ".join([f"device.description='{DESCRIPTIONS[number]}'", *properties])
        return f'master=speaker{number}.monitor source_name=mic{number} source_properties="{described}"'

    def plug(self, number: int, *properties: str) -> None:
        """Plug in a microphone that was unplugged, optionally with more properties."""
        self._run("pactl", "load-module", "module-remap-source", self.microphone(number, *properties))

    def plug_twin(self) -> None:
        """Plug in `mic3`, the “Twin”, which records what `mic1` does."""
        self._run(
            "pactl",
            "load-module",
            "module-remap-source",
            self.microphone(1).replace("mic1", "mic3").replace("Blue Yeti", "Twin"),
        )

    def unplug(self, number: int) -> None:
        for line in self._run("pactl", "list", "short", "modules").splitlines():
            if f"source_name=mic{number} " in f"{line} ":
                self._run("pactl", "unload-module", line.split()[0])

    def move_stream(self, source: str) -> None:
        """Move the only stream that an ALSA program records, as a user does in a mixer.

        WirePlumber reverts a move made between a new stream's link and its own note that the stream follows the
        default.
        """
        sources = [line.split("\t") for line in self._run("pactl", "list", "short", "sources").splitlines()]
        target = next(int(fields[0]) for fields in sources if fields[1] == source)

        def moved() -> bool:
            streams = self.streams().items()
            ours = {index: heard for index, (application, heard) in streams if application == "org.coldvox.Daemon1"}
            for index in ours:
                self._run("pactl", "move-source-output", str(index), source)
            return set(ours.values()) == {target}

        eventually_blocking(moved, what=f"the daemon's stream at {source}")

    def streams(self) -> dict[int, tuple[str, int]]:
        """Return the application's ID, if any, and the source's index for each recording program."""
        listed = json.loads(self._run("pactl", "-f", "json", "list", "source-outputs"))
        return {
            stream["index"]: (stream["properties"].get("application.id", ""), stream["source"])
            for stream in listed
            if stream.get("client") not in {None, "n/a"}  # the microphones' own streams have none
            and stream["source"] != NOT_YET
        }

    def recorded_channels(self) -> list[int]:
        """Return the number of channels of each stream that the daemon records."""
        listed = json.loads(self._run("pactl", "-f", "json", "list", "source-outputs"))
        return [
            int(re.findall(r" (\d+)ch ", f" {stream['sample_specification']} ")[0])
            for stream in listed
            if stream["properties"].get("application.id") == "org.coldvox.Daemon1"
        ]

    def record_in_background(self) -> "subprocess.Popen[bytes]":
        """Start another program that records the default source."""
        return subprocess.Popen(["parecord", "--raw"], env=self.environment(), stdout=subprocess.DEVNULL)

    def mute(self, source: str = "mic1", *, muted: bool = True) -> None:
        self._run("pactl", "set-source-mute", source, "1" if muted else "0")

    def is_answering(self) -> bool:
        return (
            subprocess.run(["pactl", "info"], env=self.environment(), capture_output=True, check=False).returncode == 0
        )

    def _client_config(self) -> Path:
        config = self.directory / "client.conf"
        if not config.exists():
            config.write_text("autospawn = no\n")
        return config

    def _succeeds(self, *command: str) -> bool:
        return not subprocess.run(
            command, env=self.environment(), capture_output=True, timeout=60, check=False
        ).returncode

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise AssertionError(f"{command} failed: {done.stderr}\nserver's log:\n{self.log.read_text()[-4000:]}")
        return done.stdout

    def _spawn(self, *command: str, **extra: str) -> None:
        with self.log.open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    command, env=self.environment() | extra, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            )

    def _reap(self) -> None:
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def _await_socket(self) -> None:
        def listens() -> bool:
            with socket.socket(socket.AF_UNIX) as probe:
                return probe.connect_ex(str(self.socket)) == 0

        eventually_blocking(listens, what=f"the sound server's socket; its log: {self.log}")


class PulseServer(SoundServer):
    """PulseAudio with two null sinks, whose monitors are the microphones."""

    NULL_SINK = "format=s16le norewinds=1"

    def __init__(self, directory: Path, rate: int = 16_000) -> None:
        super().__init__(directory)
        self._rate = rate

    def start(self) -> None:
        self.directory.chmod(0o700)
        self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        modules = [f"module-native-protocol-unix socket={self.socket} auth-anonymous=1"]
        for number in (1, 2):
            # Without rewinds it works in steps of 50 ms, like a sound card, instead of 2 s.
            sink = f"sink_name=speaker{number} rate={self._rate} channels=1 format=s16le norewinds=1"
            modules.append(f"module-null-sink {sink}")
            modules.append(f"module-remap-source {self.microphone(number)}")
        self._spawn(
            *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disallow-exit=no"),
            *("--realtime=no", "--high-priority=no", "--disable-shm=yes", "--log-target=stderr", "--log-level=info"),
            *(f"--load={module}" for module in modules),
        )
        self._await_socket()
        eventually_blocking(self.is_answering, what="an answer from the sound server")
        self.set_default_source("mic1")


class PipeWireServer(SoundServer):
    """PipeWire, WirePlumber and pipewire-pulse on a separate bus, fixed at 16 kHz so that samples stay exact."""

    @staticmethod
    def is_installed() -> bool:
        return all(shutil.which(program) for program in PIPEWIRE_PROGRAMS)

    def environment(self) -> dict[str, str]:
        return super().environment() | {
            "PIPEWIRE_RUNTIME_DIR": str(self.directory),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.directory}/bus",
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.directory}/bus",
        }

    def microphone(self, number: int, *properties: str) -> str:
        mono = "rate=16000 channels=1 channel_map=mono master_channel_map=mono"
        return f"{super().microphone(number, *properties)} {mono}"

    def start(self) -> None:
        self.directory.chmod(0o700)
        for stale in ("bus", "pipewire-0", "pipewire-0-manager"):  # left by a killed server
            (self.directory / stale).unlink(missing_ok=True)
        self._spawn("dbus-daemon", "--session", "--nofork", f"--address=unix:path={self.directory}/bus")
        eventually_blocking((self.directory / "bus").exists, what="the sound server's own bus")
        self._spawn("pipewire")
        eventually_blocking((self.directory / "pipewire-0").exists, what="PipeWire's socket")
        for name, text in NO_HARDWARE.items():
            (self.directory / "config" / name).parent.mkdir(parents=True, exist_ok=True)
            (self.directory / "config" / name).write_text(text + "\n")
        self._spawn("wireplumber")
        self._spawn("pipewire-pulse")
        self._await_socket()
        eventually_blocking(self.is_answering, what="an answer from pipewire-pulse")
        self._run("pw-metadata", "-n", "settings", "0", "clock.force-rate", "16000")
        mono = ("rate=16000", "channels=1", "channel_map=mono")
        for number in (1, 2):
            self._run("pactl", "load-module", "module-null-sink", f"sink_name=speaker{number}", *mono)
            self.plug(number)
        self.set_default_source("mic1")


@contextlib.contextmanager
def running(kind: type[PulseServer | PipeWireServer] = PulseServer) -> Iterator[PulseServer | PipeWireServer]:
    """Run a private sound server; its directory is removed at the end."""
    # Not pytest's tmp_path: a socket's path is limited to 108 bytes.
    with tempfile.TemporaryDirectory(prefix="coldvox-sound-") as directory:
        server = kind(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.stop()
