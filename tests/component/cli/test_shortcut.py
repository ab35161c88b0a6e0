"""coldvoxctl shortcut: what it changes in a desktop's settings, and that it reverts only that."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from coldvoxd.cli.exit_codes import Exit, UsageFault
from coldvoxd.cli.shortcuts.gnome import Gnome
from coldvoxd.cli.shortcuts.hyprland import Hyprland
from coldvoxd.cli.shortcuts.key import Key
from coldvoxd.cli.shortcuts.sway import Sway
from coldvoxd.cli.sway_hold import LOCK, Repetition
from tests.component.cli.conftest import Ctl, Result
from tests.support.bus.private_bus import PrivateBus
from tests.support.desktop.windows import as_somebody

Shortcut = Callable[..., Coroutine[Any, Any, Result]]
SWAY = "set $mod Mod4\nbindsym $mod+Return exec foot\nbindsym --no-repeat $mod+Mod1+x exec xterm\n"
HYPRLAND = "$mainMod = SUPER\nbind = $mainMod, Q, exec, kitty\nbindm = $mainMod, mouse:272, movewindow\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def shortcut(ctl: Ctl, bus: PrivateBus, home: Path) -> Shortcut:
    async def run(*arguments: str, **environment: str) -> Result:
        own = {"HOME": str(home), "GSETTINGS_BACKEND": "keyfile", "XDG_CURRENT_DESKTOP": ""}
        unset = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "SWAYSOCK")
        inherited = {name: value for name, value in bus.environment.items() if name not in unset}
        running = await ctl("shortcut", *arguments, environment=inherited | own | environment)
        return await running.ended()

    return run


def files(home: Path) -> dict[str, str]:
    return {str(file.relative_to(home)): file.read_text() for file in sorted(home.rglob("*")) if file.is_file()}


def configured(home: Path, name: str, text: str) -> Path:
    file = home / ".config" / name
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("desktop", "name", "text", "lines"),
    [
        ("sway", "sway/config", SWAY, ["bindsym --no-repeat Mod4+Mod1+d exec", "toggle --from-key"]),
        ("hyprland", "hypr/hyprland.conf", HYPRLAND, ["bind = SUPER ALT, D, exec,", "toggle --from-key"]),
    ],
)
async def test_a_line_includes_a_file_and_both_are_taken_back(
    shortcut: Shortcut, home: Path, desktop: str, name: str, text: str, lines: list[str]
) -> None:
    config = configured(home, name, text.rstrip("\n"))
    before = files(home)
    dry = await shortcut("install", "--desktop", desktop, "--dry-run")
    assert (dry.exit, files(home)) == (0, before)
    done = await shortcut("install", "--desktop", desktop)
    assert (done.exit, done.err) == (0, "")
    assert done.out.startswith(dry.out)
    ours = config.with_name("coldvoxd.conf").read_text()
    assert all(part in ours for part in lines)
    assert config.read_text().startswith(text)
    assert await shortcut("install", "--desktop", desktop)
    assert config.read_text().count("coldvoxd.conf") == 1
    assert lines[0] in (await shortcut("show", "--desktop", desktop)).out
    own = "# my own line, added since\n"
    config.write_text(config.read_text() + own)
    assert (await shortcut("remove", "--desktop", desktop)).exit == 0
    assert files(home) == {f".config/{name}": text + own}
    assert (await shortcut("remove", "--desktop", desktop)).out == "there was nothing to remove\n"


@pytest.mark.parametrize(
    ("desktop", "name", "text", "key", "by"),
    [
        ("sway", "sway/config", SWAY, "Alt+Super+X", "bindsym --no-repeat $mod+Mod1+x exec xterm"),
        ("hyprland", "hypr/hyprland.conf", HYPRLAND, "Super+q", "bind = $mainMod, Q, exec, kitty"),
        (
            "kde",
            "kglobalshortcutsrc",
            "[kwin]\nOverview=Meta+W\\tMeta+F1,Meta+W,Show\n",
            "Super+F1",
            "Overview of kwin",
        ),
    ],
)
async def test_a_key_that_is_taken_is_refused_and_nothing_changed(
    shortcut: Shortcut, home: Path, desktop: str, name: str, text: str, key: str, by: str
) -> None:
    configured(home, name, text)
    before = files(home)
    refused = await shortcut("install", "--desktop", desktop, "--key", key)
    assert refused.exit == 1
    assert "is already in use" in refused.err
    assert by in refused.err
    assert files(home) == before


async def test_holding_is_two_lines(shortcut: Shortcut, home: Path) -> None:
    configured(home, "sway/config", SWAY)
    await shortcut("install", "--desktop", "sway", "--hold", "--key", "Ctrl+F9")
    press, release = (home / ".config/sway/coldvoxd.conf").read_text().splitlines()[1:]
    assert press.startswith("bindsym Ctrl+F9 exec flock --nonblock ")
    assert press.endswith("coldvoxctl shortcut held")
    assert release == "bindsym --release Ctrl+F9 nop coldvoxd-released"


@pytest.mark.heavy
@pytest.mark.programs("sway")
async def test_sway_accepts_keys_as_people_spell_them(shortcut: Shortcut, home: Path) -> None:
    configured(home, "sway/config", "# mine\n")
    bindings = []
    keys = {
        "Super+Enter": "Mod4+Return",
        "super+esc": "Mod4+Escape",
        "Super+PgUp": "Mod4+Page_Up",
        "Ctrl+Del": "Ctrl+Delete",
        "Super+ö": "Mod4+odiaeresis",
        "Super+Alt+É": "Mod4+Mod1+eacute",
        "Super+,": "Mod4+comma",
        "Super+`": "Mod4+grave",
        "Caps": "Caps_Lock",
        "f13": "F13",
        "XF86AudioMicMute": "XF86AudioMicMute",
        "Control_R": "Control_R",
        "Super+KP_Enter": "Mod4+KP_Enter",
    }
    for spelt, expected in keys.items():
        done = await shortcut("install", "--desktop", "sway", "--key", spelt)
        assert (done.exit, done.err) == (0, ""), spelt
        binding = (home / ".config/sway/coldvoxd.conf").read_text().splitlines()[1]
        assert binding.startswith(f"bindsym --no-repeat {expected} exec "), spelt
        bindings.append(binding)
    home.chmod(0o755)
    checked = home / "checked"
    checked.write_text("\n".join(bindings))
    command = [*as_somebody(), "sway", "--validate", "--config", str(checked)]
    runs = {"XDG_RUNTIME_DIR": str(home), "WLR_BACKENDS": "headless", "PATH": os.environ["PATH"]}
    result = subprocess.run(command, env=runs, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


async def test_named_keys_are_spelt_as_the_desktop_does(shortcut: Shortcut, home: Path) -> None:
    for spelt, expected in {"Super+PageDown": "Meta+PgDown", "Super+ö": "Meta+Ö", "Ctrl+esc": "Ctrl+Esc"}.items():
        await shortcut("install", "--desktop", "kde", "--key", spelt)
        (content,) = files(home).values()
        assert f"X-KDE-Shortcuts={expected}\n" in content


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("D", "D alone would no longer reach any program: add Super, Ctrl or Alt, as in Super+Alt+D."),
        ("Shift+Enter", "Shift+Return alone would no longer reach any program"),
        (
            "Super+Foo",
            "Super+Foo is not a key: give modifiers (Super, Ctrl, Alt, Shift) and a letter, a digit, or a key's",
        ),
        ("Super+", "Super+ is not a key"),
    ],
)
async def test_a_key_that_no_desktop_takes_or_everyone_needs_is_refused(
    shortcut: Shortcut, home: Path, key: str, message: str
) -> None:
    configured(home, "sway/config", SWAY)
    before = files(home)
    refused = await shortcut("install", "--desktop", "sway", "--key", key)
    assert refused.exit == 2
    assert message in refused.err
    assert files(home) == before


def test_how_long_a_held_key_is_waited_for_follows_sways_own_repetition() -> None:
    def keyboard(delay_ms: int, rate: int) -> dict[str, object]:
        return {"type": "keyboard", "repeat_delay": delay_ms, "repeat_rate": rate}

    default = Repetition.of([])
    assert default == Repetition.of([{"type": "pointer"}, keyboard(600, 25)])
    slow = Repetition.of([keyboard(600, 25), keyboard(1500, 2)])
    assert (slow.first_s or 0.0) > 1.5 > (default.first_s or 9.9) - 0.6
    assert (slow.next_s or 0.0) > 1.0 > (default.next_s or 9.9)
    assert Repetition.of([keyboard(600, 0)]) == Repetition(None, None)


async def test_plasma_gets_a_service_file(shortcut: Shortcut, home: Path) -> None:
    done = await shortcut("install", XDG_CURRENT_DESKTOP="KDE")
    assert "next login" in done.out
    (name,) = files(home)
    assert name == ".local/share/kglobalaccel/org.coldvox.dictate.desktop"
    assert "X-KDE-Shortcuts=Meta+Alt+D\n" in files(home)[name]
    assert (await shortcut("remove", XDG_CURRENT_DESKTOP="KDE")).exit == 0
    assert files(home) == {}


def lacks_gnome_keys() -> bool:
    """Return whether gsettings is installed without GNOME's list of keys, which is a separate package."""
    if not shutil.which("gsettings"):
        return False  # the marker reports this
    listed = subprocess.run(["gsettings", "list-schemas"], capture_output=True, text=True, check=True).stdout.split()
    return Gnome.SCHEMA not in listed


