"""The desktop entry of coldvoxd, for menus, shortcut settings and portals."""

from pathlib import Path

NAME = "org.coldvox.coldvoxd.desktop"
"""The file name; without its suffix, the application ID in portals."""
ACTIONS = {
    "start": "Start dictating",
    "stop": "Stop, and get the text",
    "cancel": "Discard what was said",
    "retry": "Recognize the last utterance again",
}
FROM_KEY = ("start", "stop")
"""The actions that can show an error without a terminal."""


def desktop_entry(programs: Path) -> str:
    """The content of the file, for coldvoxctl in that directory.

    Format: https://specifications.freedesktop.org/desktop-entry-spec/latest/.
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
    """An argument of an Exec key: quoted, percent signs doubled, and backslashes escaped again for the string type."""
    for character in '\\"`$':
        argument = argument.replace(character, f"\\{character}")
    return '"' + argument.replace("\\", "\\\\").replace("%", "%%") + '"'
