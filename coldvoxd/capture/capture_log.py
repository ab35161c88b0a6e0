"""Log messages about the microphone's state and about lost audio."""

import asyncio
import logging

from coldvoxd.capture.state import CaptureCondition, CaptureState
from coldvoxd.core.audio_values import Gap, GapReason
from coldvoxd.core.values import SAMPLE_RATE

log = logging.getLogger(__name__)


def log_state(before: CaptureState, state: CaptureState) -> None:
    match state.condition:
        case CaptureCondition.OPEN:
            log.info("microphone open: %s", state.microphone)
        case CaptureCondition.LOST:
            level = logging.DEBUG if before.condition is CaptureCondition.LOST else logging.WARNING
            log.log(level, "microphone lost: %s", state.reason)
        case CaptureCondition.OPENING | CaptureCondition.CLOSED:
            log.info("microphone %s", state.condition)


def log_dropped(samples: int) -> None:
    log.warning("audio lost %.1f s: the daemon was too slow", samples / SAMPLE_RATE)


def log_gap(gap: Gap) -> None:
    """Log lost audio, except at a reopening, which has been logged as lost and open."""
    match gap.reason:
        case GapReason.OVERRUN:
            log.warning("audio lost: the sound server overran")
        case GapReason.STALLED:
            log.warning("audio lost %.1f s: the microphone skipped", gap.samples / SAMPLE_RATE)


def log_failure(task: asyncio.Task[None]) -> None:
    """Log an internal error. Capture then no longer keeps its promise, so the watchdog ends the process."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("audio capture failed", exc_info=error)
