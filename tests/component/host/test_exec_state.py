"""When a new process may replace the old one, and the state that it receives."""

import pytest

from coldvoxd.host.exec_state import CALM_S, LONGEST_COOL_DOWN_S, Carried, ExecState, ExecStateDamaged


def test_the_first_replacement_waits_for_nothing() -> None:
    assert ExecState().allowed_s(600) < 0


def test_each_further_one_waits_longer_and_never_for_ever() -> None:
    handover, now_s, pauses = ExecState(), 1000.0, []
    for _ in range(8):
        handover = handover.next(now_s, None, {})
        pauses.append(handover.allowed_s(600) - now_s)
        now_s = handover.allowed_s(600)
    assert pauses[:3] == [600, 1800, 5400]
    assert pauses[3:] == [16200, *[LONGEST_COOL_DOWN_S] * 4]


def test_after_a_long_calm_the_count_begins_anew() -> None:
    first = ExecState().next(0.0, None, {}).next(10.0, None, {})
    assert first.replacements == 2
    assert first.next(10.0 + CALM_S + 1, None, {}).replacements == 1


def test_one_for_a_sleep_makes_no_later_one_wait() -> None:
    before = ExecState(2, 100.0)
    after = before.next(200.0, 199.0, {"device": "x"}, counted=False)
    assert (after.replacements, after.replaced_s) == (2, 100.0)
    assert (after.last_frame_s, after.carried) == (199.0, {"device": "x"})


def test_what_is_handed_over_comes_out_again() -> None:
    handover = ExecState(3, 12.25, 11.5, {"metrics": {"utterances": 4}})
    assert ExecState.decoded(handover.encoded()) == handover


def test_what_parts_hand_over_keeps_the_keys_of_the_format() -> None:
    carried = Carried("mic", {"uptime_s": 1.0}, {"told": True}, "guid", {"reader": None}, True, True, ("cuda",))
    written = carried.written()
    assert set(written) == {
        *("device", "metrics", "notice", "bus", "last-utterance", "resting", "without-words", "usable-providers"),
    }
    assert Carried.read(written) == carried
    assert Carried.read({**written, "of-a-later-version": 1}) == carried
    assert Carried.read({}) == Carried()
    assert "device" not in Carried().written()


def test_the_log_says_for_how_long_nothing_was_heard() -> None:
    assert (
        ExecState(2, 0.0, 10.0).takeover(11.5).endswith("consecutive number 2: the microphone went unheard for 1.50 s")
    )
    assert ExecState(1, 0.0, None).takeover(11.5).endswith("the microphone was closed")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"version": 0}', b'{"version": 1, "unknown": 2}', b"\xff"])
def test_what_cannot_be_read_is_refused(content: bytes) -> None:
    with pytest.raises(ExecStateDamaged):
        ExecState.decoded(content)
