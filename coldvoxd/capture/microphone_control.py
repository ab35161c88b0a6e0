"""The selected microphone, opened and closed by policy."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from coldvoxd.capture.policy import Conditions, Use
from coldvoxd.capture.source_tracking import SourceTracker
from coldvoxd.capture.state import CaptureCondition
from coldvoxd.capture.stream import CaptureStream
from coldvoxd.core import channels
from coldvoxd.core.errors import UnknownDevice, shown
from coldvoxd.core.ports import Policy
from coldvoxd.core.problems import Problem
from coldvoxd.core.settings import MicrophoneSettings
from coldvoxd.core.sound_sources import DEFAULT, SoundView, find

log = logging.getLogger(__name__)

FIRST_LOOK_S = 1.0
"""Seconds to wait for the first view of the sound server before the microphone is opened without one."""
SELECT_LIMIT_S = 10.0
"""Seconds after which `select` returns although the microphone is still being opened. Clients wait for 25 s."""
MOVE_S = 0.4
"""A server that moves our stream along with the desktop's default does so within this time; otherwise we reopen it."""


class Selectable(Protocol):
    """A microphone on a sound server or on bare ALSA that can be exchanged for another device."""

    wanted: str
    """Device that the next opening uses."""
    bare: tuple[str, ...]
    """PortAudio's device names, if the last search found no server."""


