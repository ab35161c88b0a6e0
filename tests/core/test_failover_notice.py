"""One notification per failover, and no further one until the accelerator has been stable."""

from coldvoxd.core.failover_notice import Notice, NoticeState, step
from coldvoxd.core.failover_state import STABLE_S
from coldvoxd.core.values import EngineStatus

GPU, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def told(*seen: tuple[float, str, str]) -> list[Notice]:
    """Return the notices for the provider and reason that the daemon sees at each time."""
    state, notices = NoticeState(), []
    for now_s, provider, degraded in seen:
        state, notice = step(state, EngineStatus(provider=provider, degraded=degraded, ready=True), now_s)
        if notice is not None:
            notices.append(notice)
    return notices


def test_a_failover_is_told_in_plain_words() -> None:
    (notice,) = told((0, CPU, ""), (1, GPU, ""), (9, CPU, "gpu-out-of-memory"), (10, CPU, "gpu-out-of-memory"))
    assert notice.body.startswith("The GPU is out of memory, so speech is now recognized on the CPU.")


def test_a_reason_that_is_new_has_words_too() -> None:
    assert told((0, GPU, ""), (1, CPU, "gpu-on-fire"))[0].body.startswith("The GPU failed")


def test_an_accelerator_that_never_worked_is_no_news() -> None:
    assert told((0, CPU, ""), (1, CPU, "no-gpu")) == []


def test_going_to_and_fro_is_told_once() -> None:
    falls = [(10.0 * n, *where) for n in range(6) for where in ((GPU, ""),)]
    seen = [item for time_s, gpu, well in falls for item in ((time_s, gpu, well), (time_s + 5, CPU, "gpu-lost"))]
    assert len(told(*seen)) == 1


def test_after_a_calm_the_next_one_is_told_again() -> None:
    assert len(told((0, GPU, ""), (1, CPU, "gpu-lost"), (9, GPU, ""), (9 + STABLE_S, CPU, "gpu-lost"))) == 2


def test_the_wish_of_a_person_is_no_failover() -> None:
    assert told((0, GPU, ""), (1, CPU, "")) == []


def test_a_sleep_of_the_machine_is_no_news() -> None:
    assert told((0, GPU, ""), (1, CPU, "sleep"), (2, GPU, "")) == []
