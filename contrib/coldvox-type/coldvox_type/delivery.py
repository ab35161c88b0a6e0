"""One text on its way into the window that has the focus, and what became of it."""

from dataclasses import dataclass

from coldvox_type import rungs
from coldvox_type.faults import Interrupted, Refused
from coldvox_type.focus import UNKNOWN, focused
from coldvox_type.remote import Remote
from coldvox_type.rungs import Result, Target
from coldvox_type.settings import Method, Settings
from coldvox_type.surroundings import graphical_environment

_KEPT = {"\n", "\t"}
_RUNGS = {
    Method.TYPE: rungs.type_text,
    Method.PASTE: rungs.paste,
    Method.PORTAL: rungs.paste_by_portal,
    Method.CLIPBOARD: rungs.leave_in_clipboard,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    result: Result
    application: str = ""
    reason: str = ""
    """Why it was not the first way that was tried."""
    undelivered: str = ""
    """What is not in a window."""


def plain(text: str) -> str:
    """Without control characters: what is said must not steer a terminal."""
    return "".join(character for character in text if character.isprintable() or character in _KEPT)


async def deliver(text: str, settings: Settings, remote: Remote) -> Outcome:
    """Type, paste or leave `text`; never raises for what desktops do."""
    environment = await graphical_environment()
    reasons: list[str] = []
    try:
        focus = await focused(environment)
        rule = settings.rule_for(focus.application)
        methods = rungs.ways(rule, text, environment)
    except Refused as fault:
        reasons.append(str(fault))
        focus, rule, methods = UNKNOWN, settings.rule, [Method.CLIPBOARD]
    target = Target(environment, focus, rule, remote)
    for method in methods:
        try:
            result = await _RUNGS[method](target, text)
        except Interrupted as fault:
            return Outcome(Result.FAILED, focus.application, str(fault), fault.rest)
        except Refused as fault:
            if str(fault) not in reasons:
                reasons.append(str(fault))
            continue
        undelivered = text if result is Result.CLIPBOARD else ""
        return Outcome(result, focus.application, "; ".join(reasons), undelivered)
    return Outcome(Result.FAILED, focus.application, "; ".join(reasons), text)
