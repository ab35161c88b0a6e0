"""When searching for a microphone again is worthwhile."""

import os
from pathlib import Path

from coldvoxd.audio.device_retry import LONGEST_S, DeviceRetry, Surroundings, surroundings

HERE: Surroundings = (("/dev/snd", 1, 1),)
ELSEWHERE: Surroundings = (("/dev/snd", 1, 2),)
REASON = "there is no microphone"


def searches(seconds: float, *, seen: Surroundings = HERE, outlook: DeviceRetry | None = None) -> list[float]:
    """Return the times of the searches in `seconds`, with an attempt every 2 s and no microphone found."""
    outlook = outlook or DeviceRetry()
    made = []
    for moment in range(0, round(seconds), 2):
        if outlook.in_vain(seen, float(moment)) is None:
            outlook.failed(REASON, seen, float(moment))
            made.append(float(moment))
    return made


def test_at_first_every_search_is_made_and_later_one_every_30_s() -> None:
    made = searches(3600)
    assert made[:8] == [0, 2, 4, 6, 8, 10, 14, 18], "a server that is restarted is found soon"
    assert len([moment for moment in made if moment < 120]) < 20
    late = [after - before for before, after in zip(made[-20:], made[-19:], strict=False)]
    assert set(late) == {LONGEST_S}


def test_a_change_around_is_a_reason_to_search_at_once_and_then_often_again() -> None:
    outlook = DeviceRetry()
    last_s = searches(3600, outlook=outlook)[-1]
    assert outlook.in_vain(HERE, last_s + 1) is REASON
    assert outlook.in_vain(ELSEWHERE, 3600.0) is None
    outlook.failed(REASON, ELSEWHERE, 3600.0)
    assert outlook.in_vain(ELSEWHERE, 3602.0) is None


def test_after_a_success_nothing_holds_back_the_next_search() -> None:
    outlook = DeviceRetry()
    searches(3600, outlook=outlook)
    outlook.succeeded()
    assert outlook.in_vain(HERE, 3600.0) is None


def test_a_servers_socket_that_comes_or_is_made_anew_changes_the_surroundings(tmp_path: Path) -> None:
    before = dict(os.environ)
    os.environ["PULSE_SERVER"] = f"unix:{tmp_path}/native"
    try:
        seen = [surroundings()]
        for _ in range(2):
            (tmp_path / "native").unlink(missing_ok=True)
            (tmp_path / "native").touch()
            seen.append(surroundings())
        assert len(set(seen)) == 3
        assert surroundings() == seen[-1]
    finally:
        os.environ.clear()
        os.environ.update(before)
