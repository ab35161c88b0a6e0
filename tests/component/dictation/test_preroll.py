"""Sessions that start in the middle of speech, through a real sound server: none loses the words before its start."""

import pytest

from tests.support.daemon.preroll import Company, Starts, speaking, start_in_mid_speech
from tests.support.sound.servers import SoundServer


def assert_whole(starts: Starts, times: int) -> None:
    assert [session for session in starts.observations if not session.kept] == []
    assert starts.refused == 0
    assert len(starts.observations) == times
    reached_back = sum(session.heard_before_start > 0 for session in starts.observations)
    assert reached_back > times / 2, "most starts are within speech"


async def test_some_starts_in_mid_speech_keep_every_sample(pulse: SoundServer) -> None:
    with speaking(pulse):
        assert_whole(await start_in_mid_speech(pulse, times=3, seed=1, company=Company()), 3)


@pytest.mark.heavy
async def test_fifty_starts_at_random_moments_of_speech_keep_every_sample(pulse: SoundServer) -> None:
    with speaking(pulse):
        assert_whole(await start_in_mid_speech(pulse, times=50, seed=2, company=Company()), 50)
