"""Plays sample recordings to the real daemon on a private bus and sound server, and shows its texts (see demo.sh)."""

import argparse
import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.virtual.client import command  # noqa: E402 - the checkout's own
from tests.support import vulkan  # noqa: E402
from tests.support.sound.servers import PipeWireServer, PulseServer, SoundServer  # noqa: E402

BIN = Path(sys.executable).parent
MINI = ROOT / "coldvoxd/data/mini"
PATIENCE_S = 30.0
"""Seconds for a start, or for the text of a spoken sentence."""
SETTLE_S = 1.5
"""Seconds to wait for another text: a sentence with a pause in it gives two texts."""
SENTENCES = 6
WEBGPU = "WebGpuExecutionProvider"
WARM = "is warmed up for every length"
"""In the daemon's log when nothing but sentences occupies the accelerator any more."""
WARM_S = 300.0
"""Seconds for that: on a software driver a dozen, and more at the first time, when it compiles its shaders."""

OWN_MICROPHONE = """
To try your own microphone with the bundled model (it knows 173 words, see coldvoxd/data/mini/MODEL_CARD.md), in two terminals:
    COLDVOXD_MODEL_NAME=mini {bin}/coldvoxd
    {bin}/coldvoxctl listen --start
For real dictation see "Install" in README.md.
"""

SOFTWARE_VULKAN = """
The texts came from a real GPU provider on a Vulkan driver without a GPU. Its times are no measure of a GPU.
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """A recording of the bundled model's manifest."""

    file: Path
    said: str
    reference: str
    """The reference recognizer's text of the recording with the same weights."""

    def is_heard_in(self, text: str) -> bool:
        """Return whether the words equal the transcript or the reference's text, ignoring case and punctuation."""
        return _words(text) in (_words(self.said), _words(self.reference))


@dataclass(frozen=True, slots=True)
class Result:
    said: str
    heard: str
    latency_s: float | None
    provider: str
    right: bool


def main() -> int:
    arguments = _arguments()
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a script's background jobs start with SIGINT ignored
        signal.signal(number, _interrupted)
    results: list[Result] = []
    try:
        with contextlib.ExitStack() as stack:
            demo = Demo(stack, arguments.sound, quiet=arguments.json, on_vulkan=arguments.vulkan)
            for sample in samples()[: None if arguments.all else SENTENCES]:
                result = demo.speak(sample)
                results.append(result)
                if arguments.json:
                    fields = {name: getattr(result, name) for name in ("said", "heard", "latency_s", "provider")}
                    print(json.dumps(fields, ensure_ascii=False), flush=True)
            demo.finish()
    except KeyboardInterrupt:
        print("\ninterrupted; everything that was started has been stopped", file=sys.stderr)
        return 130
    except (DemoFailedError, AssertionError) as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1
    if not arguments.json:
        print(table(results))
        print(SOFTWARE_VULKAN if arguments.vulkan else OWN_MICROPHONE.format(bin=os.path.relpath(BIN)))
    if arguments.vulkan and all(result.provider != WEBGPU for result in results):
        print(f"demo: no text came from {WEBGPU}", file=sys.stderr)
        return 1
    return 0 if results and all(result.right for result in results) else 1


class DemoFailedError(Exception):
    """The demo can't continue; the message gives the reason."""


