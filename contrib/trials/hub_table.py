#!/usr/bin/env python3
"""Fetches a model from a loopback hub that fails in every way, and prints what a user sees.

contrib/trials/hub_table.py           a Markdown table: fault, progress messages, outcome, bytes fetched twice
contrib/trials/hub_table.py --json    one JSON object per line for each fault

The hub is the tests' (tests/support/models/hub.py), the client is huggingface_hub, the files are those of the bundled
model (11.5 MB). The exit code is 1 if a fetch ended otherwise than expected.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.models.hub import (  # noqa: E402 - the checkout's own
    FP32,
    MODEL,
    Corrupt,
    Cut,
    LoopbackHub,
    Stall,
    Status,
    Whole,
    unreachable_address,
)

ENCODER = "encoder-model.onnx"
PATIENCE_S = 120


@dataclass(frozen=True)
class Case:
    fault: str
    prepare: Callable[[LoopbackHub], object]
    exit: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    kill_at: int = 0
    """Bytes of the encoder on disk at which the first fetch is killed with SIGKILL; a second fetch follows."""
    both: bool = False
    """A second fetch starts beside the first."""
    disk_mb: int = 0
    """Size of the cache's file system in MB; needs root."""


CASES = (
    Case("none", lambda _: None),
    Case("cut twice, after 3 and 2 MB", lambda hub: hub.spoil(ENCODER, Cut(3_000_000), Cut(2_000_000))),
    Case("stalls after 2 MB", lambda hub: hub.spoil(ENCODER, Stall(2_000_000))),
    Case("ignores the range after a cut", lambda hub: hub.spoil(ENCODER, Cut(3_000_000), Whole())),
    Case("kill -9 after 5 MB, fetched again", lambda hub: hub.spoil(ENCODER, Stall(5_000_000)), kill_at=4_700_000),
    Case("two fetches at once", lambda hub: hub.spoil(ENCODER, Stall(3_000_000)), both=True),
    Case("one byte differs, once", lambda hub: hub.spoil(ENCODER, Corrupt())),
    Case("one byte differs, always", lambda hub: hub.spoil(ENCODER, Corrupt(), Corrupt()), exit=1),
    Case("429 with Retry-After: 3", lambda hub: hub.answer("*", Status(429, {"Retry-After": "3"}))),
    Case("429 in the middle", lambda hub: hub.answer(f"GET {ENCODER}", Status(429, {"Retry-After": "2"}))),
    Case("429 with Retry-After: 7200", lambda hub: hub.answer("*", Status(429, {"Retry-After": "7200"})), exit=8),
    Case("503 twice", lambda hub: hub.answer("*", Status(503), Status(503))),
    Case("401", lambda hub: hub.answer("*", Status(401)), exit=1),
    Case("404", lambda hub: hub.answer("*", Status(404, {"X-Error-Code": "EntryNotFound"})), exit=1),
    Case("no hub listens", lambda _: None, exit=8, environment={"HF_ENDPOINT": unreachable_address()}),
    Case("disk of 40 MB", lambda _: None, exit=1, disk_mb=40),
    Case("another revision", lambda hub: setattr(hub, "revision", "f" * 40), exit=1),
)


@dataclass(frozen=True)
class Outcome:
    fault: str
    seen: str
    """Messages about waits during the fetch."""
    outcome: str
    exit: int
    seconds: float
    fetched_twice: int
    """Bytes of content that the hub sent beyond one copy of each file, -1 if the model never arrived."""
    right: bool


def run(case: Case) -> Outcome:
    """Run one fault in a separate home directory."""
    with (
        LoopbackHub() as hub,
        tempfile.TemporaryDirectory(prefix="coldvoxd-hub-") as place,
        small_disk(Path(place) / "cache", case.disk_mb),
    ):
        home = Path(place)
        environment = hub.environment(home) | case.environment
        case.prepare(hub)
        begun_s = time.monotonic()
        if case.kill_at or case.both:
            first = begin(environment | {"HF_HUB_DOWNLOAD_TIMEOUT": "60"})
            wait_for_bytes(home, case.kill_at or 2_500_000)
            if case.kill_at:
                first.send_signal(signal.SIGKILL)
                first.communicate()
            second = begin(environment)
            if case.both:
                read_until_waiting(second)
                hub.release()
                first.communicate(timeout=PATIENCE_S)
        else:
            second = begin(environment, "--tries", "3")
        out, err = second.communicate(timeout=PATIENCE_S)
        code = second.returncode
        seconds = time.monotonic() - begun_s
        directory = home / "cache/coldvoxd/models" / MODEL
        whole = all(
            (directory / name).is_file() and (directory / name).read_bytes() == hub.files[name] for name in FP32
        )
        events = [json.loads(line) for line in out.splitlines()]
        waited = list(dict.fromkeys(event["message"] for event in events if event.get("state") == "waiting"))
        if case.both:
            waited = ["another coldvoxctl is downloading this model"]
        outcome = "the model is there" if code == 0 else str(json.loads(err)["message"])
        return Outcome(
            fault=case.fault,
            seen=plain("; then: ".join(waited), hub.address),
            outcome=plain(outcome, hub.address),
            exit=code,
            seconds=round(seconds, 1),
            fetched_twice=hub.sent_twice() if whole else -1,
            right=code == case.exit and whole == (code == 0),
        )


@contextlib.contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[None]:
    """Mount a file system of that size; 0 mounts none."""
    if not megabytes:
        yield
        return
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


def begin(environment: dict[str, str], *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "coldvoxd.cli.main", "--json", "model", "pull", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_bytes(home: Path, size: int) -> None:
    """Wait until this many bytes of the encoder are on disk."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        parts = home.glob(f"cache/coldvoxd/models/.*.partial/{ENCODER}.part")
        if any(part.stat().st_size >= size for part in parts):
            return
        time.sleep(0.02)
    raise SystemExit("the fetch doesn't come to the encoder")


def read_until_waiting(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("state") == "waiting":
            return


def plain(text: str, address: str) -> str:
    """Fit the text into one table row, without the loopback address."""
    return " ".join(text.replace(address, "HUB").split()).replace("|", "/")


def main() -> int:
    """Run every fault; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    as_json = parser.parse_args().json
    if not as_json:
        print(
            "| fault | seen on the way | outcome | exit code | seconds | bytes fetched twice |\n|---|---|---|---|---|---|"
        )
    right = True
    for case in CASES:
        if case.disk_mb and os.geteuid() != 0:
            print(f"left out, needs root: {case.fault}", file=sys.stderr)
            continue
        outcome = run(case)
        right &= outcome.right
        if as_json:
            print(json.dumps({name: getattr(outcome, name) for name in outcome.__dataclass_fields__}), flush=True)
            continue
        twice = str(outcome.fetched_twice) if outcome.fetched_twice >= 0 else "the model never came"
        wrong = "" if outcome.right else " **not as it should be**"
        print(
            f"| {outcome.fault} | {outcome.seen or '-'} | {outcome.outcome}{wrong} | {outcome.exit} "
            f"| {outcome.seconds} | {twice} |",
            flush=True,
        )
    return int(not right)


if __name__ == "__main__":
    raise SystemExit(main())
