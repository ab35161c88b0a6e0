"""A value is changed in a settings file, and every other character stays."""

import tomllib

import pytest

from coldvoxd import settings_file
from coldvoxd.cli.settings_edit import NotEditable, with_value

FILE = """\
# My settings
log.level = "info"  # dotted

[model]     # the model
# which one
name = "mini"   # keep "this" comment
threads=2
provider = 'cpu'#close

[gpu]
#watch = "auto"

# about notifications
[notifications]
no_words = true
"""


@pytest.mark.parametrize(
    ("section", "key", "value", "before", "after"),
    [
        ("model", "name", '"a # b"', 'name = "mini"   # keep', 'name = "a # b"   # keep'),
        ("model", "threads", "16", "threads=2", "threads=16"),
        ("model", "provider", '"cuda"', "provider = 'cpu'#close", 'provider = "cuda"#close'),
        ("log", "level", '"debug"', 'log.level = "info"  #', 'log.level = "debug"  #'),
        ("log", "spoken_text", "true", "# dotted\n", "# dotted\nlog.spoken_text = true\n"),
        ("model", "fetch", "false", "#close\n", "#close\nfetch = false\n"),
        ("gpu", "watch", '"never"', '#watch = "auto"\n', '#watch = "auto"\nwatch = "never"\n'),
        ("gpu", "hot_c", "80", "[gpu]\n", "[gpu]\nhot_c = 80\n"),
        ("endpoint", "tail_ms", "200", "no_words = true\n", "no_words = true\n\n[endpoint]\ntail_ms = 200\n"),
        ("notifications", "no_words", "false", "no_words = true", "no_words = false"),
    ],
)
def test_only_the_value_changes(section: str, key: str, value: str, before: str, after: str) -> None:
    assert FILE.count(before) == 1
    assert with_value(FILE, section, key, value) == FILE.replace(before, after)


def test_an_empty_file_and_one_without_a_last_newline() -> None:
    assert with_value("", "model", "name", '"x"') == '[model]\nname = "x"\n'
    assert with_value('[model]\nname = "y"', "log", "level", '"debug"') == (
        '[model]\nname = "y"\n\n[log]\nlevel = "debug"\n'
    )


def test_the_line_endings_of_other_systems_stay() -> None:
    assert with_value("[model]\r\nthreads = 1\r\n", "model", "fetch", "false") == (
        "[model]\r\nthreads = 1\r\nfetch = false\r\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        'model = { name = "x" }\n',
        '[model]\nname = """\nx"""\n',
        '[other]\nx = """\n[model]\nname = 1\n"""\n[model]\nname = "y"\n',
    ],
)
def test_a_form_that_is_not_understood_is_refused(text: str) -> None:
    tomllib.loads(text)
    with pytest.raises(NotEditable):
        with_value(text, "model", "name", '"z"')


def test_every_setting_can_be_set_in_the_example() -> None:
    text = settings_file.example()
    for doc in settings_file.describe():
        text = with_value(text, doc.section, doc.key, settings_file.toml_value(doc.default))
    values = tomllib.loads(text)
    assert sum(map(len, values.values())) == len(list(settings_file.describe()))
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert comments == [line for line in settings_file.example().splitlines() if line.startswith("#")]
