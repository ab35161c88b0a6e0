"""A private bus with the service on it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.bus.private_bus import BUSES, BusClient, PrivateBus, RunningService, running_service


@pytest.fixture(params=BUSES)
def bus(request: pytest.FixtureRequest) -> Iterator[PrivateBus]:
    """A private bus of each kind."""
    with PrivateBus(kind=request.param) as bus:
        yield bus


@pytest.fixture
async def running(bus: PrivateBus) -> AsyncIterator[RunningService]:
    async with running_service(bus) as running:
        yield running


@pytest.fixture
async def client(running: RunningService) -> AsyncIterator[BusClient]:
    """A client that is subscribed to all signals."""
    async with running.client() as client:
        await client.subscribe()
        yield client


@pytest.fixture
async def stranger(running: RunningService) -> AsyncIterator[BusClient]:
    """A second subscribed client."""
    async with running.client() as client:
        await client.subscribe()
        yield client