@pytest.mark.programs("gsettings")
@pytest.mark.skipif(lacks_gnome_keys(), reason="needs GNOME's schemas: gnome-settings-daemon-common")
async def test_gnome_gets_a_custom_shortcut(shortcut: Shortcut, home: Path) -> None:
    done = await shortcut("install", XDG_CURRENT_DESKTOP="ubuntu:GNOME")
    assert (done.exit, done.err) == (0, "")
    shown = await shortcut("show", "--desktop", "gnome")
    assert "<Super><Alt>d runs" in shown.out
    taken = await shortcut("install", "--key", "Super+L", "--desktop", "gnome")
    assert "screensaver of org.gnome.settings-daemon.plugins.media-keys" in taken.err
    assert "<Super><Alt>d runs" in (await shortcut("show", "--desktop", "gnome")).out
    assert (await shortcut("remove", "--desktop", "gnome")).exit == 0
    assert (await shortcut("show", "--desktop", "gnome")).out == "no shortcut of coldvoxd is installed\n"
    assert "coldvoxctl" not in "".join(files(home).values())


async def test_where_a_key_can_not_be_held_it_says_what_can(shortcut: Shortcut, home: Path) -> None:
    for desktop in ("gnome", "kde"):
        refused = await shortcut("install", "--hold", "--desktop", desktop)
        assert refused.exit == 1
        assert "coldvoxctl shortcut portal" in refused.err
    assert files(home) == {}


