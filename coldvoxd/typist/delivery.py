"""Delivers one text to the window that has the focus, and determines the outcome."""

import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from coldvoxd.typist import methods
from coldvoxd.typist.displays import graphical_environment
from coldvoxd.typist.environment import on_wayland
from coldvoxd.typist.errors import Interrupted, Refused
from coldvoxd.typist.focus import UNKNOWN, Focus, focused
from coldvoxd.typist.held_keys import until_released
from coldvoxd.typist.methods import Means, Pasted, Target
from coldvoxd.typist.paste_readers import Taken
from coldvoxd.typist.settings import Method, Settings

_KEPT = {"\n", "\t", "\u200c", "\u200d"}
"""Not printable, but part of texts: the zero-width characters join or separate letters and pictures."""
_LINE_ENDS = str.maketrans(dict.fromkeys("\r\v\f\u0085\u2028\u2029", "\n"))
_PASTES = {Method.PASTE: methods.paste, Method.PORTAL: methods.paste_by_portal}

Joint = Callable[[Focus], Awaitable[str]]
"""Returns the text to insert before a dictated text in this window."""


class Result(StrEnum):
    """Whether a text reached a window."""

    DELIVERED = "delivered"
    UNSURE = "unsure"
    """It was typed or pasted, but may not have arrived."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a delivery."""

    result: Result
    method: Method | None = None
    """The last method that was tried; None if none was."""
    application: str = ""
    reason: str = ""
    """Why the delivery is uncertain, or did not use the first method."""
    undelivered: str = ""
    """The part of the text that is in no window."""
    in_clipboard: bool = False
    """The text was left in the clipboard."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A delivery attempt; the outcome of a paste is known later."""

    outcome: Outcome
    """The outcome as known so far."""
    focus: Focus = UNKNOWN
    environment: Mapping[str, str] = field(default_factory=dict)
    pasted: Pasted | None = None
    late: tuple[Method, Pasted] | None = None
    """The method and the verdict of a paste that failed, since the window may still fetch the text."""

    async def settled(self) -> Outcome:
        """Return the final outcome."""
        if self.pasted is None:
            return self.outcome
        verdict = await self.pasted
        left = "the text is in the clipboard" if verdict.left else ""
        found = (self.outcome.reason, _REASONS[verdict.taken], left, verdict.error)
        reasons = [reason for reason in found if reason]
        outcome = replace(self.outcome, reason="; ".join(reasons))
        if verdict.taken is Taken.BY_WINDOW:
            return outcome
        return replace(outcome, result=Result.UNSURE, in_clipboard=verdict.left)

    async def arrived_late(self) -> Outcome | None:
        """Return the outcome if a text that `settled` reported as undelivered was fetched later; None if it was not."""
        if self.late is None:
            return None
        method, late = self.late
        verdict = await late
        if verdict.taken not in {Taken.BY_WINDOW, Taken.UNCLEAR}:
            return None
        reasons = [reason for reason in (_REASONS[Taken.UNCLEAR], verdict.error) if reason]
        return Outcome(Result.UNSURE, method, self.focus.application, "; ".join(reasons))


_REASONS = {
    Taken.BY_WINDOW: "",
    Taken.BY_NONE: "the clipboard was replaced before it was read",
    Taken.BY_READER: "a program polls the clipboard, so it is unknown whether the window read it",
    Taken.PARTLY: "the browser's page has not read it yet",
    Taken.COPIED: "a clipboard manager replaced it by its copy, so it is unknown whether the window read it",
    Taken.UNCLEAR: "it was read late, possibly by another program than the window",
}


def plain(text: str) -> str:
    """Remove control characters: text must not send escape sequences to a terminal.

    Tabs and all spaces stay. Each kind of line break becomes a newline.
    """
    return "".join(filter(_stays, text.replace("\r\n", "\n").translate(_LINE_ENDS)))


def _stays(character: str) -> bool:
    return character.isprintable() or character in _KEPT or unicodedata.category(character) == "Zs"


async def deliver(
    text: str,
    settings: Settings,
    means: Means,
    joint: Joint,
) -> Attempt:
    """Type or paste `text`, or leave it in the clipboard. Never raises for a desktop's failure."""
    environment = await graphical_environment()
    reasons: list[str] = []
    try:
        if not on_wayland(environment) and environment.get("DISPLAY"):
            await until_released(environment)
        focus = await focused(environment)
        rule = settings.rule_for(focus.application, focus.instance)
        chosen = methods.ways(rule, text, environment)
        joined = await joint(focus) + text
    except Refused as error:
        reasons.append(str(error))
        focus, rule, chosen, joined = UNKNOWN, settings.rule, [Method.CLIPBOARD], text
    target = Target(environment, focus, rule, means)
    for method in chosen:
        try:
            outcome, pasted = await _try(method, target, text, joined)
        except Interrupted as error:
            outcome = Outcome(Result.FAILED, method, focus.application, str(error), text)
            return Attempt(outcome, focus, environment)
        except Refused as error:
            if str(error) not in reasons:
                reasons.append(str(error))
            continue
        reason = "; ".join([*reasons, outcome.reason] if outcome.reason else reasons)
        outcome = replace(outcome, reason=reason)
        if method is Method.CLIPBOARD and pasted:
            failed = next(earlier for earlier in chosen if earlier in _PASTES)
            return Attempt(outcome, focus, environment, late=(failed, pasted))
        return Attempt(outcome, focus, environment, pasted)
    outcome = Outcome(Result.FAILED, None, focus.application, "; ".join(reasons), text)
    return Attempt(outcome, focus, environment)


async def _try(method: Method, target: Target, text: str, joined: str) -> tuple[Outcome, Pasted | None]:
    """Try one method. `joined` is `text` as it continues what the window has.

    Return the outcome, and the verdict to come on a paste. Raises Refused and Interrupted.
    """
    application = target.focus.application
    if method in _PASTES:
        return Outcome(Result.DELIVERED, method, application), await _PASTES[method](target, joined)
    if method is Method.TYPE:
        doubt = await methods.type_text(target, joined)
        return Outcome(Result.UNSURE if doubt else Result.DELIVERED, method, application, doubt), None
    late = await methods.leave_in_clipboard(target, text, joined)
    asked = target.rule.method is Method.CLIPBOARD
    result = Result.UNSURE if asked else Result.FAILED
    reason = "the text is in the clipboard, as set in type.toml" if asked else "the text is in the clipboard"
    return Outcome(result, method, application, reason, text, in_clipboard=True), late
