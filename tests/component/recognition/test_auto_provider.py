"""`auto` uses an accelerator only if it is faster than the CPU, and remembers the result.

The accelerators are real ONNX Runtime sessions of `mini` on the CPU, made slower, or beside a CPU made slower, by commands.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from coldvoxd.core.errors import ProviderUnavailable
from coldvoxd.core.failover_state import Phase
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.provider_trial import MOST_ATTEMPTS, VALID_S, Trial
from coldvoxd.core.values import EndReason, EngineStatus, Utterance
from coldvoxd.models.provider_trials import read_trial, stored_trials, trial_path, write_trial
from coldvoxd.recognition.auto_trial import AutoTrial, NotChosen
from coldvoxd.recognition.backends import AutoChoice, Backends, Golden
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.virtual.accelerator import PROVIDER, VirtualAccelerator
from tests.support.eventually import eventually
from tests.support.failover_stage import CPU, open_mini
from tests.support.sound.speech import samples

SLOWER = "HANG 1200 99"
FASTER = "CPU HANG 1200 99"
NOW_S = 1_000_000_000.0


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/coldvoxd/accelerator/trials"


@dataclass
class Candidate:
    """A virtual accelerator that `auto` tries."""

    name: str
    device: VirtualAccelerator
    now_s: float = NOW_S

    def trial(self, min_speedup: float) -> AutoTrial:
        place = ("a device", trial_path(self.name, "mini"))
        return AutoTrial(self.name, min_speedup, lambda: place, clock=lambda: self.now_s)

    @property
    def stored(self) -> Trial | None:
        return read_trial(trial_path(self.name, "mini"), self.now_s)

    @property
    def opened(self) -> int:
        return self.device._opened


def candidate(tmp_path: Path, name: str, *commands: str) -> Candidate:
    socket = tmp_path / name
    socket.with_name(f"{name}.script").write_text("".join(f"{line}\n" for line in commands))
    return Candidate(name, VirtualAccelerator(socket, open_mini))


@asynccontextmanager
async def auto(*candidates: Candidate, min_speedup: float = 1.1) -> AsyncIterator[Supervisor]:
    """A loaded supervisor whose `auto` tries these in order; the first one's stand-in is the CPU's too."""
    backends: Backends | None = None
    for each in reversed(candidates):
        trial = each.trial(min_speedup)
        backends = Backends(
            candidates[0].device.open_on_cpu,
            partial(trial.opened, each.device.open),
            each.name,
            Golden(samples()[2].wave()),
            device=lambda: "a device",
            auto=AutoChoice(trial, backends),
        )
    assert backends is not None
    supervisor = Supervisor(backends, EngineStatus())
    try:
        await supervisor.load()
        yield supervisor
    finally:
        supervisor.close()
        for each in candidates:
            each.device.close()


async def settled(supervisor: Supervisor) -> EngineStatus:
    done = {Phase.ON_ACCELERATOR, Phase.CPU_ONLY}
    await eventually(lambda: supervisor.state.failover.phase in done, patience_s=60, what="a choice")
    return supervisor.state.engine


async def test_a_faster_accelerator_is_used_and_that_is_said(tmp_path: Path) -> None:
    fast = candidate(tmp_path, "fast", FASTER)
    async with auto(fast) as supervisor:
        engine = await settled(supervisor)
        assert (engine.provider, engine.choice.device, engine.degraded) == (PROVIDER, "a device", "")
        assert engine.choice.note.startswith("auto uses fast on a device: it took")
    assert fast.stored is not None
    assert fast.stored.speedup > 1.1


async def test_a_slower_one_is_not_used_and_that_is_no_problem(tmp_path: Path) -> None:
    slow = candidate(tmp_path, "slow", SLOWER)
    async with auto(slow) as supervisor:
        engine = await settled(supervisor)
        assert (engine.provider, engine.choice.device, engine.degraded, engine.problems) == (CPU, "", "", ())
        assert engine.choice.note.startswith("auto uses the CPU: slow on a device took")
        assert supervisor.state.accelerator_name == ""
        sample = samples()[0]
        heard = await supervisor.recognize(Utterance(1, 1, 0, sample.wave(), EndReason.ENDPOINT))
        assert (heard.text, heard.provider) == (sample.heard["fp32"], CPU)


async def test_the_next_start_knows_it_and_does_not_load_it(tmp_path: Path) -> None:
    known = candidate(tmp_path, "known")
    write_trial(trial_path("known", "mini"), Trial("known", "a device", NOW_S, accelerator_s=2.0, cpu_s=1.0))
    async with auto(known) as supervisor:
        engine = await settled(supervisor)
        assert engine.provider == CPU
        assert "took 2.000 s, the CPU 1.000 s" in engine.choice.note
    assert known.opened == 0


async def test_after_a_week_it_is_tried_again(tmp_path: Path) -> None:
    old = candidate(tmp_path, "old", FASTER)
    old.now_s = NOW_S + VALID_S + 1
    write_trial(trial_path("old", "mini"), Trial("old", "a device", NOW_S, accelerator_s=2.0, cpu_s=1.0))
    async with auto(old) as supervisor:
        assert (await settled(supervisor)).provider == PROVIDER


async def test_without_a_minimum_anything_that_works_is_used(tmp_path: Path) -> None:
    slow = candidate(tmp_path, "slow", "HANG 300 2 encoder")
    async with auto(slow, min_speedup=0.0) as supervisor:
        engine = await settled(supervisor)
        assert (engine.provider, engine.choice.note) == (PROVIDER, "")
    assert slow.stored is None


@pytest.mark.parametrize("before", [("REFUSE absent",), ("PASS 1", "FAULT wrong")])
async def test_where_one_cannot_be_used_the_next_is_tried(tmp_path: Path, before: tuple[str, ...]) -> None:
    broken = candidate(tmp_path, "broken", *before, FASTER)
    works = candidate(tmp_path, "works")
    async with auto(broken, works) as supervisor:
        engine = await settled(supervisor)
        assert (engine.provider, supervisor.state.accelerator_name) == (PROVIDER, "works")
        assert engine.choice.note.startswith("auto uses works")
    assert broken.stored is None, "it was no crash"


async def test_the_last_one_that_fails_is_a_problem(tmp_path: Path) -> None:
    slow, absent = candidate(tmp_path, "slow", SLOWER), candidate(tmp_path, "absent", "REFUSE absent")
    async with auto(slow, absent) as supervisor:
        await eventually(lambda: supervisor.state.engine.degraded == "no-gpu", patience_s=60)
        assert supervisor.state.engine.choice.note.startswith("auto uses the CPU: slow")


def opened(result: Recognizer | Exception) -> Callable[[], Recognizer]:
    def open_recognizer() -> Recognizer:
        if isinstance(result, Exception):
            raise result
        return result

    return open_recognizer


def test_a_driver_that_ends_the_process_is_left_alone_after_two_attempts(tmp_path: Path) -> None:
    """The process ends between the begin of a trial and its result: here each trial object is simply dropped."""
    crashing = candidate(tmp_path, "crashing")
    for attempt in range(1, MOST_ATTEMPTS + 1):
        crashing.trial(1.1).opened(crashing.device.open).close()
        assert crashing.stored is not None
        assert crashing.stored.attempts == attempt
    with pytest.raises(NotChosen, match="the process ended 2 times while it tried crashing"):
        crashing.trial(1.1).opened(crashing.device.open)
    crashing.device.close()


def test_a_trial_that_fails_in_a_process_that_continues_is_forgotten(tmp_path: Path) -> None:
    refused = candidate(tmp_path, "refused")
    with pytest.raises(ProviderUnavailable):
        refused.trial(1.1).opened(opened(ProviderUnavailable("no driver")))
    assert refused.stored is None
    refused.device.close()


def test_trials_that_no_longer_count_are_deleted(cache: Path) -> None:
    old, new = (Trial(name, "", NOW_S, accelerator_s=1.0, cpu_s=1.0) for name in ("old", "new"))
    write_trial(trial_path("old"), old)
    (cache / "broken.json").write_text("{")
    later = replace(new, taken_s=NOW_S + VALID_S + 1)
    write_trial(trial_path("new"), later)
    assert [trial.provider for trial in stored_trials(later.taken_s)] == ["new"]
    assert [json.loads(path.read_text())["provider"] for path in cache.glob("*.json")] == ["new"]


def test_without_a_cache_each_start_tries_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert trial_path("any") is None
    assert read_trial(None, NOW_S) is None
    write_trial(None, Trial("any", "", NOW_S))
    assert list(stored_trials(NOW_S)) == []