class MicrophoneController:
    """Implements MicrophoneControl. Event loop only.

    `on_rest` is called when the policy closes the microphone, with the reason why it can't be opened for a session;
    empty if it can. `on_change` is called when any value of the MicrophoneControl may have changed. `device` is None
    for a microphone that can't be exchanged for another.
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
        self._tracker = SourceTracker(settings.device)
        self._conditions = Conditions()
        self._started = self._logged_muted = False
        self._session_end_s = 0.0
        """Loop time at which the last session ended."""
        self._idle_timer: asyncio.TimerHandle | None = None
        self._move_timer: asyncio.TimerHandle | None = None
        self._releasing: set[asyncio.Task[None]] = set()
        self._viewed = asyncio.Event()
        """Set at each view of the sound server."""

    @property
    def device(self) -> str:
        chosen = self._tracker.selection
        if self._device is None:
            return chosen
        named = "" if chosen == DEFAULT else chosen
        if self._tracker.view is None:
            return self._capture.state.microphone or named
        source = self._tracker.source(is_open=self._capture.device_open)
        return source.description if source is not None else named

    @property
    def selection(self) -> str:
        return self._tracker.selection

    @property
    def devices(self) -> tuple[tuple[str, str], ...]:
        if self._device is None:
            return ((self.selection, self.selection),)
        if self._tracker.view is None:
            return tuple((name, name) for name in self._device.bare)
        return tuple((source.name, source.description) for source in self._tracker.view.microphones)

    @property
    def device_open(self) -> bool:
        return self._capture.device_open

    @property
    def policy(self) -> Policy:
        return self._tracker.policy(Policy(self._settings.policy), bluetooth_always=self._settings.bluetooth_always)

    @property
    def muted(self) -> bool:
        source, view = self._tracker.source(is_open=self._capture.device_open), self._tracker.view
        return source is not None and (source.muted or (view is not None and view.stream_muted))

    @property
    def problem(self) -> str:
        match self._capture.state.condition:
            case CaptureCondition.LOST:
                return self._capture.state.reason
            case CaptureCondition.CLOSED if not self._conditions.asleep:
                return self._obstacle()
        return ""

    @property
    def channel_problem(self) -> str:
        if self._capture.state.condition is not CaptureCondition.OPEN:
            return ""
        missing = channels.parse(self._settings.channel).missing_in(self._capture.channels)
        return f"The microphone “{self.device}” {missing}. Until then, auto is used." if missing else ""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Implements ProblemSource."""
        lost = (Problem.MICROPHONE_LOST,) if self.problem else ()
        muted = (Problem.MICROPHONE_MUTED,) if self.muted else ()
        return *lost, *muted, *((Problem.MICROPHONE_CHANNEL,) if self.channel_problem else ())

    def use_settings(self, settings: MicrophoneSettings) -> None:
        """Apply the settings now. A device that isn't present is awaited, as at startup."""
        before, self._settings = self._settings, settings
        if self._conditions.use is Use.RECENT:
            self._await_idle()
        if settings.device != before.device:
            self._choose(settings.device)
        else:
            self._apply()

    async def select(self, name: str) -> None:
        self._choose(self._named(name))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SELECT_LIMIT_S):
                await self._capture.renewed()
                while self._capture.device_open and not self._tracker.is_recorded:
                    self._viewed.clear()
                    await self._viewed.wait()

    async def reopened(self) -> None:
        """Return when the microphone of the settings is in use, was not found, or has been awaited for `SELECT_LIMIT_S`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SELECT_LIMIT_S):
                await self._capture.renewed()

    def resume(self, selection: str) -> None:
        """Restore the selection of the process that this one replaces. Call it before `start`."""
        self._tracker.selection = selection
        if self._device is not None:
            self._device.wanted = selection

    def start(self, *, awaiting_view: bool) -> None:
        """Put the policy in force, once the first view of the sound server has arrived if one is expected."""
        if awaiting_view:
            self._loop.call_later(FIRST_LOOK_S, self._begin)
        else:
            self._begin()

    def on_view(self, view: SoundView | None) -> None:
        """Process a change of the sound server's sources; None means that there is no server."""
        change = self._tracker.update(view)
        self._viewed.set()
        if change.moved:
            log.info("the capture stream was moved to the microphone “%s”", self.device)
        self._fit()
        if change.found and self._capture.state.condition is CaptureCondition.LOST:
            self._capture.renew()
        self._begin()
        self._follow()
        logged, self._logged_muted = self._logged_muted, self.muted
        if self.muted and not logged:
            self._warn_of_mute()

    def on_hearing(self, hearing: bool) -> None:
        """Process a change of whether a session needs the microphone."""
        if hearing == (self._conditions.use is Use.SESSION):
            return
        self._cancel_idle_timer()
        if hearing:
            self._conditions = replace(self._conditions, use=Use.SESSION)
            if self.muted:
                self._warn_of_mute()
            self._apply()
            return
        self._conditions = replace(self._conditions, use=self._conditions.use_after_session(self.policy))
        if self._conditions.use is Use.RECENT:
            self._session_end_s = self._loop.time()
            self._await_idle()
        self._loop.call_soon(self._apply)  # after the session has ended completely
        self._fit()

    def on_lock(self, locked: bool) -> None:
        """Process a lock or unlock of the screen, during which the microphone is to be released."""
        self._set_conditions(replace(self._conditions, locked=locked))

    def on_sleep(self, asleep: bool) -> None:
        """Process the start or the end of the machine's sleep."""
        self._set_conditions(replace(self._conditions, asleep=asleep))

    async def released(self) -> None:
        """Return once each closing has ended or continues in the background."""
        while self._releasing:
            await asyncio.wait(self._releasing)

    def _named(self, name: str) -> str:
        """Return the device that a name means. Raises UnknownDevice."""
        if name == DEFAULT and self._device is not None:
            return name
        if self._tracker.view is not None and self._device is not None:
            return find(self._tracker.view, name).name
        listed = [known for known, _ in self.devices]
        for known in listed:
            if name and name.casefold() in known.casefold():
                return known
        raise UnknownDevice(f"There is no microphone “{shown(name)}”. Available: {', '.join(listed) or 'none'}.")

    def _choose(self, name: str) -> None:
        self._tracker.select(name)
        log.info("microphone selected: %s", name)
        if self._device is not None:
            self._device.wanted = name
            if self._capture.device_open and (target := self._tracker.target) is not None:
                self._tracker.pursue(target.name)
            self._capture.renew()
        self._apply()

    def _begin(self) -> None:
        self._started = True
        self._apply()

    def _set_conditions(self, conditions: Conditions) -> None:
        if conditions != self._conditions:
            self._conditions = conditions
            self._apply()

    def _apply(self) -> None:
        """Open or close the microphone as the policy requires now."""
        if not self._started:
            return
        if self._conditions.opens(self.policy):
            self._capture.start()
        else:
            task = self._loop.create_task(self._release(), name="release of the microphone")
            self._releasing.add(task)
            task.add_done_callback(self._releasing.discard)
            self._on_rest(self._obstacle())
        self._on_change()

    async def _release(self) -> None:
        if not self._conditions.opens(self.policy):  # may have changed since
            await self._capture.release()

    def _obstacle(self) -> str:
        """Return why the microphone could not be opened for a session, as far as is known without trying."""
        return self._conditions.closed_by or self._tracker.missing

    def _warn_of_mute(self) -> None:
        log.warning("the microphone “%s” is muted", self.device)

    def _await_idle(self) -> None:
        """Release the microphone `idle_release_s` after the last session."""
        self._cancel_idle_timer()
        self._idle_timer = self._loop.call_at(self._session_end_s + self._settings.idle_release_s, self._on_idle)

    def _cancel_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _on_idle(self) -> None:
        self._idle_timer = None
        self._set_conditions(replace(self._conditions, use=Use.NONE))

    def _fit(self) -> None:
        """Reopen a stream whose source has different channels, once no session listens."""
        if self._conditions.use is not Use.SESSION and self._tracker.take_misfit():
            log.info("the channels of the microphone “%s” have changed: reopening it", self.device)
            self._capture.renew()

    def _follow(self) -> None:
        """Make our stream record the selected source."""
        if self._move_timer is not None:
            self._move_timer.cancel()
            self._move_timer = None
        step = self._tracker.next_step()
        if step.reopen:
            self._capture.renew()
        elif step.reopen_on:
            self._move_timer = self._loop.call_later(MOVE_S, self._pursue, step.reopen_on)

    def _pursue(self, name: str) -> None:
        self._move_timer = None
        self._tracker.pursue(name)
        self._capture.renew()
