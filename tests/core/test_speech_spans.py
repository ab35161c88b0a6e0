"""Where speech is in a piece of audio."""

from coldvoxd.core.speech_spans import samples_within, speech_spans, within

FRAMES = [(0, 512, False), (512, 1024, True), (1024, 1536, True), (2048, 2560, True), (2560, 3072, False)]


def test_touching_frames_of_speech_are_one_span_counted_from_the_start() -> None:
    assert speech_spans(FRAMES, 0, 4000) == ((512, 1536), (2048, 2560))
    assert speech_spans(FRAMES, 600, 2100) == ((0, 936), (1448, 1500))
    assert speech_spans(FRAMES, 1536, 2048) == ()


def test_a_piece_has_the_spans_inside_it() -> None:
    spans = speech_spans(FRAMES, 0, 4000)
    assert within(spans, 1000, 2148) == ((0, 536), (1048, 1148))
    assert within((), 0, 4000) == ()
    assert samples_within(spans, 1000, 2148) == 636
    assert samples_within(spans, 0, 512) == 0
