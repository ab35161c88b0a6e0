"""Settings: valid input is parsed, and invalid input is reported with its line."""

from pathlib import Path

import pytest

from coldvoxd.core.errors import SettingsError
from coldvoxd.core.settings import Settings
from coldvoxd.settings_file import describe, load

DEEP = "it is nested more than 32 levels deep"
LARGE = "a whole number in it has more than 64 bits"
UNPARSABLE = [
    ("a = " + "[" * 20_000 + "]" * 20_000, DEEP),
    ("a = " + "[" * 50 + "]" * 50, DEEP),
    ("a = " + "{b = " * 20_000 + "1" + "}" * 20_000, DEEP),
    (".".join("a" * 20_000) + " = 1", DEEP),
    ("[model]\nname." + ".".join("a" * 50) + " = 1", DEEP),
    ("[" + " . ".join(['"a"'] * 20_000) + "]", DEEP),
    ("a = " + "9" * 10_000, LARGE),
    ("[endpoint]\nhangover_ms = 0x" + "f" * 10_000, LARGE),
]
"""Texts that end tomllib with RecursionError or another error than its own, or take minutes, or cannot be printed."""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "coldvoxd.toml"
    path.write_text(text)
    return path


def test_no_file_and_no_environment_are_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load(environment={}) == Settings()


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nothing\.toml cannot be read: No such file or directory\.$"):
        load(tmp_path / "nothing.toml", {})


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    settings = load(written(tmp_path, '[model]\nname = "mini"\n[endpoint]\nmax_utterance_s = 30\n'), {})
    assert settings.model.name == "mini"
    assert settings.endpoint.max_utterance_s == 30.0
    assert settings.microphone == Settings().microphone


def test_the_environment_goes_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[endpoint]\nhangover_ms = 700\n")
    settings = load(path, {"COLDVOXD_ENDPOINT_HANGOVER_MS": "900", "COLDVOXD_LOG_SPOKEN_TEXT": "true", "HOME": "/"})
    assert settings.endpoint.hangover_ms == 900
    assert settings.log.spoken_text is True


