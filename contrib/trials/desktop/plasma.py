"""Plasma 6 on an X server of its own, with the widget in its panel; its keys and clicks are the X server's."""

import re
from pathlib import Path

from stage import CHECKOUT, HOME, RUNTIME, BusError, Stage, StageError, settled, until

SHELL = "org.kde.plasmashell"
WIDGET = "org.coldvox.dictation"
DISPLAY = ":97"
LIBEXEC = "/usr/lib/x86_64-linux-gnu/libexec"
DAEMONS = {"kglobalacceld": "org.kde.kglobalaccel", "kactivitymanagerd": "org.kde.ActivityManager"}
"""What systemd starts for Plasma, and the names by which they are known on the bus."""
MIDDLE = 2
FROM_RIGHT, FROM_BOTTOM = 125, 20
"""Where the light is, from the corner of the screen."""
MENU_HEIGHT = 100
"""The popup is higher, and narrower than the panel."""
KEYS = "super+alt+d"
LAYOUT = f"""
const all = panels();
all.forEach(panel => panel.remove());
const panel = new Panel;
panel.location = "bottom";
panel.height = 40;
panel.floating = false;
panel.addWidget("org.kde.plasma.kickoff");
panel.addWidget("org.kde.plasma.panelspacer");
const widget = panel.addWidget("{WIDGET}");
widget.globalShortcut = "Meta+Alt+D";
panel.addWidget("org.kde.plasma.digitalclock");
print(widget.id);
"""


class Plasma:
    """Plasma's shell, its window manager and its keeper of shortcuts."""

    name = "plasma"
    installer = "desktop/plasma/install.sh"
    place = f"{HOME}/.local/share/plasma/plasmoids/{WIDGET}"

    def __init__(self, stage: Stage, width: int = 1024, height: int = 640) -> None:
        self.stage = stage
        self.width, self.height = width, height
        self._widget = ""
        stage.environment |= {
            "DISPLAY": DISPLAY,
            "XDG_SESSION_TYPE": "x11",
            "XDG_CURRENT_DESKTOP": "KDE",
            "KDE_FULL_SESSION": "true",
            "KDE_SESSION_VERSION": "6",
            "QT_QPA_PLATFORM": "xcb",
            "QT_QUICK_BACKEND": "software",
            "QT_LOGGING_RULES": "qml.debug=true",
            "XDG_CONFIG_HOME": f"{HOME}/.config",
            "GDK_BACKEND": "x11",
        }

    async def start(self, language: str = "C.UTF-8") -> None:
        """With the widget in the panel and Meta+Alt+D as its key."""
        stage = self.stage
        stage.environment["LANG"] = language
        await stage.run(f"{CHECKOUT}/contrib/{self.installer}")
        stage.start("xvfb", "Xvfb", DISPLAY, "-screen", "0", f"{self.width}x{self.height}x24", "-nolisten", "tcp")
        await until(stage.inside(f"/tmp/.X11-unix/X{DISPLAY[1:]}").exists, "the X server")
        for program, name in DAEMONS.items():
            stage.start(program, f"{LIBEXEC}/{program}")
            await until(lambda name=name: self._is_owned(name), name)
        stage.start("kwin", "kwin_x11", KWIN_COMPOSE="N")
        await until(lambda: self._is_owned("org.kde.KWin"), "the window manager")
        stage.start("plasmashell", "plasmashell", "--no-respawn")
        await until(self._is_up, "Plasma's shell")
        self._widget = (await self.evaluate(LAYOUT)).strip()
        await until(self._is_shown, "the widget in the panel")

    async def evaluate(self, script: str) -> str:
        """What Plasma's own scripting prints."""
        return str(await self.stage.ask(SHELL, "/PlasmaShell", "org.kde.PlasmaShell", "evaluateScript", "s", script))

    async def take_keyboard(self) -> None:
        """The first key that xdotool presses changes the X server's keyboard, and Plasma then takes its keys anew."""
        await self.stage.run("xdotool", "key", "Shift_L")
        await settled()

    async def press_shortcut(self) -> None:
        """Meta+Alt+D, by the X server."""
        await self.stage.run("xdotool", "key", KEYS)

    async def click_light(self) -> None:
        """The widget, with the left button, once it knows the state: it asks for that five times a second."""
        await settled()
        await self.click(self.width - FROM_RIGHT, self.height - FROM_BOTTOM)

    async def make_plain(self) -> None:
        """A background that doesn't distract."""
        await self.evaluate(
            'desktops().forEach(one => { one.wallpaperPlugin = "org.kde.color"; '
            'one.currentConfigGroup = ["Wallpaper", "org.kde.color", "General"]; one.writeConfig("Color", "61,90,115"); })'
        )

    async def show_menu(self, *, microphones: bool = False) -> None:
        """The widget's popup."""
        del microphones
        await self.click(self.width - FROM_RIGHT, self.height - FROM_BOTTOM, MIDDLE)
        await settled()

    async def hide_menu(self) -> None:
        await self.click(5, 5)
        await settled()

    async def menu_area(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the popup with the panel below it."""
        found = await self.stage.run(
            "xdotool", "search", "--onlyvisible", "--class", "plasmashell", "getwindowgeometry", "%@"
        )
        places = [tuple(map(int, place)) for place in re.findall(r"Position: (\d+),(\d+)", found)]
        sizes = [tuple(map(int, size)) for size in re.findall(r"Geometry: (\d+)x(\d+)", found)]
        left, top = next(
            place
            for place, size in zip(places, sizes, strict=True)
            if size[0] < self.width - 50 and size[1] > MENU_HEIGHT
        )
        return left - 8, top - 8, self.width - left + 8, self.height - top + 8

    async def click(self, x: int, y: int, button: int = 1) -> None:
        await self.stage.run("xdotool", "mousemove", str(x), str(y), "click", str(button))

    async def disable_and_enable(self) -> None:
        """The widget lives in the shell's process; there is nothing to leave behind in it."""

    def complaints(self) -> str:
        """What the shell's log says against the widget."""
        lines = self.stage.log("plasmashell").read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if WIDGET in line)

    async def screenshot(self, name: str) -> Path:
        """Of the whole screen; the file."""
        file = f"{RUNTIME}/{name}.png"
        await self.stage.run("import", "-window", "root", file)
        return self.stage.inside(file)

    async def focused(self) -> str:
        """The title of the window that has the focus."""
        try:
            return (await self.stage.run("xdotool", "getactivewindow", "getwindowname")).strip()
        except StageError:
            return ""

    async def _is_owned(self, name: str) -> bool:
        bus = "org.freedesktop.DBus"
        return bool(await self.stage.ask(bus, "/org/freedesktop/DBus", bus, "NameHasOwner", "s", name))

    async def _is_up(self) -> bool:
        try:
            return bool(await self.evaluate("print(panels().length)"))
        except BusError:
            return False

    async def _is_shown(self) -> bool:
        """Whether its shortcut is known and it watches for the daemon: both come late where the machine is busy."""
        keeper, bus = "org.kde.kglobalaccel", "org.freedesktop.DBus"
        try:
            names = await self.stage.ask(keeper, "/component/plasmashell", f"{keeper}.Component", "shortcutNames")
        except BusError:
            return False
        rules = await self.stage.ask(bus, "/org/freedesktop/DBus", f"{bus}.Debug.Stats", "GetAllMatchRules")
        watched = any("org.coldvox.Daemon1" in rule for those in rules.values() for rule in those)
        return watched and f"activate widget {self._widget}" in names
