"""Applies reloaded settings to the parts of the daemon."""

import logging
from collections.abc import Callable

from coldvoxd.assembly.parts import Parts
from coldvoxd.core import channels
from coldvoxd.core.settings import Settings

SETTINGS_TABLE: tuple[tuple[str, Callable[[Parts, Settings], None]], ...] = (
    (
        "endpoint dictation microphone log",
        lambda parts, fresh: parts.dictation.use_settings(
            endpoint=fresh.endpoint,
            settings=fresh.dictation,
            pre_roll_ms=fresh.microphone.pre_roll_ms,
            log_text=fresh.log.spoken_text,
        ),
    ),
    ("dictation", lambda parts, fresh: parts.files.use_settings(fresh.dictation)),
    ("files", lambda parts, fresh: parts.files.use_batch_size(fresh.files.batch_size)),
    ("microphone", lambda parts, fresh: parts.audio.device.use_settings(fresh.microphone)),
    ("microphone", lambda parts, fresh: parts.host.lock.use_settings(fresh.microphone.release_on_lock)),
    ("microphone", lambda parts, fresh: parts.audio.channels.use(channels.parse(fresh.microphone.channel))),
    ("gpu", lambda parts, fresh: parts.recognition.gpu.use_settings(fresh.gpu)),
    ("replacement", lambda parts, fresh: parts.host.reexec.use_settings(fresh.replacement)),
    ("notifications", lambda parts, fresh: parts.notices.use_settings(fresh.notifications)),
    ("model", lambda parts, fresh: parts.recognition.unloading.use_settings(fresh.model.unload_after_s)),
    ("model", lambda parts, fresh: parts.recognition.preparation.use_settings(fresh.model)),
    ("log", lambda _, fresh: logging.getLogger().setLevel(fresh.log.level.upper())),
)
"""Sections of the settings, and the call that applies them at a reload, in this order."""


def use_settings(parts: Parts, fresh: Settings) -> tuple[str, ...]:
    """Apply settings whose model is already loaded; see Engine.reload.

    Returns the names of the settings that wait for a restart, such as `microphone.device`.
    """
    for _, take in SETTINGS_TABLE:
        take(parts, fresh)
    parts.bus.announcer.state_changed()
    return ("microphone.device",) if parts.audio.device.awaits_restart else ()
