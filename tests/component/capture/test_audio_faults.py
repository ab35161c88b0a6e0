"""Every audio fault with a running daemon: what a bus client sees, and that no word is lost around the fault."""

import pytest

from tests.component.conftest import KINDS
from tests.support.faults.audio import FAULTS, Fault, begin_without_server, suffer
from tests.support.sound.servers import PipeWireServer, PulseServer

NOTICED_S = 2.0
"""The documented limit."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
async def test_a_fault_is_told_in_time_and_loses_no_word_around_it(
    fault: Fault, kind: type[PulseServer | PipeWireServer]
) -> None:
    outcome = await suffer(fault, kind)
    assert outcome.lost == 0
    assert outcome.noticed_s is None or outcome.noticed_s < NOTICED_S


@pytest.mark.parametrize("kind", KINDS)
async def test_without_a_server_at_the_start_the_daemon_waits_for_one(
    kind: type[PulseServer | PipeWireServer],
) -> None:
    assert (await begin_without_server(kind)).lost == 0
