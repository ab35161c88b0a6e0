"""GNOME Shell, headless, with the extension installed as a user does it; keys are pressed through the compositor."""

import asyncio
import json
import os
from pathlib import Path
from signal import SIGTERM
from typing import Any

from stage import CHECKOUT, HOME, RUNTIME, BusError, Stage, StageError, settled, until

SHELL = "org.gnome.Shell"
REMOTE = "org.gnome.Mutter.RemoteDesktop"
UUID = "coldvoxd@coldvox.org"
KEYSYMS = {"shift": 0xFFE1, "super": 0xFFEB, "alt": 0xFFE9}
INDICATOR = f"Main.panel.statusArea['{UUID}']"
LEFT, RIGHT = 1, 3
SEAT = "global.stage.context.get_backend().get_default_seat()"
DEVICES = "imports.gi.Clutter.InputDeviceType"
NOW = "imports.gi.GLib.get_monotonic_time()"
HAND_S = 0.2
"""Seconds between a movement, a press and a release: a busy shell may lose faster input."""
PLAIN = "#3d5a73"
ACTIVE, INACTIVE = 1, 2
BROKEN = {3, 4}
"""Values of the shell's ExtensionState; 3 is an error, 4 out of date."""
INTERFACE, ACCESSIBILITY = "org.gnome.desktop.interface", "org.gnome.desktop.a11y.interface"
SETTINGS = {
    "light": (INTERFACE, "color-scheme", "prefer-light"),
    "dark": (INTERFACE, "color-scheme", "prefer-dark"),
    "high-contrast": (ACCESSIBILITY, "high-contrast", "true"),
    "large-text": (INTERFACE, "text-scaling-factor", "1.5"),
}
"""Schema, key and value by the name of a variant."""
VARIANTS = ("light", "high-contrast", "large-text")
"""Variants of the shell; its panel and menus are dark otherwise."""
TRACES = f"""[
    '{UUID}' in Main.panel.statusArea,
    Main.layoutManager.uiGroup.get_children().filter(one => one.constructor.name === 'ColdvoxBubble').length,
    Boolean(Main.wm._allowedKeybindings['toggle-dictation']),
]"""
"""The extension's traces in the shell: its indicator, its bubble, its key."""


