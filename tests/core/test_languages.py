"""Codes of languages: what is accepted, what is refused and with which words, and which letters belong to which script."""

import re
from dataclasses import replace

import pytest

from coldvoxd.core.errors import NotSupported
from coldvoxd.core.languages import (
    AUTO,
    EUROPEAN,
    MULTILINGUAL_MODEL,
    canonical,
    check,
    ignored,
    in_force,
    is_foreign,
    is_ignored,
    parse_setting,
)
from coldvoxd.core.values import EngineStatus

LOADING = EngineStatus(loading=True)
V2 = EngineStatus(model="parakeet-tdt-0.6b-v2", ready=True, languages=("en",))
V3 = EngineStatus(model="parakeet-tdt-0.6b-v3", ready=True, languages=EUROPEAN)
UNKNOWN = EngineStatus(model="ours", ready=True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("de", "de"),
        ("DE", "de"),
        (" de ", "de"),
        ("de-DE", "de"),
        ("de_DE.UTF-8", "de"),
        ("sr-Latn-RS", "sr"),
        ("Auto", "auto"),
    ],
)
def test_a_tag_of_another_form_is_its_language(text: str, code: str) -> None:
    assert canonical(text) == parse_setting(text) == code


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_setting_is_refused_as_on_the_command_line(value: str) -> None:
    with pytest.raises(ValueError, match="is empty; leave it out for the default, `auto`"):
        parse_setting(value)


@pytest.mark.parametrize(
    ("value", "spelled"), [(True, "true"), (["de"], '["de"]'), ({"a": 1.5}, '{"a": 1.5}'), ("x", "'x'")]
)
def test_a_message_spells_values_as_the_file_does(value: object, spelled: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"`de`, not {spelled}")):
        parse_setting(value)


@pytest.mark.parametrize("value", ["german", "d", "d3", "-de", 5, True, None])
def test_a_setting_that_is_no_code_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"must be `auto` or a language's code of two letters, such as `de`"):
        parse_setting(value)


def test_the_published_model_has_25_languages() -> None:
    assert len(EUROPEAN) == len(set(EUROPEAN)) == 25
    assert list(EUROPEAN) == sorted(EUROPEAN)


@pytest.mark.parametrize("engine", [LOADING, V2, V3, UNKNOWN])
def test_auto_and_no_language_are_always_possible(engine: EngineStatus) -> None:
    for code in ("", AUTO):
        check(code, engine)


def test_the_languages_of_the_loaded_model_are_possible() -> None:
    check("en", V2)
    for code in EUROPEAN:
        check(code, V3)


def test_while_no_model_is_loaded_every_code_is_possible() -> None:
    check("ja", LOADING)
    with pytest.raises(NotSupported, match="There is no language 'german': name one by its code of two letters"):
        check("german", LOADING)


@pytest.mark.parametrize(
    ("code", "engine", "message"),
    [
        ("de", V2, "parakeet-tdt-0.6b-v2 recognizes 'en' only, and not the language 'de'"),
        ("de", V2, "parakeet-tdt-0.6b-v3 recognizes bg, cs, da,"),
        ("de", V2, "`coldvoxctl model pull parakeet-tdt-0.6b-v3 --use`"),
        ("ja", V3, "does not recognize the language 'ja'. Possible are: auto, bg, cs, da, de,"),
        ("german", V3, "does not recognize the language 'german'. Possible are: auto, bg,"),
        ("de", UNKNOWN, "The vocabulary of the model ours has no languages to select"),
    ],
)
def test_the_error_says_what_is_possible(code: str, engine: EngineStatus, message: str) -> None:
    with pytest.raises(NotSupported, match=re.escape(message)):
        check(code, engine)


@pytest.mark.parametrize("engine", [V2, UNKNOWN])
def test_a_model_that_lacks_the_language_too_is_not_recommended(engine: EngineStatus) -> None:
    with pytest.raises(NotSupported, match="the language 'xx'") as raised:
        check("xx", engine)
    assert MULTILINGUAL_MODEL not in str(raised.value)
    assert MULTILINGUAL_MODEL not in ignored(engine.model, "xx")
    assert f"model pull {MULTILINGUAL_MODEL} --use" in ignored(engine.model, "de")
    assert f"The model {engine.model} does not recognize the language 'de' of the settings" in ignored(
        engine.model, "de"
    )


def test_a_long_name_is_shortened_in_the_message() -> None:
    with pytest.raises(NotSupported) as raised:
        check("x" * 5000, V3)
    assert len(str(raised.value)) < 500


def test_the_request_comes_before_the_setting() -> None:
    assert in_force("de", "fr", V3) == "de"
    assert in_force("", "fr", V3) == "fr"
    assert in_force("auto", "fr", V3) == AUTO
    assert in_force("", AUTO, V3) == AUTO


def test_a_setting_that_the_loaded_model_lacks_is_ignored() -> None:
    for engine in (V2, UNKNOWN, replace(V3, languages=("de", "en"))):
        assert in_force("", "fr", engine) == AUTO
        assert is_ignored("fr", engine)
    assert in_force("", "fr", LOADING) == "fr", "the model that loads may have it"
    assert not is_ignored("fr", LOADING)
    assert not is_ignored(AUTO, V2)
    assert not is_ignored("en", V2)


@pytest.mark.parametrize("code", EUROPEAN)
def test_every_published_language_has_a_script(code: str) -> None:
    letters = {"LATIN": "a\u00e6\u0142\u00df\u0146\u010b", "CYRILLIC": "\u0434\u0457\u0454", "GREEK": "\u03b1\u03ce"}
    own = "GREEK" if code == "el" else "CYRILLIC" if code in {"bg", "ru", "uk"} else "LATIN"
    for script, text in letters.items():
        assert is_foreign(text, code) is (script != own)


@pytest.mark.parametrize(
    "text", ["", ".", "\u2581", " 12,5 %", "\u20ac", "\u00b5", "\u00ba", "\u02bc", "\u2026", "\U0001f600"]
)
def test_what_is_in_no_script_is_foreign_to_none(text: str) -> None:
    assert not any(is_foreign(text, code) for code in EUROPEAN)


def test_nothing_is_foreign_to_a_language_whose_script_is_not_known() -> None:
    assert not is_foreign("a\u0434\u03b1", "ja")