async def test_wrong_usage_says_what_is_right(shortcut: Shortcut) -> None:
    unknown = await shortcut("install")
    assert (unknown.exit, "--desktop: gnome, kde, sway, hyprland" in unknown.err) == (2, True)
    no_key = await shortcut("install", "--desktop", "kde", "--key", "Hyper+")
    assert (no_key.exit, "as in Super+Alt+D" in no_key.err) == (2, True)
    no_config = await shortcut("install", "--desktop", "sway")
    assert (no_config.exit, "create it first" in no_config.err) == (1, True)
    assert "/sway/config`." in no_config.err or "sway's default configuration" in no_config.err
    hyprland = await shortcut("install", "--desktop", "hyprland")
    assert (hyprland.exit, "start Hyprland, which writes it" in hyprland.err) == (1, True)
    no_sway = await shortcut("held")
    assert (no_sway.exit, no_sway.err) == (
        1,
        "coldvoxctl: SWAYSOCK is not set: sway itself runs this command, from a key binding.\n",
    )
    gone = await shortcut("held", SWAYSOCK="/nonexistent")
    assert "Cannot connect to sway at /nonexistent: No such file or directory. sway itself" in gone.err
    no_action = await shortcut()
    assert no_action.exit == 2


@pytest.mark.parametrize(("released_after_s", "starts"), [(-60.0, True), (60.0, False)])
async def test_a_repetition_that_sway_ran_before_the_release_starts_no_session(
    shortcut: Shortcut, tmp_path: Path, released_after_s: float, starts: bool
) -> None:
    """On a busy machine its process can get a processor only after the session has ended."""
    released_s = time.clock_gettime(time.CLOCK_BOOTTIME) + released_after_s
    (tmp_path / LOCK).write_text(f"{released_s:.3f}")
    held = await shortcut("held", XDG_RUNTIME_DIR=str(tmp_path), SWAYSOCK="/nonexistent")
    assert (held.exit, "Cannot connect to sway" in held.err) == ((1, True) if starts else (0, False))