class Gnome:
    """A running GNOME Shell."""

    name = "gnome"
    installer = "desktop/gnome-shell/install.sh"
    place = f"{HOME}/.local/share/gnome-shell/extensions/{UUID}"

    def __init__(self, stage: Stage, width: int = 1024, height: int = 640) -> None:
        self.stage = stage
        self.width, self.height = width, height
        self._remote = ""
        stage.environment |= {
            "XDG_SESSION_TYPE": "wayland",
            "XDG_CURRENT_DESKTOP": "GNOME",
            "XDG_SESSION_CLASS": "user",
        }

    async def start(self, language: str = "C.UTF-8") -> None:
        """Start the shell with the extension enabled and the overview closed."""
        stage = self.stage
        await stage.run(f"{CHECKOUT}/contrib/{self.installer}")
        await stage.run("gsettings", "set", "org.gnome.shell", "welcome-dialog-last-shown-version", "999")
        for key, value in {"enable-animations": "false", "enable-hot-corners": "false", "clock-format": "24h"}.items():
            await stage.run("gsettings", "set", INTERFACE, key, value)  # the hot corner would hold the pointer
        # As at a login, for services that the bus starts, including the portals, which GNOME Shell 50 starts itself.
        display = "wayland-0"
        await stage.run(
            "dbus-update-activation-environment", f"WAYLAND_DISPLAY={display}", "XDG_CURRENT_DESKTOP", "XDG_SESSION_TYPE",
            "XDG_RUNTIME_DIR",
        )  # fmt: skip
        stage.start(
            "gnome-shell", "gnome-shell", "--headless", "--virtual-monitor", f"{self.width}x{self.height}", "--unsafe-mode", "--no-x11",
            LANG=language,
        )  # fmt: skip
        await until(self._is_up, "GNOME Shell")
        stage.environment["WAYLAND_DISPLAY"] = display
        await until(self._has_no_overview, "the end of the overview")
        await until(self._is_enabled, "the extension, enabled")
        await self.evaluate("Main.messageTray.getSources().forEach(source => source.destroy())")  # "logged in as root"

    async def take_keyboard(self) -> None:
        """Enable key presses from now on; the panel shows that the desktop is controlled remotely."""
        self._remote = await self.stage.ask(REMOTE, "/org/gnome/Mutter/RemoteDesktop", REMOTE, "CreateSession")
        await self._do("Start")
        await self._key(KEYSYMS["shift"])  # the first key of such a session is lost

    async def evaluate(self, expression: str) -> Any:
        """Evaluate JavaScript in the shell."""
        done, answer = await self.stage.ask_all(SHELL, "/org/gnome/Shell", SHELL, "Eval", "s", expression)
        if not done:
            raise StageError(f"{expression}: {answer}")
        return json.loads(answer) if answer else None

    async def disable_and_enable(self) -> None:
        """Disable and enable the extension, as a locked screen does: all traces must disappear, and then return."""
        there = await self.evaluate(TRACES)
        await self.stage.run("gnome-extensions", "disable", UUID)
        await until(self._is_disabled, "the extension, disabled")
        left = await self.evaluate(TRACES)
        await self.stage.run("gnome-extensions", "enable", UUID)
        await until(self._is_enabled, "the extension, enabled again")
        again = await self.evaluate(TRACES)
        if [there, left, again] != [[True, 1, True], [False, 0, False], [True, 1, True]]:
            raise StageError(f"indicator, bubbles and keys before, without, and after: {there}, {left}, {again}")

    def complaints(self) -> str:
        """Return the shell's log lines about errors in the extension."""
        lines = self.stage.log("gnome-shell").read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if "JS ERROR" in line or "coldvox" in line)

    async def press_shortcut(self) -> None:
        """Press Super+Alt+D."""
        await self.press("d")

    async def press(self, letter: str) -> None:
        """Press that letter with Super and Alt at manual speed: a press within 60 ms of a release is auto-repeat."""
        await self.hold(letter, down=True)
        await asyncio.sleep(HAND_S)
        await self.hold(letter, down=False)
        await asyncio.sleep(HAND_S)

    async def hold(self, letter: str, *, down: bool) -> None:
        """Press the letter with Super and Alt, or release all three."""
        keys = [KEYSYMS["super"], KEYSYMS["alt"], ord(letter)]
        for key in keys if down else reversed(keys):
            await self._do("NotifyKeyboardKeysym", "ub", key, down)

    async def click_light(self, button: int = LEFT) -> None:
        """Click the indicator, with the left button by default, where it stays: it moves when others appear."""
        light = None
        while light != (light := await self._light()):
            await self._point(*light)
        await self._press(button)

    async def touch_light(self) -> None:
        """Touch the indicator with a finger."""
        x, y = await self._light()
        await self.evaluate(
            f"global.finger = {SEAT}.create_virtual_device({DEVICES}.TOUCHSCREEN_DEVICE), "
            f"global.finger.notify_touch_down({NOW}, 0, {x}, {y})"
        )
        await asyncio.sleep(HAND_S)
        await self.evaluate(f"global.finger.notify_touch_up({NOW}, 0), global.finger = null")

    async def menu_is_open(self) -> bool:
        """Return whether the indicator's menu is open."""
        return bool(await self.evaluate(f"{INDICATOR}.menu.isOpen"))

    async def answer_question(self, *, allow: bool) -> None:
        """Answer the portal's question whether a program may press keys."""
        await until(self._is_asked, "the portal's question")
        await settled()
        left, top, right = await self.evaluate(
            "(area => [area.x, area.y, area.x + area.width])(global.display.focus_window.get_frame_rect())"
        )
        if allow:
            await self._click(right - 85, top + 157)  # Allow Remote Interaction
        end = right - 48 if allow else left + 50  # Share, or Cancel
        while await self._is_asked():
            await self._click(end, top + 23)
            await settled()

    async def add_keys(self) -> None:
        """Accept the portal's question about shortcuts."""
        await until(self._offers_keys, "the portal's question about keys")
        await settled()
        top, right = await self.evaluate(
            "(area => [area.y, area.x + area.width])(global.display.focus_window.get_frame_rect())"
        )
        while await self._offers_keys():
            await self._click(right - 34, top + 23)
            await settled()

    async def copy(self, text: str) -> None:
        await self.evaluate(
            f"imports.gi.St.Clipboard.get_default().set_text(imports.gi.St.ClipboardType.CLIPBOARD, {json.dumps(text)})"
        )

    async def clipboard(self) -> str:
        """Return the clipboard's text, empty if there is none."""
        await self.evaluate("global.found = undefined")
        await self.evaluate(
            "imports.gi.St.Clipboard.get_default().get_text(imports.gi.St.ClipboardType.CLIPBOARD, (_, text) => { global.found = text ?? ''; })"
        )
        await until(self._has_found, "the clipboard's content")
        return str(await self.evaluate("global.found"))

    async def make_plain(self) -> None:
        """Set a plain background."""
        background = "org.gnome.desktop.background"
        for key, value in {"picture-uri": "", "picture-uri-dark": "", "primary-color": PLAIN}.items():
            await self.stage.run("gsettings", "set", background, key, value)

    async def show_menu(self, *, microphones: bool = False) -> None:
        """Open the indicator's menu, with the list of microphones unfolded if requested."""
        await self.evaluate(f"{INDICATOR}.menu.open()")
        if microphones:
            await self.evaluate(f"{INDICATOR}.menu._getMenuItems().find(item => item.menu).menu.open()")
        await settled()

    async def hide_menu(self) -> None:
        await self.evaluate(f"{INDICATOR}.menu.close()")
        await settled()

    async def menu_area(self) -> tuple[int, int, int, int]:
        """Return left, top, width and height of the open menu with its end of the panel above it."""
        left, right, bottom = await self.evaluate(
            "(area => [area.get_x(), area.get_bottom_right().x, area.get_bottom_right().y])"
            f"({INDICATOR}.menu.actor.get_transformed_extents())"
        )
        if left + right < self.width:
            return 0, 0, int(right) + 12, int(bottom) + 8
        return int(left) - 12, 0, self.width - int(left) + 12, int(bottom) + 8

    async def vary(self, name: str, *, back: bool = False) -> None:
        """Change the desktop's setting of that variant, or reset it."""
        schema, key, value = SETTINGS[name]
        await self.stage.run("gsettings", *(("reset", schema, key) if back else ("set", schema, key, value)))
        await settled()

    async def show_preferences(self) -> None:
        await self.stage.run("gnome-extensions", "prefs", UUID)
        await until(self._has_preferences, "the preferences")
        await settled()

    async def close_preferences(self) -> None:
        """End the process of the preferences, which takes over new colours only at its start here."""
        bus = "org.freedesktop.DBus"
        name = f"{SHELL}.Extensions"
        os.kill(
            await self.stage.ask(bus, "/org/freedesktop/DBus", bus, "GetConnectionUnixProcessID", "s", name), SIGTERM
        )
        await until(self._has_no_preferences, "the end of the preferences")

    async def screenshot(self, name: str) -> Path:
        """Take a screenshot of the whole screen; return its file."""
        file = f"{RUNTIME}/{name}.png"
        path = "/org/gnome/Shell/Screenshot"
        await self.stage.ask(
            f"{SHELL}.Screenshot", path, f"{SHELL}.Screenshot", "Screenshot", "bbs", False, False, file
        )
        return self.stage.inside(file)

    async def focused(self) -> str:
        """Return the title of the window that has the focus."""
        return str(await self.evaluate("global.display.focus_window?.get_title() ?? ''"))

    async def _has_preferences(self) -> bool:
        return await self.focused() == "ColdVox Dictation"

    async def _has_no_preferences(self) -> bool:
        return not await self._has_preferences()

    async def _light(self) -> tuple[float, float]:
        """Return the middle of the indicator."""
        x, y = await self.evaluate(
            f"(extents => [extents.get_x() + extents.get_width() / 2, extents.get_y() + extents.get_height() / 2])"
            f"({INDICATOR}.get_transformed_extents())"
        )
        return x, y

    async def _click(self, x: float, y: float) -> None:
        await self._point(x, y)
        await self._press(LEFT)

    async def _point(self, x: float, y: float) -> None:
        await self.evaluate(f"global.mouse ??= {SEAT}.create_virtual_device({DEVICES}.POINTER_DEVICE), 0")
        await self.evaluate(f"global.mouse.notify_absolute_motion({NOW}, {x}, {y})")
        await asyncio.sleep(HAND_S)

    async def _press(self, button: int) -> None:
        for state in ("PRESSED", "RELEASED"):
            await self.evaluate(f"global.mouse.notify_button({NOW}, {button}, imports.gi.Clutter.ButtonState.{state})")
            await asyncio.sleep(HAND_S)

    async def is_in_letter(self) -> bool:
        """Return whether the window that receives the text has the focus."""
        return await self.focused() == "Letter"

    async def _is_asked(self) -> bool:
        return await self.focused() == "Remote Desktop"

    async def _offers_keys(self) -> bool:
        return await self.focused() == "Add Keyboard Shortcuts"

    async def _has_found(self) -> bool:
        return bool(await self.evaluate("global.found !== undefined"))

    async def _is_up(self) -> bool:
        try:
            return bool(await self.evaluate("Main.layoutManager._startingUp === false"))
        except BusError:
            return False

    async def _has_no_overview(self) -> bool:
        """Hide the overview, which may open late; return whether it is hidden."""
        return not await self.evaluate("Main.overview.hide(), Main.overview.visible")

    async def _is_enabled(self) -> bool:
        found = await self.evaluate(
            f"(e => e ? [e.state, String(e.error)] : null)(Main.extensionManager.lookup('{UUID}'))"
        )
        if found and found[0] in BROKEN:
            raise StageError(f"the extension's state is {found}: {self.stage.log('gnome-shell').read_text()}")
        return bool(found and found[0] == ACTIVE)

    async def _is_disabled(self) -> bool:
        return bool(await self.evaluate(f"Main.extensionManager.lookup('{UUID}').state") == INACTIVE)

    async def _key(self, keysym: int) -> None:
        for down in (True, False):
            await self._do("NotifyKeyboardKeysym", "ub", keysym, down)

    async def _do(self, member: str, signature: str = "", *body: Any) -> None:
        await self.stage.ask(REMOTE, self._remote, f"{REMOTE}.Session", member, signature, *body)
