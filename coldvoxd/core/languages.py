"""Languages that can be selected for a multilingual model, and the scripts in which they are written. Pure.

A language has an ISO 639-1 code of two letters, such as `de`. The vocabulary of a multilingual Parakeet has a token for each,
such as `<|de|>`.
"""

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from coldvoxd.core.errors import NotSupported, shown
from coldvoxd.core.toml_spelling import toml_spelling

if TYPE_CHECKING:  # it imports numpy, and the command line must start fast
    from coldvoxd.core.values import EngineStatus

AUTO = "auto"
"""No language is selected: the model recognizes whichever it hears."""
ENGLISH = ("en",)
EUROPEAN = (
    "bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "hr", "hu", "it", "lt", "lv", "mt", "nl", "pl", "pt", "ro", "ru",
    "sk", "sl", "sv", "uk",
)  # fmt: skip
"""The languages that parakeet-tdt-0.6b-v3 was trained for. Its vocabulary has tokens for about 180."""
MULTILINGUAL_MODEL = "parakeet-tdt-0.6b-v3"
_CODE = re.compile(r"[a-z]{2}")
_LATIN = frozenset(EUROPEAN) - {"bg", "el", "ru", "uk"}
_NO_SCRIPT = frozenset({"FEMININE", "MASCULINE", "MICRO", "MODIFIER"})
"""First words of the Unicode names of letters that texts in any script may have: `ª`, `º`, `µ`, and modifiers."""


class LanguageMeans(StrEnum):
    """What a selected language changes in the decoding."""

    BOTH = "both"
    TOKEN = "token"  # noqa: S105 - one of a vocabulary
    """The prediction network reads the language's token before each utterance."""
    SCRIPT = "script"
    """Tokens with letters of another script are excluded."""


def is_code(text: str) -> bool:
    """Return whether a text has the form of a language's code."""
    return _CODE.fullmatch(text) is not None


def canonical(text: str) -> str:
    """Return the code of a language tag such as `DE`, `de-DE` or `de_DE.UTF-8`: its first part, in lower case.

    Regions are dropped, because models have one token for a language. The result need not be a code.
    """
    return re.split(r"[-_.@]", text.strip().lower(), maxsplit=1)[0]


def parse_setting(value: object) -> str:
    """Return `auto` or a code, from a value in the settings. Raises ValueError, which completes a sentence."""
    code = canonical(value) if isinstance(value, str) else ""
    if isinstance(value, str) and not value.strip():
        raise ValueError(f"is empty; leave it out for the default, `{AUTO}`")
    if code != AUTO and not is_code(code):
        raise ValueError(
            f"must be `{AUTO}` or a language's code of two letters, such as `de`, not {toml_spelling(value)}"
        )
    return code


def check(code: str, engine: "EngineStatus") -> None:
    """Raise NotSupported if the loaded model does not recognize the language of this code; `auto` and "" always pass.

    While no model is loaded, its languages are unknown, and every code passes.
    """
    if code in {"", AUTO} or code in engine.languages or (is_code(code) and not engine.ready):
        return
    raise NotSupported(unsupported(code, engine.model, engine.languages))


def unsupported(code: str, model: str, languages: Sequence[str]) -> str:
    """Return the message for a language that a model lacks: what is possible. `languages` are those that it has."""
    wanted = f"the language '{shown(code)}'"
    if len(languages) > 1:
        return f"The model {model} does not recognize {wanted}. Possible are: {AUTO}, {', '.join(languages)}."
    if not is_code(code):
        return f"There is no {wanted.removeprefix('the ')}: name one by its code of two letters, such as `de`, or `{AUTO}`."
    if languages:
        text = f"The model {model} recognizes '{languages[0]}' only, and not {wanted}: omit the language."
    else:
        text = f"The vocabulary of the model {model} has no languages to select, such as {wanted}: omit the language."
    return f"{text} {_other_model()}" if code in EUROPEAN else text


def ignored(model: str, setting: str = "") -> str:
    """Return the message for a language of the settings that the loaded model lacks; `setting` is empty if it is unknown."""
    named = f"the language '{shown(setting)}' of" if setting else "the language in"
    other = f" Or use another model. {_other_model()}" if setting in {"", *EUROPEAN} else ""
    return (
        f"The model {model} does not recognize {named} the settings, and recognizes as with `{AUTO}`: change the setting "
        f"with `coldvoxctl config set dictation.language {AUTO}`.{other}"
    )


def _other_model() -> str:
    return f"{MULTILINGUAL_MODEL} recognizes {', '.join(EUROPEAN)}: `coldvoxctl model pull {MULTILINGUAL_MODEL} --use`."


def in_force(requested: str, setting: str, engine: "EngineStatus") -> str:
    """Return the language of a session or file: `auto` or a code.

    `requested` is empty if the caller leaves it to the setting. A language of the settings that the loaded model lacks is
    ignored, because speech must become text; `is_ignored` is then true.
    """
    if requested:
        return requested
    return AUTO if is_ignored(setting, engine) else setting


def is_ignored(setting: str, engine: "EngineStatus") -> bool:
    """Return whether the loaded model lacks the language of the settings."""
    return engine.ready and setting != AUTO and setting not in engine.languages


def is_foreign(text: str, code: str) -> bool:
    """Return whether a text has a letter of a script in which this language is not written.

    False for a language whose script is not known here.
    """
    script = _script_of(code)
    return bool(script) and any(_is_of_another(letter, script) for letter in text if letter.isalpha())


def _script_of(code: str) -> str:
    """Return the script of a language as Unicode names begin with it; empty if it is not known here."""
    if code in _LATIN:
        return "LATIN"
    return {"bg": "CYRILLIC", "ru": "CYRILLIC", "uk": "CYRILLIC", "el": "GREEK"}.get(code, "")


def _is_of_another(letter: str, script: str) -> bool:
    return unicodedata.name(letter, script).split()[0] not in {script, *_NO_SCRIPT}
