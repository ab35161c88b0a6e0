"""The command line of the daemon."""

import argparse
from pathlib import Path

from coldvoxd import __version__

_EPILOG = """\
Usually systemd starts it: systemctl --user start coldvoxd
Settings: ~/.config/coldvoxd/coldvoxd.toml; environment variables such as COLDVOXD_MODEL_NAME override it.
To control it, see coldvoxctl --help

exit codes: 0 stopped by a signal, 1 failed, 2 invalid arguments, 69 another coldvoxd has the bus name, 78 invalid settings
"""


def command_line() -> argparse.ArgumentParser:
    """The source of --help and the manual page."""
    parser = argparse.ArgumentParser(
        prog="coldvoxd",
        description="Dictation daemon: recognizes speech and sends the text to the session bus.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file instead of the one in ~/.config")
    parser.add_argument("--version", action="version", version=f"coldvoxd {__version__}")
    return parser
