"""Which source the stream should record: the tracker is given views of a sound server, so none is needed."""

from dataclasses import replace

import pytest

from coldvoxd.capture.source_tracking import Change, SourceTracker, Step
from coldvoxd.core.ports import Policy
from coldvoxd.core.sound_sources import DEFAULT, SoundView, Source

YETI = Source("mic1", "Blue Yeti")
BUILT_IN = Source("mic2", "Built-in Audio")
STEREO = Source("mic3", "Interface", positions=("front-left", "front-right"))
HEADSET = Source("bt", "Headset", bluetooth=True)
BOTH = SoundView((YETI, BUILT_IN), default="mic1", heard="mic1")
MONO_FIRST = SoundView((YETI, STEREO), default="mic1", heard="mic1", stream=1)


def tracking(selection: str = DEFAULT, view: SoundView = BOTH) -> SourceTracker:
    tracker = SourceTracker(selection)
    tracker.update(view)
    return tracker


def test_without_a_server_nothing_is_missing_and_nothing_to_do() -> None:
    tracker = SourceTracker("Yeti")
    assert (tracker.target, tracker.missing, tracker.next_step()) == (None, "", Step())


def test_a_stream_on_the_selected_source_stays() -> None:
    tracker = tracking("yeti")
    assert tracker.target == YETI
    assert tracker.next_step() == Step()


def test_another_selection_reopens_the_stream_there_and_only_once() -> None:
    tracker = tracking()
    tracker.select("mic2")
    assert tracker.next_step() == Step(reopen_on="mic2")
    tracker.pursue("mic2")
    assert tracker.next_step() == Step(), "the server refused it, so there is no second attempt"
    tracker.update(replace(BOTH, heard="mic2"))
    assert tracker.next_step() == Step()
    tracker.select("mic1")
    assert tracker.next_step() == Step(reopen_on="mic1")


def test_the_desktops_default_is_followed() -> None:
    tracker = tracking()
    assert tracker.update(replace(BOTH, default="mic2")) == Change()
    assert tracker.next_step() == Step(reopen_on="mic2")


def test_a_move_in_a_mixer_is_kept_until_the_default_changes() -> None:
    tracker = tracking()
    assert tracker.update(replace(BOTH, heard="mic2")) == Change(moved=True)
    assert tracker.next_step() == Step()
    tracker.update(SoundView((YETI, BUILT_IN), default="mic2", heard="mic2"))
    tracker.update(SoundView((YETI, BUILT_IN), default="mic1", heard="mic2"))
    assert tracker.next_step() == Step(reopen_on="mic1")


def test_a_selection_ends_a_move_in_a_mixer() -> None:
    tracker = tracking()
    tracker.update(replace(BOTH, heard="mic2"))
    tracker.select("mic1")
    assert tracker.next_step() == Step(reopen_on="mic1")


def test_a_stream_that_was_moved_because_its_source_has_gone_is_reopened_to_report_it() -> None:
    tracker = tracking("mic1")
    assert tracker.update(SoundView((BUILT_IN,), default="mic2", heard="mic2")) == Change()
    assert tracker.next_step() == Step(reopen=True)
    assert "There is no microphone “mic1”" in tracker.missing


def test_the_return_of_a_missing_source_is_found() -> None:
    tracker = tracking("mic1", SoundView((BUILT_IN,), default="mic2"))
    assert tracker.update(BOTH) == Change(found=True)
    assert tracker.update(BOTH) == Change()


def test_a_source_with_other_channels_needs_a_new_stream_once() -> None:
    view = SoundView((YETI, STEREO), default="mic1", heard="mic1")
    tracker = tracking(view=view)
    tracker.update(replace(view, default="mic3", heard="mic3"))
    assert tracker.take_misfit()
    assert not tracker.take_misfit()


def test_a_person_who_moves_the_stream_to_a_source_with_other_channels_keeps_it_there() -> None:
    view = SoundView((YETI, STEREO), default="mic1", heard="mic1")
    tracker = tracking(view=view)
    assert tracker.update(replace(view, heard="mic3")) == Change(moved=True)
    assert not tracker.take_misfit()


@pytest.mark.parametrize(
    "between",
    [
        pytest.param(replace(MONO_FIRST, default="mic3"), id="the default first"),
        pytest.param(replace(MONO_FIRST, heard="mic3"), id="the stream first"),
        pytest.param(replace(MONO_FIRST, default="mic3", heard=""), id="the stream between two sources"),
    ],
)
def test_a_server_that_moves_the_stream_with_its_default_is_no_person(between: SoundView) -> None:
    """A view is read in several requests, so a server's one change may be in two views."""
    tracker = tracking(view=MONO_FIRST)
    tracker.update(between)
    after = replace(MONO_FIRST, default="mic3", heard="mic3")
    assert tracker.update(after) == Change()
    assert tracker.next_step() == Step()
    assert tracker.take_misfit()
    assert not tracker.take_misfit()
    tracker.update(replace(after, stream=2))
    assert not tracker.take_misfit()


def test_a_person_who_moves_the_stream_back_ends_the_move() -> None:
    tracker = tracking()
    tracker.update(replace(BOTH, heard="mic2"))
    assert tracker.update(BOTH) == Change()
    assert tracker.update(replace(BOTH, heard="mic2")) == Change(moved=True)


def test_a_move_in_a_mixer_is_seen_whether_or_not_the_stream_has_a_source_in_between() -> None:
    view = replace(BOTH, stream=1)
    tracker = tracking(view=view)
    tracker.update(replace(view, heard=""))
    assert tracker.update(replace(view, heard="mic2")) == Change(moved=True)
    assert tracker.next_step() == Step()


def test_a_headset_is_spared_by_always_and_while_its_server_is_away() -> None:
    tracker = tracking("bt", SoundView((HEADSET,), default="bt"))
    assert tracker.policy(Policy.ALWAYS, bluetooth_always=False) is Policy.ON_DEMAND
    assert tracker.policy(Policy.ALWAYS, bluetooth_always=True) is Policy.ALWAYS
    tracker.update(None)
    assert tracker.policy(Policy.ALWAYS, bluetooth_always=False) is Policy.ON_DEMAND


def test_a_closed_stream_that_a_view_still_shows_does_not_count() -> None:
    tracker = tracking("mic1", replace(BOTH, heard="mic2"))
    assert tracker.source(is_open=True) == BUILT_IN
    assert tracker.source(is_open=False) == YETI


def test_a_new_stream_on_another_source_is_no_move_in_a_mixer() -> None:
    """While the microphone is switched, the old stream is seen until the new one has taken its place."""
    view = SoundView((YETI, STEREO), default="mic1", heard="mic1", stream=1)
    tracker = tracking(view=view)
    tracker.select("mic3")
    tracker.pursue("mic3")
    assert not tracker.is_recorded
    assert tracker.next_step() == Step()
    assert tracker.update(replace(view, heard="mic3", stream=2)) == Change()
    assert tracker.is_recorded
    assert not tracker.take_misfit()
    assert tracker.update(replace(view, heard="mic1", stream=2)) == Change(moved=True)
