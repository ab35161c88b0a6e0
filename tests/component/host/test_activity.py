"""The time until which the daemon was busy, combined from all its parts."""

import math

from coldvoxd.host.activity import Activity


def test_the_latest_of_all_counts_and_any_that_is_busy_now() -> None:
    activity = Activity()
    assert activity.busy_until_s() == -math.inf
    idle = True
    activity.follow(lambda: 5.0)
    activity.follow(lambda: 7.0)
    activity.follow_idle(lambda: idle)
    assert activity.busy_until_s() == 7.0
    idle = False
    assert activity.busy_until_s() == math.inf
