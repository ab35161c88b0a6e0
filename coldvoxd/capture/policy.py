"""The microphone's keeper: decides when it is open and which one it is."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from coldvoxd.capture.stream import CaptureCondition, CaptureStream
from coldvoxd.core import channels
from coldvoxd.core.errors import UnknownDevice, shown
from coldvoxd.core.microphone_rules import DEFAULT, Policy, SoundView, Source, find, policy_in_force
from coldvoxd.core.problems import Problem
from coldvoxd.core.settings import MicrophoneSettings

log = logging.getLogger(__name__)

FIRST_LOOK_S = 1.0
"""The sound server has so long to show itself before the microphone is opened; longer, it is taken as absent."""
MOVE_S = 0.4
"""A server that moves our stream along with the desktop's default has so long for it; then it is opened anew."""
LOCKED = "The microphone is closed while the screen is locked ([microphone] release_on_lock)."
ASLEEP = "The microphone is closed while the machine sleeps."


class Selectable(Protocol):
    """What the keeper needs of a microphone on a sound server or on bare ALSA."""

    wanted: str
    """What the next opening opens."""
    bare: tuple[str, ...]
    """PortAudio's names, where the last search found no server."""


class MicrophonePolicy:
    """Implements MicrophoneControl. Event loop only.

    `on_rest` is told that the microphone is closed by policy, with the reason why it can't be opened for a session, empty
    where it can. `on_change` is told that something of the MicrophoneControl may have changed. `device` is None for a
    microphone that can't be chosen among others.
    """

    def __init__(
        self,
        settings: MicrophoneSettings,
        capture: CaptureStream,
        device: Selectable | None,
        on_rest: Callable[[str], None],
        on_change: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._capture = capture
        self._device = device
        self._on_rest = on_rest
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._chosen = settings.device
        self._view: SoundView | None = None
        self._known: Source | None = None
        """The source that was chosen, as it was last seen."""
        self._moved_to = ""
        """The source to which a person moved our stream in a mixer, until something else is chosen."""
        self._pursued = ""
        """The source for which the stream was opened anew, until it is heard."""
        self._misfit = False
        """The stream was moved to a source of other channels, and is opened anew once no session hears."""
        self._started = self._hearing = self._locked = self._asleep = self._told_muted = False
        self._lingers_since_s: float | None = None
        """Loop time at which the last session ended, while the microphone stays open after it."""
        self._linger_timer: asyncio.TimerHandle | None = None
        self._recheck: asyncio.TimerHandle | None = None
        self._releasing: set[asyncio.Task[None]] = set()

    @property
    def device(self) -> str:
        if self._device is None:
            return self._chosen
        if self._view is None:
            return self._capture.state.microphone or ("" if self._chosen == DEFAULT else self._chosen)
        source = self._source
        if source is not None:
            return source.description
        return "" if self._chosen == DEFAULT else self._chosen

    @property
    def selection(self) -> str:
        return self._chosen

    @property
    def devices(self) -> tuple[tuple[str, str], ...]:
        if self._device is None:
            return ((self._chosen, self._chosen),)
        if self._view is None:
            return tuple((name, name) for name in self._device.bare)
        return tuple((source.name, source.description) for source in self._view.microphones)

    @property
    def device_open(self) -> bool:
        return self._capture.device_open

    @property
    def policy(self) -> Policy:
        # While the server is away its last word counts: a headset is not to be opened in the moment of its return.
        return policy_in_force(
            Policy(self._settings.policy), self._known, bluetooth_always=self._settings.bluetooth_always
        )

    @property
    def muted(self) -> bool:
        source = self._source
        return source is not None and (source.muted or (self._view is not None and self._view.stream_muted))

    @property
    def problem(self) -> str:
        match self._capture.state.condition:
            case CaptureCondition.LOST:
                return self._capture.state.reason
            case CaptureCondition.CLOSED if not self._asleep:
                return self._obstacle()
        return ""

    @property
    def channel_problem(self) -> str:
        if self._capture.state.condition is not CaptureCondition.OPEN:
            return ""
        missing = channels.parse(self._settings.channel).missing_in(self._capture.channels)
        return f"The microphone “{self.device}” {missing}. Until then, auto is used." if missing else ""

    def use_settings(self, settings: MicrophoneSettings) -> None:
        """Put them in force now. Another device is waited for where it isn't there, as at a start."""
        before, self._settings = self._settings, settings
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger()
        if settings.device != before.device:
            self._choose(settings.device)
        else:
            self._apply()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Implements ProblemSource."""
        lost = (Problem.MICROPHONE_LOST,) if self.problem else ()
        muted = (Problem.MICROPHONE_MUTED,) if self.muted else ()
        return *lost, *muted, *((Problem.MICROPHONE_CHANNEL,) if self.channel_problem else ())

    def select(self, name: str) -> None:
        self._choose(self._named(name))

    def resume(self, selection: str) -> None:
        """Before `start`: the choice of the process whose place this one has taken."""
        self._chosen = selection
        if self._device is not None:
            self._device.wanted = selection

    def start(self, *, awaiting_view: bool) -> None:
        """Begin to keep the policy: with the first view of the sound server, where one is to come."""
        if awaiting_view:
            self._loop.call_later(FIRST_LOOK_S, self._begin)
        else:
            self._begin()

    def on_view(self, view: SoundView | None) -> None:
        """What the sound server shows has changed; None where there is none."""
        missed = self._target is None
        before, self._view = self._view, view
        self._known = self._target or self._known
        if view is not None:
            self._note_move(before or SoundView(), view)
            self._note_channels(before or SoundView(), view)
            if missed and self._target is not None and self._capture.state.condition is CaptureCondition.LOST:
                self._capture.renew()
        self._begin()
        self._follow()
        muted, self._told_muted = self._told_muted, self.muted
        if self.muted and not muted:
            log.warning("the microphone “%s” is muted", self.device)

    def on_hearing(self, hearing: bool) -> None:
        """A session needs the microphone from now on, or no more."""
        if hearing == self._hearing:
            return
        self._hearing = hearing
        self._stop_lingering()
        if hearing:
            if self.muted:
                log.warning("the microphone “%s” is muted", self.device)
            self._apply()
            return
        if self.policy is Policy.IDLE_RELEASE:
            self._lingers_since_s = self._loop.time()
            self._linger()
        self._loop.call_soon(self._apply)  # not in the midst of the session's end
        self._fit()

    def on_lock(self, locked: bool) -> None:
        """The screen was locked or unlocked, and the microphone is to be released meanwhile."""
        if locked != self._locked:
            self._locked = locked
            self._apply()

    def on_sleep(self, asleep: bool) -> None:
        """The machine is about to sleep, or woke up."""
        if asleep != self._asleep:
            self._asleep = asleep
            self._apply()

    async def released(self) -> None:
        """Return once all that was to be closed is closed, or was left to its lane."""
        while self._releasing:
            await asyncio.wait(self._releasing)

    # Inside.

    @property
    def _target(self) -> Source | None:
        """The source that was chosen, where the server has it."""
        if self._view is None:
            return None
        try:
            return find(self._view, self._chosen)
        except UnknownDevice:
            return None

    @property
    def _source(self) -> Source | None:
        """The source that is heard, or the one that would be: a view may still show a stream that was closed since."""
        is_open = self._view is not None and self._capture.device_open
        heard = self._view.source(self._view.heard) if self._view is not None and is_open else None
        return heard or self._target

    def _named(self, name: str) -> str:
        """What is meant by a name; raises UnknownDevice."""
        if name == DEFAULT and self._device is not None:
            return name
        if self._view is not None and self._device is not None:
            return find(self._view, name).name
        listed = [known for known, _ in self.devices]
        for known in listed:
            if name and name.casefold() in known.casefold():
                return known
        raise UnknownDevice(f"There is no microphone “{shown(name)}”. Available: {', '.join(listed) or 'none'}.")

    def _choose(self, name: str) -> None:
        self._chosen = name
        self._known, self._moved_to, self._pursued = self._target, "", ""
        log.info("microphone selected: %s", self._chosen)
        if self._device is not None:
            self._device.wanted = self._chosen
            self._capture.renew()
        self._apply()

    def _begin(self) -> None:
        self._started = True
        self._apply()

    def _apply(self) -> None:
        """Open or close, as the policy wants it now."""
        if not self._started:
            return
        if self._is_shut or not self._is_wanted():
            self._rest()
        else:
            self._capture.start()
        self._on_change()

    @property
    def _is_shut(self) -> bool:
        """Whatever the policy wants."""
        return self._locked or self._asleep

    def _is_wanted(self) -> bool:
        match self.policy:
            case Policy.ALWAYS:
                return True
            case Policy.ON_DEMAND:
                return self._hearing
            case Policy.IDLE_RELEASE:
                return self._hearing or self._lingers_since_s is not None

    def _rest(self) -> None:
        task = self._loop.create_task(self._release(), name="release of the microphone")
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)
        self._on_rest(self._obstacle())

    async def _release(self) -> None:
        if self._is_shut or not self._is_wanted():  # still
            await self._capture.release()

    def _obstacle(self) -> str:
        """Why the microphone could not be opened for a session, as far as can be seen without trying."""
        if self._asleep:
            return ASLEEP
        if self._locked:
            return LOCKED
        if self._view is not None:
            try:
                find(self._view, self._chosen)
            except UnknownDevice as fault:
                return str(fault)
        return ""

    def _linger(self) -> None:
        """Release the microphone `idle_release_s` after the last session."""
        assert self._lingers_since_s is not None  # noqa: S101 - set by both callers
        self._linger_timer = self._loop.call_at(self._lingers_since_s + self._settings.idle_release_s, self._lingered)

    def _lingered(self) -> None:
        self._stop_lingering()
        self._apply()

    def _stop_lingering(self) -> None:
        self._lingers_since_s = None
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None

    def _note_move(self, before: SoundView, now: SoundView) -> None:
        """Where nothing else explains it, a person has moved our stream in a mixer: that is a choice, and is kept."""
        if not now.heard or now.default != before.default:
            self._moved_to = ""
        elif before.heard and now.heard != before.heard and now.source(before.heard) is not None:
            self._moved_to = now.heard
            log.info("the capture stream was moved to the microphone “%s”", self.device)

    def _note_channels(self, before: SoundView, now: SoundView) -> None:
        """A server that moves our stream remixes its channels: only a new stream has the source's own.

        Not where a person has moved it: a new stream would be where the settings want it.
        """
        was, heard = before.source(before.heard), now.source(now.heard)
        if now.heard == self._moved_to:
            self._misfit = False
        elif was is not None and heard is not None and was.positions != heard.positions:
            self._misfit = True
            self._fit()

    def _fit(self) -> None:
        if self._misfit and not self._hearing:
            self._misfit = False
            log.info("the channels of the microphone “%s” have changed: reopening it", self.device)
            self._capture.renew()

    def _follow(self) -> None:
        """See that our stream hears what was chosen."""
        if self._recheck is not None:
            self._recheck.cancel()
            self._recheck = None
        if self._view is None or not self._view.heard or self._view.heard == self._moved_to:
            return
        target = self._target
        if target is None:
            self._capture.renew()  # it has gone, and the server has moved us to another: say so instead
        elif target.name == self._view.heard:
            self._pursued = ""
        elif target.name != self._pursued:
            self._recheck = self._loop.call_later(MOVE_S, self._pursue, target.name)

    def _pursue(self, name: str) -> None:
        """Open anew on that source, once: a server that won't have it so is not asked for ever."""
        self._recheck = None
        self._pursued = name
        self._capture.renew()