def test_keys_are_the_same_however_they_are_spelt() -> None:
    wanted = Key.parsed("super+alt+d")
    assert wanted == Key(("Super", "Alt"), "d")
    assert wanted.same_as(Key.parsed("Mod1+Mod4+D"))
    for text in ("", "Super", "Super+", "Foo+d", "d d"):
        with pytest.raises(UsageFault):
            Key.parsed(text)
    assert [str(key) for key, _ in Sway().keys(SWAY)] == ["Super+Return", "Super+Alt+x"]
    assert [str(key) for key, _ in Hyprland().keys(HYPRLAND)] == ["Super+Q"]
    assert Gnome.OWN.endswith("custom-keybinding")


@pytest.mark.parametrize(
    ("desktop", "key", "said"),
    [
        ("XFCE", "Super+Alt+D", "Settings > Keyboard > Application Shortcuts > Add, bind Super+Alt+D to the command `"),
        ("X-Cinnamon", "Ctrl+F9", "Custom Shortcuts > Add custom shortcut, bind Ctrl+F9 to the command `"),
        ("MATE", "Super+Alt+D", "Control Center > Keyboard Shortcuts > Add, bind Super+Alt+D"),
        ("COSMIC", "Super+Alt+D", "Keyboard Shortcuts > Custom > Add shortcut, bind Super+Alt+D"),
        ("i3", "Super+Alt+D", "~/.config/i3/config: `bindsym Mod4+Mod1+d exec --no-startup-id "),
        ("labwc:wlroots", "Ctrl+F9", '~/.config/labwc/rc.xml: `<keybind key="C-F9"><action name="Execute"><command>'),
        ("LXDE", "Super+Alt+D", 'rc.xml: `<keybind key="W-A-d">'),
    ],
)
async def test_other_desktops_are_explained(shortcut: Shortcut, home: Path, desktop: str, key: str, said: str) -> None:
    result = await shortcut("install", "--key", key, XDG_CURRENT_DESKTOP=desktop)
    assert (result.exit, result.out) == (Exit.FAILED, "")
    assert result.err.startswith(f"coldvoxctl: On {desktop} the shortcut is set up by hand. ")
    assert said in result.err
    assert "coldvoxctl toggle --from-key" in result.err
    assert files(home) == {}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("instal",), "invalid choice: 'instal' (did you mean install?). See `coldvoxctl shortcut --help`."),
        (("xyzzy",), "invalid choice: 'xyzzy' (choose from "),
    ],
)
async def test_a_misspelt_command_is_answered_with_the_similar_ones(
    shortcut: Shortcut, command: tuple[str, ...], message: str
) -> None:
    refused = await shortcut(*command)
    assert (refused.exit, message in refused.err) == (Exit.USAGE, True)


async def test_an_unknown_desktop_is_told_the_command(shortcut: Shortcut) -> None:
    result = await shortcut("install", XDG_CURRENT_DESKTOP="Mine")
    assert result.exit == Exit.USAGE
    assert "Name it with --desktop: gnome, kde, sway, hyprland" in result.err
    assert "coldvoxctl toggle --from-key` in its keyboard settings" in result.err
