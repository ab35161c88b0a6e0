"""The steps that affect the microphone and the sound server, and the daemon's required reports."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.support.faults.chaos.ledger import Obstacle
from tests.support.faults.chaos.plan import Source, Step
from tests.support.faults.chaos.stage import Stage

AWAY_S = 2.0
"""Seconds after which an obstacle before the microphone must be reported, with or without speech. After less, audio may
be late but complete: the daemon waits one second for a stream (STALLED_S of coldvoxd.capture.stream), and a server
catches up."""
RECOVERED_S = 90.0
"""Seconds allowed for recovery. The accelerator is tried again after 5, 10 and 20 s, each up to 20 % longer."""


class MicrophoneSteps:
    """`acts` by the names of steps. The daemon's errors are added to `faults`."""

    def __init__(self, stage: Stage, faults: list[str]) -> None:
        self.stage = stage
        self.faults = faults
        self.reported = 0
        """Obstacles that the daemon had to report, and did."""
        self.away: set[str] = set()
        """Active faults."""
        self._watched: Watched | None = None
        """The obstacle, while one of its faults is active."""
        self.acts: dict[str, Callable[[Step], Awaitable[None]]] = {
            "sound server gone": self._lose_server,
            "sound server back": self._mend,
            "sound server stopped": self._stop_server,
            "sound server continues": self._mend,
            "microphone unplugged": self._unplug,
            "microphone plugged in": self._mend,
            "microphone muted": self._mute,
            "microphone audible": self._mend,
            "microphone stalls": self._stall,
            "microphone overruns": self._stall,
        }

    async def watch(self, step: Step) -> "Watched":
        """Start recording the daemon's reports about an obstacle."""
        return await Watched.begin(self, step)

    async def _lose_server(self, step: Step) -> None:
        await self._take_away(step)
        await asyncio.to_thread(self.stage.sound.kill)

    async def _stop_server(self, step: Step) -> None:
        await self._take_away(step)
        self.stage.sound.freeze()

    async def _unplug(self, step: Step) -> None:
        await self._take_away(step)
        if self.stage.source is Source.SERVER:
            await asyncio.to_thread(self.stage.sound.unplug, 1)
        elif not await self.stage.tell("mic", "UNPLUG"):
            self.away.discard(step.name)  # there is no daemon, and so no virtual microphone
            await self._mended()

    async def _mute(self, step: Step) -> None:
        await self._take_away(step)
        await asyncio.to_thread(self.stage.sound.mute)

    async def _take_away(self, step: Step) -> None:
        if self._watched is None:
            self._watched = await self.watch(step)
        self.away.add(step.name)

    async def _mend(self, step: Step) -> None:
        sound = self.stage.sound
        match step.name:
            case "sound server back" if "sound server gone" in self.away:
                await asyncio.to_thread(sound.restart)
                self.away.clear()  # a new server has no state of the old one's microphones
            case "sound server continues":
                sound.thaw()
                self.away.discard("sound server stopped")
            case "microphone plugged in" if "microphone unplugged" in self.away:
                if self.stage.source is Source.SERVER:
                    await asyncio.to_thread(sound.plug, 1)
                else:
                    await self.stage.tell("mic", "PLUG")  # in a new process it is plugged in already
                self.away.discard("microphone unplugged")
            case "microphone audible" if "microphone muted" in self.away:
                if "microphone unplugged" not in self.away:
                    await asyncio.to_thread(lambda: sound.mute(muted=False))
                self.away.discard("microphone muted")
        await self._mended()

    async def mend_all(self) -> None:
        for name in ("sound server continues", "sound server back", "microphone plugged in", "microphone audible"):
            if self.away:
                await self._mend(Step(name, 0.0))

    async def _mended(self) -> None:
        """Check that the microphone is heard again if none of its faults is active."""
        if self.away or self._watched is None:
            return
        watched, self._watched = self._watched, None
        await watched.end(must_report=True)

    async def _stall(self, step: Step) -> None:
        """Stall the stream of the virtual microphone, or make it overflow."""
        if self._watched is not None:
            return
        watched = await self.watch(step)
        command = "STALL" if step.name == "microphone stalls" else "OVERRUN"
        done = await self.stage.tell("mic", f"{command} {round(step.lasts_s * 1000)}")
        await asyncio.sleep(step.lasts_s)
        await watched.end(must_report=done)


class Watched:
    """An obstacle before the microphone, with the daemon's reports about it."""

    def __init__(self, steps: MicrophoneSteps, obstacle: Obstacle) -> None:
        self._steps = steps
        self._obstacle = obstacle
        self._gaps: int | None = None
        self._exits = 0
        self._heard = False
        self._said_lost = False
        """The daemon said that no audio arrives."""
        self._stops: set[int] = set()
        """Sessions that a lost microphone had ended before."""
        self._pending: asyncio.Task[None] | None = None

    @classmethod
    async def begin(cls, steps: MicrophoneSteps, step: Step) -> "Watched":
        watched = cls(steps, steps.stage.ledger.open(step.name, now_s()))
        stage = steps.stage
        watched._exits, watched._gaps = len(stage.daemon.exits), await stage.gaps()
        watched._heard = await stage.hears()
        watched._stops = stage.stopped_by("microphone-lost")
        watched._pending = asyncio.create_task(watched._note_problems(), name="problems")
        return watched

    async def _note_problems(self) -> None:
        while True:
            problems = await self._steps.stage.problems() or ()
            if "microphone-muted" in problems:
                self._obstacle.reported.add("muted")
            self._said_lost = self._said_lost or any(code.startswith("microphone-") for code in problems)
            await asyncio.sleep(0.1)

    async def end(self, *, must_report: bool) -> None:
        """Wait until audio arrives again; then check that the loss was reported, unless there was no audio to lose."""
        steps, obstacle = self._steps, self._obstacle
        lasted_s = now_s() - obstacle.begun_s
        try:
            if not steps.away:  # otherwise the other obstacle covers this one, and is awaited
                await steps.stage.until(self._hears_or_failed, "audio from the microphone", RECOVERED_S)
                await self._until_counted()
        finally:
            assert self._pending is not None
            self._pending.cancel()
            obstacle.ended_s = now_s()
        if len(steps.stage.daemon.exits) > self._exits or self._gaps is None:
            obstacle.reported.add("restarted")
        if steps.stage.stopped_by("microphone-lost") - self._stops:
            obstacle.reported.add("session ended")
        if must_report and lasted_s > AWAY_S and self._heard:
            if obstacle.reported:
                steps.reported += 1
            elif not (
                self._said_lost and obstacle.step == "sound server stopped"
            ):  # it may deliver all of it afterwards
                steps.faults.append(f"“{obstacle.step}” lasted {lasted_s:.1f} s, and no gap was counted")

    async def _hears_or_failed(self) -> bool:
        return (
            self._steps.stage.settings_broken and self._steps.stage.daemon.failed
        ) or await self._steps.stage.hears()

    async def _until_counted(self) -> None:
        """Wait until a gap is counted: with the first audio after it, or a second later if the stream only skipped."""
        for _ in range(20):
            now = await self._steps.stage.gaps()
            if now is not None and self._gaps is not None and now > self._gaps:
                self._obstacle.reported.add("gap")
                return
            if self._obstacle.reported or len(self._steps.stage.daemon.exits) > self._exits:
                return
            await asyncio.sleep(0.1)


def now_s() -> float:
    return asyncio.get_running_loop().time()
