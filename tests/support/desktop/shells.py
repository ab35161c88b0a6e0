"""Real shells in terminal windows; the window's text is all that the shell writes."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.support.desktop.windows import DEBIAN_PYTHON, SwayDesktop, Window, XDesktop
from tests.support.eventually import eventually_blocking

PROMPT = "ready>"
SHELLS = {
    "bash": ["--norc", "--noprofile"],
    "zsh": ["-f"],
    "fish": ["--init-command", f"function fish_prompt; echo '{PROMPT}'; end; function fish_title; end"],
    "dash": ["-i"],
}
"""Options by shell, for one without the user's settings."""

_RECORDER = """
import os, pty, sys
out = open(sys.argv[1], "ab", buffering=0)
os.chdir(os.path.dirname(sys.argv[1]))
def read(terminal):
    data = os.read(terminal, 4096)
    out.write(data)
    return data
open(sys.argv[1] + ".running", "w").close()
pty.spawn(sys.argv[2:], read)
"""


def shell_window(desktop: XDesktop | SwayDesktop, name: str, shell: str, home: Path) -> Window:
    """Run a shell in xterm or foot, in the desktop's directory; it has shown its prompt when this returns.

    fish writes to its `home` when its terminal is closed.
    """
    title, option = ("-T", ["-e"]) if isinstance(desktop, XDesktop) else ("--title", [])
    terminal = "xterm" if isinstance(desktop, XDesktop) else "foot"
    command = [*_recorder(desktop, name), shutil.which(shell) or shell, *SHELLS[shell]]
    window = desktop.spawn(name, terminal, title, name, *option, "env", f"PS1={PROMPT}", f"HOME={home}", *command)
    eventually_blocking(lambda: window.runs and PROMPT in window.text, what=f"the prompt of {shell}")
    desktop.focus(name)
    return window


def press_enter(desktop: XDesktop | SwayDesktop) -> None:
    """Press Enter as a user does."""
    desktop.run(*(("xdotool", "key", "Return") if isinstance(desktop, XDesktop) else ("wtype", "-k", "Return")))


def _recorder(desktop: XDesktop | SwayDesktop, name: str) -> Sequence[str]:
    return [DEBIAN_PYTHON, "-c", _RECORDER, str(desktop.directory / name)]
