"""The command shortcut: installs, shows and removes a desktop shortcut for dictation."""

import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

from coldvoxd.cli.exit_codes import Exit, UsageFault
from coldvoxd.cli.output import Output
from coldvoxd.cli.shortcuts.by_hand import instructions
from coldvoxd.cli.shortcuts.desktop import Desktop
from coldvoxd.cli.shortcuts.gnome import Gnome
from coldvoxd.cli.shortcuts.hyprland import Hyprland
from coldvoxd.cli.shortcuts.kde import Kde
from coldvoxd.cli.shortcuts.key import DEFAULT_KEY, TOGGLE, Key, Shortcut
from coldvoxd.cli.shortcuts.sway import Sway
from coldvoxd.core.errors import ColdvoxError, NotInstallable

DESKTOPS: Mapping[str, Callable[[], Desktop]] = {
    "gnome": Gnome,
    "kde": Kde,
    "sway": Sway,
    "hyprland": Hyprland,
}


def shortcut(arguments: Namespace, output: Output) -> Exit:
    """Show, install or remove the shortcut. Raises ColdvoxError."""
    name = arguments.desktop or _guessed(os.environ, arguments)
    desktop = DESKTOPS[name]()
    fields: dict[str, object] = {"desktop": name}
    match arguments.shortcut_command:
        case "show":
            present = desktop.present()
            output.result(
                fields | {"installed": present}, "\n".join(present or ["no shortcut of coldvoxd is installed"])
            )
        case "remove":
            removed = desktop.remove()
            output.result(fields | {"removed": removed}, "\n".join(removed or ["there was nothing to remove"]))
        case _:
            wanted = Shortcut(Key.parsed(arguments.key), arguments.hold, _program())
            wanted.key.check_alone()
            changes = desktop.changes(wanted)
            if by := desktop.taken(wanted.key):
                raise ColdvoxError(f"{wanted.key} is already in use by {by}: choose another with --key.")
            if not arguments.dry_run:
                desktop.remove()
                desktop.install(wanted)
            note = "" if arguments.dry_run else desktop.note
            fields |= {"changes": changes, "applied": not arguments.dry_run}
            output.result(fields, "\n".join(filter(None, (*changes, note))))
    return Exit.DONE


def _guessed(environment: Mapping[str, str], arguments: Namespace) -> str:
    """The desktop of the session. Raises NotInstallable with what to bind where if it must be set up by hand."""
    names = environment.get("XDG_CURRENT_DESKTOP", "").lower().split(":")
    found = next((name for name in DESKTOPS if name in names), None)
    if found is not None:
        return found
    wanted = Shortcut(Key.parsed(getattr(arguments, "key", DEFAULT_KEY)), hold=False, program=_program())
    shown = environment.get("XDG_CURRENT_DESKTOP", "")
    by_hand = next(filter(None, (instructions(name, wanted) for name in names)), "")
    if by_hand:
        raise NotInstallable(f"On {shown} the shortcut is set up by hand. {by_hand}")
    unknown = f"The desktop {shown} is unknown" if shown else "XDG_CURRENT_DESKTOP is not set"
    raise UsageFault(
        f"{unknown}. Name it with --desktop: {', '.join(DESKTOPS)}. On any other desktop, bind a key to the command "
        f"`{wanted.program} {TOGGLE}` in its keyboard settings."
    )


def _program() -> str:
    """The path of coldvoxctl that stays valid after an upgrade."""
    here = Path(sys.argv[0]).absolute()
    return str(here) if here.name == "coldvoxctl" else shutil.which("coldvoxctl") or "coldvoxctl"