class Demo:
    """A daemon with its environment; all processes end with the stack."""

    def __init__(self, stack: contextlib.ExitStack, sound: str, *, quiet: bool, on_vulkan: bool) -> None:
        self._stack = stack
        self._quiet = quiet
        self._on_vulkan = on_vulkan
        # Not below a long path: a socket's path is limited to 108 bytes.
        self._runtime = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coldvoxd-demo-")))
        self._sound = self._start_sound(sound)
        self._environment = self._sound.environment() if self._sound else _private_environment(self._runtime)
        self._socket = self._runtime / "microphone"
        self._start_bus()
        self._start_daemon()
        ctl = str(BIN / "coldvoxctl")
        self._listener = self._start("listener", ctl, "--json", "listen", "--start", stdout=subprocess.PIPE)
        assert self._listener.stdout is not None
        self._signals = Lines(self._listener.stdout)
        self._wait_for("started")

    def speak(self, sample: Sample) -> Result:
        """Play a recording into the microphone and collect the texts."""
        self._say(f'speaking: "{sample.said}"')
        if self._sound:
            self._sound.play(sample.file)
        else:
            command(self._socket, f"SPEAK {sample.file}", timeout_s=PATIENCE_S)
        texts: list[dict[str, Any]] = []
        deadline_s = time.monotonic() + PATIENCE_S
        while (left_s := deadline_s - time.monotonic()) > 0:
            event = self._next_event(left_s)
            if event is None:
                break
            if event["event"] == "transcribed":
                texts.append(event)
                if sample.is_heard_in(_joined(texts)):
                    break
                deadline_s = time.monotonic() + SETTLE_S
        return Result(
            said=sample.said,
            heard=_joined(texts),
            latency_s=round(max(text["latency"] for text in texts), 3) if texts else None,
            provider=texts[-1]["provider"] if texts else "",
            right=sample.is_heard_in(_joined(texts)),
        )

    def finish(self) -> None:
        """Stop the session."""
        self._listener.send_signal(signal.SIGINT)  # as with Ctrl-C
        self._wait_for("stopped")

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr if self._quiet else sys.stdout, flush=True)

    def _start_sound(self, sound: str) -> SoundServer | None:
        if sound == "none":
            self._say("sound: the daemon's own virtual microphone; no sound server takes part")
            return None
        directory = self._runtime / "sound"
        directory.mkdir()
        server = PulseServer(directory) if sound == "pulseaudio" else PipeWireServer(directory)
        self._stack.callback(server.stop)
        server.start()
        self._say(f"sound: a private {'PulseAudio' if sound == 'pulseaudio' else 'PipeWire'} with a virtual microphone")
        return server

    def _start_bus(self) -> None:
        address = f"unix:path={self._runtime}/bus"
        self._start("dbus-daemon", "dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={address}")
        self._environment["DBUS_SESSION_BUS_ADDRESS"] = address
        _until((self._runtime / "bus").exists, "the private bus")

    def _start_daemon(self) -> None:
        self._environment["COLDVOXD_MODEL_NAME"] = "mini"
        if self._sound is None:
            self._environment["COLDVOXD_MICROPHONE_DEVICE"] = f"virtual:{self._socket}"
        if self._on_vulkan:
            self._environment |= vulkan.variables(vulkan.LAVAPIPE) | vulkan.MODEST
            self._environment["COLDVOXD_MODEL_PROVIDER"] = "webgpu"
        program = [str(vulkan.PYTHON), "-m", "coldvoxd"] if self._on_vulkan else [str(BIN / "coldvoxd")]
        daemon = self._start("coldvoxd", *program)
        status: dict[str, Any] = {}

        def is_ready() -> bool:
            if daemon.poll() is not None:
                raise DemoFailedError(f"the daemon ended with {daemon.returncode}:\n{self._log('coldvoxd')}")
            asked = self._run("coldvoxctl", "--json", "status")
            status.update(json.loads(asked.stdout) if asked.returncode == 0 else {})
            return status.get("state") == "idle"

        try:
            _until(is_ready, "the daemon")
            if self._on_vulkan:
                _until(lambda: WARM in self._log("coldvoxd"), "the provider webgpu", WARM_S)
                is_ready()
        except DemoFailedError as failure:
            raise DemoFailedError(f"{failure}\nits state: {status}\nits log:\n{self._log('coldvoxd')}") from failure
        self._say(f"coldvoxd {status['version']}: model {status['model']} ({status['precision']}), ready")
        if self._on_vulkan:
            self._say(f"provider: {status['execution_provider']} on {status['provider_device']}, no measure of a GPU")

    def _wait_for(self, name: str) -> None:
        while True:
            event = self._next_event(PATIENCE_S)
            if event is None:
                raise DemoFailedError(
                    f"no signal says that the session {name}:\n{self._log('listener')}\n{self._log('coldvoxd')}"
                )
            if event["event"] == name:
                return

    def _next_event(self, patience_s: float) -> dict[str, Any] | None:
        line = self._signals.next(patience_s)
        if line is None:
            return None
        event: dict[str, Any] = json.loads(line)
        details = "  ".join(f"{name}={_short(value)}" for name, value in event.items() if name != "event")
        self._say(f"    signal {event['event']:<13} {details}")
        return event

    def _run(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        argv = [str(BIN / program), *arguments]
        return subprocess.run(argv, env=self._environment, capture_output=True, text=True, timeout=60, check=False)

    def _start(self, name: str, *argv: str, stdout: int | None = None) -> "subprocess.Popen[str]":
        """Start a process that ends with the demo, even if the demo is killed."""
        log = self._stack.enter_context((self._runtime / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=TERM", *argv],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=log if stdout is None else stdout,
            stderr=log,
            start_new_session=True,  # Ctrl-C goes to the demo only, which then stops the processes in order
            text=True,
        )
        self._stack.callback(_stop, process)
        return process

    def _log(self, name: str) -> str:
        return (self._runtime / f"{name}.log").read_text(errors="replace")[-4000:]


class Lines:
    """Reads lines of a pipe with a timeout."""

    def __init__(self, pipe: "IO[str]") -> None:
        self._descriptor = pipe.fileno()
        self._pipe = pipe
        self._read = b""

    def next(self, patience_s: float) -> str | None:
        """Return the next line, None if none arrives within `patience_s` seconds or the other end is closed."""
        deadline_s = time.monotonic() + patience_s
        while b"\n" not in self._read:
            ready, _, _ = select.select([self._descriptor], [], [], max(0.0, deadline_s - time.monotonic()))
            more = os.read(self._descriptor, 65536) if ready else b""
            if not more:
                return None
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()


def samples() -> list[Sample]:
    """Return the recordings that ship beside the model, in the manifest's order."""
    manifest = json.loads((MINI / "manifest.json").read_text("utf-8"))
    return [Sample(MINI / entry["file"], entry["said"], entry["heard"]["fp32"]) for entry in manifest["samples"]]


def table(results: list[Result]) -> str:
    """Return a table of said, heard, latency and provider, one row per sentence."""
    rows = [("", "said", "heard", "latency", "provider")]
    for result in results:
        latency = "" if result.latency_s is None else f"{result.latency_s * 1000:.0f} ms"
        rows.append(("ok" if result.right else "NOT HEARD", result.said, result.heard, latency, result.provider))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    heard = sum(result.right for result in results)
    return "\n".join(["", *lines, "", f"{heard} of {len(results)} sentences were heard."])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sound", choices=("pulseaudio", "pipewire", "none"), default="pulseaudio")
    parser.add_argument("--virtual", action="store_const", const="none", dest="sound")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--vulkan", action="store_true")
    return parser.parse_args()


def _private_environment(runtime: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("COLDVOXD_", "DBUS_", "NOTIFY_"))}
    return kept | {"XDG_RUNTIME_DIR": str(runtime), "XDG_CONFIG_HOME": str(runtime / "config"), "HOME": str(runtime)}


def _short(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else repr(value)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower())


def _joined(texts: list[dict[str, Any]]) -> str:
    return " ".join(text["text"] for text in texts)


def _until(probe: Any, what: str, patience_s: float = PATIENCE_S) -> None:
    deadline_s = time.monotonic() + patience_s
    while not probe():
        if time.monotonic() > deadline_s:
            raise DemoFailedError(f"{what} did not come up within {patience_s:g} s")
        time.sleep(0.05)


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(8)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def _interrupted(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
