"""Delivers one text, or its final mark, to the window that has the focus, and determines the outcome."""

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

_PASTES = {Method.PASTE: methods.paste, Method.PORTAL: methods.paste_by_portal}

Insertion = Callable[[Focus], Awaitable[str]]
"""Returns what to insert into this window, immediately before it is."""


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


async def deliver(
    text: str,
    settings: Settings,
    means: Means,
    insertion: Insertion,
) -> Attempt:
    """Type or paste `text` as it continues what the window has, or leave it in the clipboard as it is.

    Never raises for a desktop's failure.
    """
    environment = await graphical_environment()
    reasons: list[str] = []
    try:
        focus = await _focused(environment)
        rule = settings.rule_for(focus.application, focus.instance)
        joined = await insertion(focus)
        chosen = methods.ways(rule, joined, environment)
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
        return Outcome(Result.DELIVERED, method, application), await _PASTES[method](target, joined, text)
    if method is Method.TYPE:
        doubt = await methods.type_text(target, joined)
        return Outcome(Result.UNSURE if doubt else Result.DELIVERED, method, application, doubt), None
    late = await methods.leave_in_clipboard(target, text, joined)
    asked = target.rule.method is Method.CLIPBOARD
    result = Result.UNSURE if asked else Result.FAILED
    reason = "the text is in the clipboard, as set in type.toml" if asked else "the text is in the clipboard"
    return Outcome(result, method, application, reason, text, in_clipboard=True), late


class MarkResult(StrEnum):
    """Whether a final mark reached the window of its sentence."""

    WRITTEN = "written"
    DUE = "due"
    """Nothing was written, so the mark can be written later."""
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class MarkAttempt:
    """The attempt to write a final mark."""

    result: MarkResult
    focus: Focus = UNKNOWN
    environment: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    """Why the mark was not written, if that is a failure."""


IsThere = Callable[[Focus, bool], Awaitable[bool]]
"""Returns whether the insertion point is behind the text whose mark is to be written, by a key (True) or a paste."""


async def deliver_mark(
    mark: str, settings: Settings, means: Means, is_there: IsThere, *, only_by_key: bool
) -> MarkAttempt:
    """Type or paste the final mark of the text before the insertion point; never leave it in the clipboard.

    `is_there` is called immediately before the mark is written. `only_by_key`: the mark stays due where texts are pasted, where
    the desktop does not report the window, and if no key can give it. Never raises for a desktop's failure.
    """
    environment = await graphical_environment()
    try:
        focus = await _focused(environment)
        rule = settings.rule_for(focus.application, focus.instance)
        chosen = [method for method in methods.ways(rule, mark, environment) if method is not Method.CLIPBOARD]
        by_key = chosen[:1] == [Method.TYPE]
        if only_by_key and not (by_key and focus.window):
            return MarkAttempt(MarkResult.DUE)
        if not await is_there(focus, by_key):
            return MarkAttempt(MarkResult.DROPPED)
    except Refused as error:
        return MarkAttempt(MarkResult.DUE, reason=str(error))
    target = Target(environment, focus, rule, means)
    reason = ""
    for method in chosen[:1] if only_by_key else chosen:
        try:
            if method is Method.TYPE:
                await methods.type_text(target, mark)
            else:
                await _PASTES[method](target, mark, "")
        except Interrupted as error:
            return MarkAttempt(MarkResult.DROPPED, focus, environment, str(error))
        except Refused as error:
            reason = str(error)
            continue
        return MarkAttempt(MarkResult.WRITTEN, focus, environment)
    return MarkAttempt(MarkResult.DUE if only_by_key else MarkResult.DROPPED, focus, environment, reason)


async def _focused(environment: Mapping[str, str]) -> Focus:
    """Return the focused window, on X11 once no modifier is held. Raises Refused."""
    if not on_wayland(environment) and environment.get("DISPLAY"):
        await until_released(environment)
    return await focused(environment)
