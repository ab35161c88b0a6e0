"""The short form of the soak test: ten minutes. For manual and longer runs use contrib/soak.sh."""

import pytest

from tests.support.faults.broken_daemon import Fault
from tests.support.faults.soak import soak

TEN_MINUTES_S = 600.0
FEW_CYCLES_S = 75.0


@pytest.mark.heavy
@pytest.mark.timeout(1500)
async def test_what_the_daemon_holds_stays_flat_in_ten_minutes_of_use() -> None:
    assert not (await soak(TEN_MINUTES_S)).faults


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("broken", "noticed"),
    [
        pytest.param(Fault.LEAKS_FILES, "descriptors grew", id="descriptors"),
        pytest.param(Fault.LEAKS_THREADS, "threads grew", id="threads"),
    ],
)
async def test_a_daemon_that_leaks_on_purpose_is_noticed(broken: Fault, noticed: str) -> None:
    outcome = await soak(FEW_CYCLES_S, cycle_s=0.0, broken=broken)
    assert any(noticed in fault for fault in outcome.faults), outcome.faults
