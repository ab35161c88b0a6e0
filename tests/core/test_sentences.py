"""Messages as sentences."""

import pytest

from coldvoxd.core.sentences import clause, sentence, sentences


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("there is no microphone", "There is no microphone."),
        ("There is one.", "There is one."),
        ("is it running?", "is it running?"),
        ("talk.ogg is a directory", "talk.ogg is a directory."),
        ("a.ogg is a directory", "a.ogg is a directory."),
        ("coldvoxd has exited", "coldvoxd has exited."),
        (" the bus was lost ", "The bus was lost."),
        ("the model is `mini`", "The model is `mini`."),
        ("", ""),
        ("  ", ""),
    ],
)
def test_a_text_becomes_a_sentence_and_names_stay_as_they_are(text: str, written: str) -> None:
    assert sentence(text) == written
    assert sentence(written) == written


def test_texts_are_joined_as_sentences() -> None:
    assert sentences("No microphone delivers audio", "", "there is no microphone: plug one in") == (
        "No microphone delivers audio. There is no microphone: plug one in."
    )
    assert sentences("", "") == ""


def test_a_sentence_within_another_has_no_full_stop() -> None:
    assert f"{clause('The hub is busy.')}; retrying" == "The hub is busy; retrying"
    assert clause("The hub is busy") == "The hub is busy"
