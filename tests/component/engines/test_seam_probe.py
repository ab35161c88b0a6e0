"""Whether a sentence continues after a pause: what both methods find, and that neither changes a word."""

import itertools
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from coldvoxd.core.seams import LastTokens, SeamContext, SeamFinding, SeamMethod, SeamRules
from coldvoxd.core.session_text import SessionText
from coldvoxd.core.values import SAMPLE_RATE, EndReason, Hypothesis, Precision, Token, Utterance, Word
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.engines.parakeet.seam_probe import Heard, by_lead, by_state, by_window, last_tokens
from coldvoxd.engines.parakeet.tdt import decode_greedy, greedy
from coldvoxd.engines.parakeet.vocabulary import BLANK, Vocabulary
from coldvoxd.models import find_model
from coldvoxd.recognition.utterance_split import joined, split
from tests.support.models.internals import decoder_of
from tests.support.sound.pauses import EDGE, halves
from tests.support.sound.speech import mini, samples

PIECES = ("\u2581to", "\u2581To", "\u2581or", "der", ".", ",", "\u25812", "<|x|>", BLANK)
VOCABULARY = Vocabulary(PIECES)
SMALL, CAPITAL, OR, DER, STOP, COMMA, TWO, CONTROL = range(8)


def tokens(*ids: int, first_frame: int = 4) -> tuple[Token, ...]:
    return tuple(Token(piece, first_frame + index, 1, -0.1) for index, piece in enumerate(ids))


def heard(*ids: int) -> Heard:
    """Return an utterance of which only the words matter."""
    nothing = np.zeros(0, np.float32)
    said = tokens(*ids)
    return Heard(nothing, (), nothing.reshape(0, 0), said, VOCABULARY.words(said, 0.08))


CONTINUES = SeamFinding(continues=True, lowers=True)


@pytest.mark.parametrize(
    ("decoded", "finding"),
    [
        ((SMALL, OR, DER), CONTINUES),
        ((COMMA, SMALL, OR), SeamFinding(continues=True, mark=",", lowers=True)),
        ((CAPITAL, OR, DER), SeamFinding(continues=False)),
        ((STOP, CAPITAL, OR), SeamFinding(continues=False, mark=".")),
        ((STOP, SMALL, OR), SeamFinding(continues=False, mark=".")),
        ((OR, DER), None),  # another word
        ((), None),
        ((STOP,), None),
    ],
)
def test_the_decoder_that_read_the_words_before_decides_by_the_first_word(
    decoded: tuple[int, ...], finding: SeamFinding | None
) -> None:
    assert by_state(tokens(*decoded), heard(CAPITAL, OR, DER, STOP), VOCABULARY) == finding


def test_a_first_word_without_case_says_nothing_about_the_sentence() -> None:
    assert by_state(tokens(TWO, OR), heard(TWO, OR), VOCABULARY) is None


def test_a_decoder_that_stays_on_blank_says_nothing() -> None:
    late = tokens(SMALL, OR, first_frame=60)
    assert by_state(late, heard(CAPITAL, OR), VOCABULARY) is None


def words(text: str) -> tuple[Word, ...]:
    """Return words of half a second each."""
    return tuple(Word(word, 0.5 * index, 0.5 * index + 0.4, 0.9) for index, word in enumerate(text.split()))


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("I would like to order.", CONTINUES),
        ("I would like, to order.", SeamFinding(continues=True, mark=",", lowers=True)),
        ("I would like To order.", SeamFinding(continues=True)),
        ("I would like. To order.", SeamFinding(continues=False, mark=".")),
        ("I would like? To order.", SeamFinding(continues=False, mark="?")),
        ("I would love to order.", None),
        ("I would like two order.", None),
        ("I would like", None),
        ("", None),
        ("I like to order.", CONTINUES),  # one word less: the seam is one word earlier
    ],
)
def test_the_words_of_the_window_decide_by_the_mark_and_the_case_at_the_seam(
    text: str, finding: SeamFinding | None
) -> None:
    context = SeamContext(
        SeamMethod.WINDOW, LastTokens("v", ()), "like", np.zeros(round(1.45 * SAMPLE_RATE), np.float32)
    )
    assert by_window(words(text), context, heard(CAPITAL, OR, DER)) == finding


