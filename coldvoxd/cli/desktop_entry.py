"""The entry by which desktops know coldvoxd: for their menus, their shortcut settings, and the portals."""

from pathlib import Path

NAME = "org.coldvox.coldvoxd.desktop"
"""Also the id by which portals know our programs, without its ending."""
ACTIONS = {
    "start": "Start dictating",
    "stop": "Stop, and get the text",
    "cancel": "Discard what was said",
    "retry": "Recognize the last utterance again",
}
FROM_KEY = ("start", "stop")
"""Those that can show an error without a terminal."""


def desktop_entry(programs: Path) -> str:
    """The file's content, for coldvoxctl in that directory.

    https://specifications.freedesktop.org/desktop-entry-spec/latest/ has the format.
    """
    program = _quoted(str(programs / "coldvoxctl"))
    lines = [
        "[Desktop Entry]",
        "Type=Application",
        "Version=1.4",
        "Name=ColdVox Dictation",
        "Comment=Start or stop dictation",
        "Icon=audio-input-microphone",
        f"Exec={program} toggle --from-key",
        "Terminal=false",
        "StartupNotify=false",
        "Categories=Utility;Accessibility;",
        "Keywords=dictation;speech;voice;microphone;",
        f"Actions={';'.join(ACTIONS)};",
    ]
    for action, words in ACTIONS.items():
        flag = " --from-key" if action in FROM_KEY else ""
        lines += ["", f"[Desktop Action {action}]", f"Name={words}", f"Exec={program} {action}{flag}"]
    return "\n".join((*lines, ""))


def _quoted(argument: str) -> str:
    """As an argument of an Exec key: quoted, a percent sign doubled, and a backslash once more for the string it is in."""
    for character in '\\"`$':
        argument = argument.replace(character, f"\\{character}")
    return '"' + argument.replace("\\", "\\\\").replace("%", "%%") + '"'