@pytest.mark.parametrize("value", ["3", '"3"', "'03'"])
def test_a_channel_is_a_number_with_or_without_quotes(tmp_path: Path, value: str) -> None:
    assert load(written(tmp_path, f"[microphone]\nchannel = {value}\n"), {}).microphone.channel == "3"
    assert load(None, {"COLDVOXD_MICROPHONE_CHANNEL": value.strip("\"'")}).microphone.channel == "3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('\n[model]\nnmae = "mini"\n', r"line 3: \[model\] has no setting `nmae`; it has .*`name`"),
        ("[modle]\n", r"line 1: there is no section \[modle\]; the sections are .*`model`"),
        ('[endpoint]\n\n\nhangover_ms = "long"\n', r"line 4: `hangover_ms` must be a whole number, not 'long'"),
        ("[model]\ntemperature = 1e-40\n", r"line 2: `temperature` must be 0, or from 0.01 to 10.0, not 1e-40"),
        ("[model]\ntemperature = nan\n", r"line 2: `temperature` must be 0, or from 0.01 to 10.0, not nan"),
        ("[endpoint]\nhangover_ms = 50\n", r"line 2: `hangover_ms` must be from 96 to 5000, not 50"),
        ("[endpoint]\nhangover_ms = true\n", r"line 2: `hangover_ms` must be a whole number"),
        (
            '[model]\nprecision = "fp12"\n',
            r"line 2: `precision` must be one of `auto`, `fp16`, `fp32`, `int8`, not 'fp12'",
        ),
        (
            '[microphone]\nchannel = "middle"\n',
            r"line 2: `channel` must be auto, mix, left, right or a channel's number from 1 to 32, not 'middle'\.",
        ),
        ("[microphone]\nchannel = 0\n", r"line 2: `channel` must be auto, .*, not 0\."),
        ("[microphone]\nchannel = true\n", r"line 2: `channel` must be auto, .*, not true\."),
        ("[model\n", r"is not TOML: .*line 1"),
        ("model = 3\n", r"line 1: `model` is a section"),
        ('model.nmae = "x"\n', r"line 1: \[model\] has no setting `nmae`"),
        ('\nname = "mini"\n', r"line 2: `name` is outside of a section; write it below \[model\]\."),
        (
            "idle_release_s = 3\n",
            r"line 1: `idle_release_s` is outside of a section; write it below \[gpu\] or \[microphone\]",
        ),
        ("nmae = 3\n", r"line 1: there is no setting `nmae`, and it is outside of a section; the sections are "),
        ("[[model]]\n", r"line 1: `model` is a section; write \[model\]"),
        ('[model]\nname = ""\n', r"line 2: `name` is empty; leave it out for the default, `parakeet-tdt-0\.6b-v2`\."),
        ('[model]\nname = " "\n', r"line 2: `name` is empty"),
        ('[model]\nprovider = ""\n', r"line 2: `provider` is empty; leave it out for the default, `auto`"),
        ('[microphone]\ndevice = ""\n', r"line 2: `device` is empty; leave it out for the default, `default`"),
        ('[dictation]\nlanguage = ""\n', r"line 2: `language` is empty; leave it out for the default, `auto`"),
        ('[dictation]\nlanguage = ["de"]\n', r"line 2: `language` must be .*, not \[\"de\"\]\."),
        ("[model]\nthreads = true\n", r"line 2: `threads` must be .*, not true\."),
        ('[log]\nlevel = ""\n', r"line 2: `level` is empty; leave it out for the default, `info`"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        load(written(tmp_path, text), {})
    assert "coldvoxd.toml" in str(caught.value)


def test_a_file_in_another_encoding_is_reported_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "coldvoxd.toml"
    path.write_bytes("[microphone]\n# Büro\n".encode("latin-1"))
    with pytest.raises(
        SettingsError, match=r"cannot be read: line 2 is not UTF-8 text; save the file in that encoding\."
    ):
        load(path, {})


@pytest.mark.parametrize(("text", "message"), UNPARSABLE)
def test_what_python_cannot_parse_is_an_error_with_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=rf"coldvoxd\.toml cannot be used: {message}\.$") as caught:
        load(written(tmp_path, text), {})
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("COLDVOXD_MODEL_NMAE", "mini", "no setting COLDVOXD_MODEL_NMAE; use COLDVOXD_MODEL_NAME, or unset it. `coldv"),
        ("COLDVOXD_DEBUG", "1", "no setting COLDVOXD_DEBUG; unset it. `coldvoxctl config show` lists all settings"),
        ("COLDVOXD_MODEL_NAME", "", "COLDVOXD_MODEL_NAME: `name` is empty; leave it out for the default"),
        ("COLDVOXD_MODEL_THREADS", "many", "COLDVOXD_MODEL_THREADS: `threads` must be a whole number"),
        ("COLDVOXD_ENDPOINT_HANGOVER_MS", "9" * 10_000, "`hangover_ms` must be a whole number, not '9{199}…\\.$"),
        ("COLDVOXD_ENDPOINT_HANGOVER_MS", "9" * 4000, "`hangover_ms` must be from 96 to 5000, not 9{200}…\\.$"),
        ("COLDVOXD_MICROPHONE_DEVICE", "\udcff", r"COLDVOXD_MICROPHONE_DEVICE: `device` is not UTF-8 text: \\xff\."),
        ("COLDVOXD_LOG_SPOKEN_TEXT", "perhaps", "must be true or false"),
        ("COLDVOXD_MICROPHONE_CHANNEL", "0", "COLDVOXD_MICROPHONE_CHANNEL: `channel` must be auto, mix"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(variable: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(None, {variable: value})


def test_every_setting_is_documented_and_its_default_passes_its_own_limits(tmp_path: Path) -> None:
    lines: dict[str, list[str]] = {}
    for doc in describe():
        assert len(doc.text) > 20, doc
        value = f'"{doc.default}"' if doc.type is str else str(doc.default).lower()
        lines.setdefault(doc.section, []).append(f"{doc.key} = {value}")
    text = "\n".join(f"[{section}]\n" + "\n".join(keys) for section, keys in lines.items())
    assert load(written(tmp_path, text), {}) == Settings()