def test_the_last_tokens_have_no_final_mark() -> None:
    found = last_tokens(tokens(CAPITAL, OR, DER, COMMA, STOP, CONTROL), VOCABULARY)
    assert found == LastTokens(VOCABULARY.fingerprint, (CAPITAL, OR, DER))
    assert last_tokens(tokens(STOP), VOCABULARY) is None
    assert last_tokens(tokens(*[SMALL] * 100), VOCABULARY) == LastTokens(VOCABULARY.fingerprint, (SMALL,) * 16)


def test_another_order_of_pieces_is_another_vocabulary() -> None:
    assert Vocabulary((*PIECES[1:-1], PIECES[0], BLANK)).fingerprint != VOCABULARY.fingerprint


@pytest.fixture(scope="module", params=[Precision.FP32, Precision.INT8], ids=str)
def recognizer(request: pytest.FixtureRequest) -> ParakeetRecognizer:
    return ParakeetRecognizer.open(find_model(str(mini()), request.param), threads=1)


def utterances(name: str, after_word: int) -> tuple[Utterance, Utterance]:
    """Return both parts of a bundled recording with a pause of one second."""
    first, second = halves(name, after_word)
    return (
        Utterance(1, 1, 0, first, EndReason.ENDPOINT, speech=((0, len(first) - EDGE),)),
        Utterance(2, 1, len(first) + SAMPLE_RATE, second, EndReason.ENDPOINT, speech=((EDGE, len(second)),)),
    )


def recognized(recognizer: ParakeetRecognizer, method: SeamMethod, *said: Utterance) -> tuple[str, list[Hypothesis]]:
    """Return the text of a session, and the hypotheses of its utterances."""
    text = SessionText(SeamRules(method, longest_pause_s=2.5))
    found = []
    for one in said:
        with_context = replace(one, context=text.context_of(one))
        found.append(recognizer.recognize(with_context))
        text.add(with_context, found[-1])
    return text.text, found


CUTS = [
    ("we-will-read-this-report-on-friday", 2),
    ("copy-my-text-and-delete-that-line", 4),
    ("hello-anna-send-the-message-to-peter", 3),
]


@pytest.mark.parametrize(("name", "after_word"), CUTS)
def test_a_sentence_with_a_pause_becomes_one_sentence(
    recognizer: ParakeetRecognizer, name: str, after_word: int
) -> None:
    said = utterances(name, after_word)
    together, found = recognized(recognizer, SeamMethod.WINDOW, *said)
    sample = next(sample for sample in samples() if sample.name.endswith(name))
    assert together == sample.said
    assert found[1].seam == CONTINUES
    assert found[1].text == recognizer.recognize(said[1]).text, "the text itself is a sentence of its own"


@pytest.mark.parametrize("method", [SeamMethod.STATE, SeamMethod.WINDOW])
def test_two_sentences_stay_two(recognizer: ParakeetRecognizer, method: SeamMethod) -> None:
    first, second = (sample for sample in samples() if sample.name[3:] in {"thank-you-maria", "good-morning-john"})
    said = [
        Utterance(index, 1, index * 3 * SAMPLE_RATE, one.wave(), EndReason.ENDPOINT, speech=((0, len(one.wave())),))
        for index, one in enumerate((first, second))
    ]
    assert recognized(recognizer, method, *said)[0] == f"{first.said} {second.said}"


