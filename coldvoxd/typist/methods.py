"""The methods to get text into a window."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from coldvoxd.typist import chords, clipboard, wayland_keys, x11_keys
from coldvoxd.typist.clipboard import Clipboards
from coldvoxd.typist.clipboard_loan import Press, Verdict
from coldvoxd.typist.environment import on_wayland, presses_by_portal
from coldvoxd.typist.errors import Refused
from coldvoxd.typist.focus import Focus
from coldvoxd.typist.key_layout import can_type
from coldvoxd.typist.portal import RemoteDesktop
from coldvoxd.typist.portal_session import SessionGone
from coldvoxd.typist.settings import Method, Rule, Selection
from coldvoxd.typist.shortcut_keys import ShortcutKeys
from coldvoxd.typist.virtual_keyboard import VirtualKeyboards

LONGEST_TYPED = 400
"""Longer texts are pasted if possible: typing them would take seconds."""
COMMANDS = frozenset("\n\t")
"""Characters whose keys act: Enter runs a command, sends a message or submits a form, and Tab moves the focus."""


@dataclass(frozen=True, slots=True)
class Target:
    """The destination of a text, and the means of delivery."""

    environment: Mapping[str, str]
    focus: Focus
    rule: Rule
    means: "Means"


@dataclass(frozen=True, slots=True)
class Means:
    """The means of delivery that stay open between texts."""

    remote: RemoteDesktop
    shortcut: ShortcutKeys
    clipboards: Clipboards
    keyboards: VirtualKeyboards


Pasted = asyncio.Future[Verdict]


async def type_text(target: Target, text: str) -> str:
    """Type `text` while the focus stays. Return why some of it may not have arrived; empty if all has.

    Raises Refused if nothing was typed, and Interrupted if a part may have been.
    """
    if on_wayland(target.environment):
        return await wayland_keys.type_keys(
            text, target.means.keyboards, target.environment, target.rule.delay_ms, target.focus.window
        )
    if not text.isascii():
        # Layouts have keys for few others, and a remapped key is misread by windows that still know its old meaning.
        raise Refused("only ASCII can be typed reliably on X11")
    return await x11_keys.type_keys(text, target.environment, target.rule.delay_ms, target.focus.window)


async def paste(target: Target, text: str, left: str) -> Pasted:
    """Paste by the clipboard and the application's own chord; the clipboard's content is restored afterwards.

    `left` is left there if no window takes the text; if it is empty, nothing is.
    """
    loan = target.means.clipboards.loan(target.environment, target.rule.selection)
    return await loan.paste(text, lambda: _chord(target), target.means.clipboards.browser(target.focus), left)


async def paste_by_portal(target: Target, text: str, left: str) -> Pasted:
    """Paste like `paste`, but with the portal's keys and usually its clipboard."""
    try:
        return await _paste_by_portal(target, text, left)
    except SessionGone:
        return await _paste_by_portal(target, text, left)


async def _paste_by_portal(target: Target, text: str, left: str) -> Pasted:
    async with target.means.remote.session() as session:

        async def press() -> None:
            await target.means.shortcut.released()
            await session.tap(target.rule.chord)

        def chord() -> AbstractAsyncContextManager[Press]:
            return nullcontext(press)

        if session.has_clipboard:
            return await session.loan.paste(text, chord, left=left)
        loan = target.means.clipboards.loan(target.environment, target.rule.selection)
        return await loan.paste(text, chord, left=left)


async def leave_in_clipboard(target: Target, text: str, joined: str) -> Pasted | None:
    """Leave the text in the clipboard for the user to paste. A paste of `joined` that failed may have left that there.

    Return the verdict on that paste, which the window may still fetch; None if there is none.
    """
    pasted = target.means.remote.late(joined)
    for selection in Selection:
        late = target.means.clipboards.late(target.environment, selection, joined)
        if late and selection is Selection.PRIMARY:
            await clipboard.put(text, target.environment)
        pasted = pasted or late
    if pasted is None:
        await clipboard.put(text, target.environment)
    return pasted


def _chord(target: Target) -> AbstractAsyncContextManager[Press]:
    if not on_wayland(target.environment):
        return chords.chord(target.rule.chord, target.environment, target.focus.window)
    return wayland_keys.chord(target.rule.chord, target.means.keyboards, target.environment, target.focus.window)


def ways(rule: Rule, text: str, environment: Mapping[str, str]) -> list[Method]:
    """Return the methods to try, the best first; the clipboard is always the last."""
    wayland, by_portal = on_wayland(environment), presses_by_portal(environment)
    if rule.method is Method.CLIPBOARD:
        return [Method.CLIPBOARD]
    if by_portal and rule.method is not Method.TYPE:
        return [Method.PORTAL, Method.CLIPBOARD]
    if rule.method is not Method.AUTO:
        return [rule.method, Method.CLIPBOARD]
    typeable = (can_type(text) if wayland else text.isascii()) and COMMANDS.isdisjoint(text)
    typed = [Method.TYPE] if len(text) <= LONGEST_TYPED and typeable else []
    return [*typed, Method.PASTE, Method.CLIPBOARD]
