"""The rules of coldvox-type for texts and applications."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coldvoxd.typist.chord_names import canonical
from coldvoxd.typist.dictated import Dictated, plain
from coldvoxd.typist.errors import TypeSettingsError
from coldvoxd.typist.ledger import LONGEST, PAIRS, Ledger
from coldvoxd.typist.methods import LONGEST_TYPED, ways
from coldvoxd.typist.settings import BUILT_IN, Method, Rule, Selection, load
from tests.support.desktop.typing_client import ROOT

TYPED_FIRST = [Method.TYPE, Method.PASTE, Method.CLIPBOARD]
PASTED_FIRST = [Method.PASTE, Method.CLIPBOARD]
X11 = {"DISPLAY": ":0", "XDG_CURRENT_DESKTOP": "KDE"}
SWAY = {"WAYLAND_DISPLAY": "wayland-1", "XDG_CURRENT_DESKTOP": "sway"}
GNOME = {"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0", "XDG_CURRENT_DESKTOP": "ubuntu:GNOME"}


@pytest.mark.parametrize(
    ("text", "wayland", "expected"),
    [
        ("Plain.", False, TYPED_FIRST),
        ("Zoë.", False, PASTED_FIRST),
        ("Zoë.", True, TYPED_FIRST),
        ("Zoë 😀.", True, PASTED_FIRST),
        ("x" * (LONGEST_TYPED + 1), False, PASTED_FIRST),
        ("x" * (LONGEST_TYPED + 1), True, PASTED_FIRST),
        ("One.\nTwo.", False, PASTED_FIRST),
        ("One.\nTwo.", True, PASTED_FIRST),
        ("One.\tTwo.", False, PASTED_FIRST),
        ("One.\tTwo.", True, PASTED_FIRST),
    ],
)
def test_by_itself_it_types_what_is_short_and_typeable(text: str, wayland: bool, expected: list[Method]) -> None:
    assert ways(Rule(), text, SWAY if wayland else X11) == expected


def test_a_method_that_was_asked_for_is_followed_by_the_clipboard_only() -> None:
    assert ways(Rule(Method.TYPE), "Zoë.", X11) == [Method.TYPE, Method.CLIPBOARD]
    assert ways(Rule(Method.TYPE), "One.\n", X11) == [Method.TYPE, Method.CLIPBOARD]
    assert ways(Rule(Method.PASTE), "a", X11) == PASTED_FIRST
    assert ways(Rule(Method.CLIPBOARD), "a", X11) == [Method.CLIPBOARD]


def test_where_no_program_may_press_keys_the_portal_does() -> None:
    by_portal = [Method.PORTAL, Method.CLIPBOARD]
    assert ways(Rule(), "Short.", GNOME) == by_portal
    assert ways(Rule(Method.PASTE), "Short.", GNOME) == by_portal
    assert ways(Rule(Method.PORTAL), "Short.", SWAY) == by_portal
    assert ways(Rule(Method.CLIPBOARD), "Short.", GNOME) == [Method.CLIPBOARD]


def test_own_rules_stand_over_general_ones_and_those_over_what_is_built_in(tmp_path: Path) -> None:
    file = tmp_path / "type.toml"
    file.write_text('delay_ms = 7\n[applications.XTerm]\nmethod = "paste"\n[applications.firefox]\nchord = "ctrl+b"\n')
    settings = load(file)
    assert settings.rule_for("anything") == Rule(delay_ms=7)
    assert settings.rule_for("xterm") == Rule(Method.PASTE, "shift+Insert", Selection.PRIMARY, 7)
    assert settings.rule_for("firefox") == Rule(chord="ctrl+b", delay_ms=7)
    assert settings.rule_for("kitty") == Rule(chord="ctrl+shift+v", delay_ms=7)


@pytest.mark.parametrize(
    ("names", "chord", "selection"),
    [
        (("gnome-terminal", "gnome-terminal-server"), "ctrl+shift+v", Selection.CLIPBOARD),
        (("mate-terminal", "mate-terminal"), "ctrl+shift+v", Selection.CLIPBOARD),
        (("lxterminal", "lxterminal"), "ctrl+shift+v", Selection.CLIPBOARD),
        (("terminator", "terminator"), "ctrl+shift+v", Selection.CLIPBOARD),
        (("qterminal", "qterminal"), "ctrl+shift+v", Selection.CLIPBOARD),
        (("guake", "guake"), "ctrl+shift+v", Selection.CLIPBOARD),
        (("tilda", "tilda"), "ctrl+shift+v", Selection.CLIPBOARD),
        (("terminology", "terminology"), "ctrl+shift+v", Selection.CLIPBOARD),
        (("st-256color", "st-256color"), "ctrl+shift+v", Selection.CLIPBOARD),
        (("cool-retro-term.cool-retro-term", ""), "ctrl+shift+v", Selection.CLIPBOARD),
        (("termit", "termit"), "shift+Insert", Selection.CLIPBOARD),
        (("pterm", "pterm"), "shift+Insert", Selection.PRIMARY),
        (("zutty", "zutty"), "shift+Insert", Selection.PRIMARY),
        (("urxvt", "urxvt"), "shift+Insert", Selection.PRIMARY),
        (("own-title", "xterm"), "shift+Insert", Selection.PRIMARY),
        (("firefox", "navigator"), "ctrl+v", Selection.CLIPBOARD),
    ],
)
def test_terminals_are_known_by_the_class_or_the_instance_of_their_windows(
    tmp_path: Path, names: tuple[str, str], chord: str, selection: Selection
) -> None:
    assert load(tmp_path / "none.toml").rule_for(*names) == Rule(chord=chord, selection=selection)


def test_no_file_is_no_fault(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml").rule_for("") == Rule()


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("none.toml", "No such file or directory"),
        ("link.toml", "No such file or directory"),
        ("file/type.toml", "Not a directory"),
        ("", "Is a directory"),
    ],
)
def test_a_settings_file_named_explicitly_must_exist(tmp_path: Path, place: str, reason: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link.toml").symlink_to("none.toml")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/none",
    }
    command = [sys.executable, "-m", "coldvoxd.typist", "--config", str(tmp_path / place)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert str(tmp_path / place) in ended.stderr
    assert reason in ended.stderr


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("method = 3", "type.toml, line 1: `method` must be a word in quotes, not 3."),
        (
            'method = "shout"',
            "type.toml, line 1: `method` must be one of auto, type, paste, portal, clipboard, not 'shout'",
        ),
        ("delay_ms = -1", "type.toml, line 1: `delay_ms` must be a whole number from 0 to 1000, not -1"),
        (
            "\n\nspeed = 1",
            (
                "type.toml, line 3: there is no setting `speed`; there are chord, delay_ms, method, selection, and for an "
                "application the same ones below [applications.NAME]."
            ),
        ),
        ("# x\n[foot]\nspeed = 1", "type.toml, line 2: there is no setting `foot`"),
        (
            'chord = "ctrl+nope"',
            "type.toml, line 1: `chord` is 'ctrl+nope', which has no key `nope`: write a character",
        ),
        (
            'chord = "hyper+v"',
            "`chord` is 'hyper+v', which has no modifier `hyper`: there are ctrl, shift, alt, super.",
        ),
        ('chord = "ctrl+"', "which ends without a key: write a character after it"),
        ('chord = ""', "`chord` must be a word in quotes, not ''"),
        ('[applications.foot]\n\nchord = "ctrl+nope"', "type.toml, line 3: `chord` is 'ctrl+nope'"),
        ("[applications]\nfoot = 1", "type.toml, line 2: applications.foot must be a table, as in"),
        ('[applications.foot]\nselection = "x"', "type.toml, line 2: `selection` must be one of clipboard, primary"),
        ("applications = 1", "applications must be tables, as in"),
        ("method =", "type.toml is not TOML: Invalid value (at"),
        ("delay_ms = " + "[" * 20_000, "type.toml cannot be used: it is nested more than 32 levels deep."),
        ("delay_ms = " + "9" * 10_000, "type.toml cannot be used: a whole number in it has more than 64 bits."),
    ],
)
def test_what_is_wrong_in_the_settings_is_named_with_its_place(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "type.toml"
    file.write_text(content)
    with pytest.raises(TypeSettingsError, match=r"type\.toml") as raised:
        load(file)
    assert complaint in str(raised.value)


@pytest.mark.parametrize(
    ("written", "chord"),
    [
        ("Ctrl+V", "ctrl+V"),
        ("control+shift+v", "ctrl+shift+v"),
        ("shift+insert", "shift+Insert"),
        ("logo+f13", "super+F13"),
        ("shift+ins", "shift+Insert"),
        ("ctrl+PgUp", "ctrl+Page_Up"),
        ("XF86Paste", "XF86Paste"),
        ("ctrl+é", "ctrl+é"),
    ],
)
def test_a_chord_is_read_in_the_spelling_of_x11(tmp_path: Path, written: str, chord: str) -> None:
    file = tmp_path / "type.toml"
    file.write_text(f'chord = "{written}"')
    assert load(file).rule == Rule(chord=chord)


def test_every_built_in_chord_is_in_that_spelling() -> None:
    for rule in BUILT_IN.values():
        assert canonical(rule["chord"]) == rule["chord"]


def test_lines_and_tabs_stay_and_what_steers_terminals_goes() -> None:
    assert plain("a\nb\tc\x1b[1m\x00\x9bd") == "a\nb\tc[1md"


def test_spaces_of_all_kinds_stay_and_all_line_ends_become_newlines() -> None:
    assert plain("5\u00a0€ 1\u202f000 日\u3000本\r\nb\u2028c\u0085d") == "5\u00a0€ 1\u202f000 日\u3000本\nb\nc\nd"
    assert plain("a\r\n\r\nb\rc\vd\fe\u2029") == "a\n\nb\nc\nd\ne\n"
    assert plain("\u202e👨\u200d👩 व\u200cर") == "👨\u200d👩 व\u200cर"


def test_the_memory_is_bounded_and_outlives_its_process(tmp_path: Path) -> None:
    memory = Ledger(tmp_path / "memory")
    for number in range(PAIRS + 1):
        memory.note((7, number))
    again = Ledger(tmp_path / "memory")
    assert not again.knows((7, 0))
    assert again.knows((7, 1))
    assert again.knows((7, PAIRS))
    assert (again.previous(7), again.previous(8)) == (PAIRS, 0)
    again.add_undelivered(text_of(1, "Older."))
    again.add_undelivered(text_of(2, "x" * LONGEST + "."))
    assert memory.undelivered() == "x" * (LONGEST - 1) + "."


def test_a_damaged_memory_is_an_empty_one(tmp_path: Path) -> None:
    memory = Ledger(tmp_path / "memory")
    (tmp_path / "memory" / "handled").write_text("half of i")
    assert not memory.knows((1, 1))
    memory.note((1, 1))
    assert memory.knows((1, 1))


def text_of(utterance: int, text: str) -> Dictated:
    """Return a text that continues none."""
    return Dictated(text, text, session=1, utterance=utterance)


def test_texts_are_removed_once_they_are_delivered_and_others_stay(tmp_path: Path) -> None:
    memory = Ledger(tmp_path / "memory")
    for number, text in enumerate(("One.", "Two three.", "Four.")):
        memory.add_undelivered(text_of(number, text))
    assert memory.undelivered() == "One. Two three. Four."
    memory.settle([(1, 0)])
    memory.settle([(1, 2), (2, 1)])
    assert memory.undelivered() == "Two three."
    memory.settle([(1, 1)])
    assert memory.undelivered() == ""
    assert memory.undelivered_texts() == []


def test_undelivered_texts_keep_their_line_breaks_and_spaces(tmp_path: Path) -> None:
    memory = Ledger(tmp_path / "memory")
    for number, text in enumerate(("One:\n", "two\u00a0", "\nthree.")):
        memory.add_undelivered(text_of(number, text))
    assert memory.undelivered() == "One:\ntwo\u00a0\nthree."
    memory.settle([(1, 2)])
    assert memory.undelivered() == "One:\ntwo\u00a0"


@pytest.mark.parametrize("text", [" ", "\n", "\u00a0"])
def test_a_text_of_spaces_or_a_line_break_is_settled_like_any_other(tmp_path: Path, text: str) -> None:
    memory = Ledger(tmp_path / "memory")
    for older in ("", "One two."):
        if older:
            memory.add_undelivered(text_of(1, older))
        memory.add_undelivered(text_of(2, text))
        memory.settle([(1, 2)])
        assert memory.undelivered() == older


def test_a_text_left_in_the_clipboard_does_not_stay_with_those_that_reached_nothing(tmp_path: Path) -> None:
    memory = Ledger(tmp_path / "memory")
    memory.add_undelivered(text_of(1, "Never anywhere."))
    memory.add_undelivered(text_of(2, "In the clipboard."))
    memory.note_left([(1, 2)])
    assert memory.undelivered() == "Never anywhere. In the clipboard."
    memory.drop_left([(1, 1)])
    assert memory.undelivered() == "Never anywhere. In the clipboard."
    memory.drop_left()
    memory.drop_left()
    assert memory.undelivered() == "Never anywhere."


def test_undelivered_text_of_an_earlier_version_is_delivered(tmp_path: Path) -> None:
    memory = Ledger(tmp_path / "memory")
    (tmp_path / "memory" / "undelivered").write_text("One. [2]")
    memory.add_undelivered(text_of(1, "Two."))
    assert memory.undelivered() == "One. [2] Two."
    memory.settle(text.pair for text in memory.undelivered_texts())
    assert memory.undelivered() == ""


def test_a_damaged_place_is_none(tmp_path: Path) -> None:
    memory = Ledger(tmp_path / "memory")
    for nonsense in ("half of i", "[]"):
        (tmp_path / "memory" / "place").write_text(nonsense)
        assert memory.place() == {}