@pytest.mark.parametrize("method", [SeamMethod.STATE, SeamMethod.WINDOW])
def test_no_method_changes_a_word_or_a_time(recognizer: ParakeetRecognizer, method: SeamMethod) -> None:
    clips = [sample.wave() for sample in samples()]
    for earlier, later in itertools.pairwise(clips):
        said = [
            Utterance(index, 1, index * 2 * SAMPLE_RATE, clip, EndReason.ENDPOINT, speech=((0, len(clip)),))
            for index, clip in enumerate((earlier, later))
        ]
        _, (_, with_context) = recognized(recognizer, method, *said)
        alone = recognizer.recognize(said[1])
        assert (with_context.text, with_context.tokens, with_context.words) == (alone.text, alone.tokens, alone.words)


def test_the_tokens_of_another_vocabulary_are_not_read(recognizer: ParakeetRecognizer) -> None:
    first, second = utterances(*CUTS[0])
    tail = recognizer.recognize(first).last_tokens
    assert tail is not None
    for method in (SeamMethod.STATE, SeamMethod.WINDOW):
        context = SeamContext(method, LastTokens("another", tail.ids), "will", first.samples)
        assert recognizer.recognize(replace(second, context=context)).seam is None


def test_a_window_that_would_take_too_long_is_not_recognized(recognizer: ParakeetRecognizer) -> None:
    first, second = utterances(*CUTS[0])
    tail = recognizer.recognize(first).last_tokens
    assert tail is not None
    context = SeamContext(SeamMethod.WINDOW, tail, "will", first.samples, limit_s=1e-9)
    assert recognizer.recognize(replace(second, context=context)).seam is None
    assert recognizer.recognize(replace(second, context=replace(context, limit_s=1e9))).seam is not None


def test_an_utterance_that_is_split_has_the_seam_of_its_first_part(recognizer: ParakeetRecognizer) -> None:
    first, second = utterances(*CUTS[0])
    tail = recognizer.recognize(first).last_tokens
    assert tail is not None
    second = replace(
        second, samples=np.tile(second.samples, 2), context=SeamContext(SeamMethod.WINDOW, tail, "will", first.samples)
    )
    parts = split(second)
    assert parts is not None
    assert (parts[0].context, parts[1].context) == (second.context, None)
    both = [recognizer.recognize(part) for part in parts]
    whole = joined(both[0], both[1], len(parts[0].samples))
    assert (whole.seam, whole.last_tokens) == (both[0].seam, both[1].last_tokens)


def test_reading_tokens_first_is_like_having_decoded_them(recognizer: ParakeetRecognizer) -> None:
    """The frames after a place, decoded with the tokens before it, give what the whole gives there."""
    clip = next(sample for sample in samples() if sample.name.endswith(CUTS[0][0])).wave()
    encoded, decoder, blank = _encoded(recognizer, clip), decoder_of(recognizer), recognizer.vocabulary.blank
    whole = decode_greedy(encoded, decoder, blank=blank)
    for place in range(1, len(whole)):
        begin = whole[place].encoder_frame
        if begin == whole[place - 1].encoder_frame:
            continue
        rest = greedy(encoded[begin:], decoder, blank=blank, before=[token.id for token in whole[:place]])
        assert [token.id for token in rest] == [token.id for token in whole[place:]]


def _encoded(recognizer: ParakeetRecognizer, clip: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    from coldvoxd.core.features import log_mel
    from coldvoxd.engines.parakeet.silence import without_exact_silence

    return recognizer.encode(log_mel(without_exact_silence(clip), recognizer.features_size))


@pytest.mark.parametrize(
    ("before", "first", "finding"),
    [
        ("report", "and", SeamFinding(continues=True, lowers=True)),
        ("report,", "and", SeamFinding(continues=True, mark=",", lowers=True)),
        ("report,", "Peter", SeamFinding(continues=True, mark=",")),
        ("report.", "And", SeamFinding(continues=False, mark=".")),
        ("to", "Peter", None),
    ],
)
def test_a_part_that_begins_with_the_word_before_shows_the_seam(
    before: str, first: str, finding: SeamFinding | None
) -> None:
    assert by_lead(before, first) == finding
