"""The outcome of a session, and when the user is notified that speech gave no words."""

import pytest

from coldvoxd.core.failover_notice import Notice
from coldvoxd.dictation.no_words_notice import (
    AGAIN_S,
    NOTHING_HEARD,
    NOTHING_RECOGNIZED,
    NOTHING_WORKED,
    NoWordsState,
    Outcome,
    outcome_of,
    step,
)


@pytest.mark.parametrize(
    ("text", "speech_samples", "failed", "outcome"),
    [
        ("words", 9000, False, Outcome.WORDS),
        ("words", 9000, True, Outcome.WORDS),
        ("", 0, False, Outcome.SILENCE),
        ("", 1535, False, Outcome.SILENCE),
        ("", 1536, False, Outcome.NO_WORDS),
        ("", 9000, True, Outcome.FAILED),
    ],
)
def test_a_session_with_as_much_speech_as_an_utterance_needs_has_spoken(
    text: str, speech_samples: int, failed: bool, outcome: Outcome
) -> None:
    assert outcome_of(text, speech_samples, 1536, failed=failed) is outcome


def after(*seen: tuple[float, Outcome]) -> tuple[bool, list[Notice]]:
    state, notices = NoWordsState(), []
    for now_s, outcome in seen:
        state, notice = step(state, outcome, now_s)
        notices += [notice] if notice else []
    return state.holds, notices


def test_it_holds_until_a_session_gives_words_and_silence_proves_nothing() -> None:
    assert after((0, Outcome.NO_WORDS)) == (True, [NOTHING_RECOGNIZED])
    assert after((0, Outcome.NO_WORDS), (1, Outcome.SILENCE))[0] is True
    assert after((0, Outcome.NO_WORDS), (1, Outcome.WORDS))[0] is False
    assert after((0, Outcome.SILENCE), (1, Outcome.WORDS)) == (False, [])


def test_a_muted_microphone_is_reported_and_proves_nothing_about_recognition() -> None:
    assert after((0, Outcome.MUTED)) == (False, [NOTHING_HEARD])
    assert after((0, Outcome.NO_WORDS), (AGAIN_S, Outcome.MUTED)) == (True, [NOTHING_RECOGNIZED, NOTHING_HEARD])
    assert after((0, Outcome.MUTED), (1, Outcome.MUTED))[1] == [NOTHING_HEARD]


def test_a_failure_has_words_of_its_own() -> None:
    assert after((0, Outcome.FAILED)) == (True, [NOTHING_WORKED])


def test_sessions_in_quick_succession_share_a_notification() -> None:
    noise = [(float(second), Outcome.NO_WORDS) for second in range(int(AGAIN_S))]
    assert after(*noise)[1] == [NOTHING_RECOGNIZED]
    assert after((0, Outcome.NO_WORDS), (AGAIN_S, Outcome.NO_WORDS))[1] == [NOTHING_RECOGNIZED] * 2
