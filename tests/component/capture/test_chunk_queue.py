"""The queue between a microphone's thread and the event loop."""

import asyncio
import threading

import numpy as np

from coldvoxd.capture.chunk_queue import ChunkQueue, Delivery
from coldvoxd.core.audio_values import Chunk
from tests.support.eventually import eventually


def chunk(number: int, length: int = 512) -> Chunk:
    return Chunk(samples=np.full(length, number, dtype=np.int16), arrived_s=float(number))


def numbers(deliveries: list[Delivery]) -> list[int]:
    return [int(chunk.samples[0]) for delivery in deliveries for chunk in delivery.chunks]


async def test_what_another_thread_offers_arrives_on_the_loop_in_order_and_nothing_is_lost() -> None:
    deliveries: list[Delivery] = []
    inbox = ChunkQueue(deliveries.append, limit_s=100.0)
    inbox.release()

    def offer_all() -> None:
        for number in range(1000):
            inbox.offer(chunk(number))

    offering = threading.Thread(target=offer_all)
    offering.start()
    await eventually(lambda: len(numbers(deliveries)) == 1000)
    offering.join()
    assert numbers(deliveries) == list(range(1000))
    assert {delivery.dropped_samples for delivery in deliveries} == {0}


async def test_full_it_drops_the_oldest_and_tells_how_much() -> None:
    deliveries: list[Delivery] = []
    inbox = ChunkQueue(deliveries.append, limit_s=0.1)  # 1600 samples: three chunks
    inbox.release()
    for number in range(5):
        inbox.offer(chunk(number))
    inbox.offer(chunk(5, length=10))
    await eventually(lambda: deliveries)
    assert numbers(deliveries) == [2, 3, 4, 5]
    assert deliveries[0].dropped_samples == 2 * 512
    inbox.offer(chunk(6))
    await eventually(lambda: len(deliveries) == 2)
    assert deliveries[1].dropped_samples == 0


async def test_the_loop_is_woken_once_for_all_that_waits() -> None:
    deliveries: list[Delivery] = []
    inbox = ChunkQueue(deliveries.append, limit_s=100.0)
    inbox.release()
    for number in range(50):
        inbox.offer(chunk(number))
    await eventually(lambda: deliveries)
    assert [len(delivery.chunks) for delivery in deliveries] == [50]


async def test_before_its_release_it_keeps_what_comes() -> None:
    deliveries: list[Delivery] = []
    inbox = ChunkQueue(deliveries.append, limit_s=100.0)
    inbox.offer(chunk(1))
    inbox.offer(chunk(2))
    await asyncio.sleep(0)
    assert deliveries == []
    inbox.release()
    assert numbers(deliveries) == [1, 2]


async def test_closed_it_delivers_nothing_any_more_not_even_what_was_on_its_way() -> None:
    deliveries: list[Delivery] = []
    inbox = ChunkQueue(deliveries.append, limit_s=100.0)
    inbox.release()
    inbox.offer(chunk(1))
    inbox.close()
    inbox.offer(chunk(2))
    done = asyncio.Event()
    asyncio.get_running_loop().call_soon(done.set)
    await done.wait()
    assert deliveries == []


def test_offering_to_a_loop_that_has_closed_is_harmless() -> None:
    async def make() -> ChunkQueue:
        return ChunkQueue(lambda _: None, limit_s=1.0)

    inbox = asyncio.run(make())
    inbox.offer(chunk(1))
    inbox.offer(chunk(2))


async def test_what_is_gathered_wakes_the_loop_once_it_is_enough_and_can_be_had_before() -> None:
    deliveries: list[Delivery] = []
    inbox = ChunkQueue(deliveries.append, limit_s=100.0)
    inbox.release()
    inbox.gather(4 * 512)
    for number in range(3):
        inbox.offer(chunk(number))
    await asyncio.sleep(0)
    assert deliveries == []
    inbox.release()
    assert numbers(deliveries) == [0, 1, 2]
    for number in range(3, 7):
        inbox.offer(chunk(number))
    await eventually(lambda: len(deliveries) == 2)
    assert numbers(deliveries) == list(range(7))
    inbox.gather(0)
    inbox.offer(chunk(7))
    await eventually(lambda: len(deliveries) == 3)


async def test_a_receiver_that_asks_for_more_from_within_a_delivery_gets_it_afterwards_and_in_order() -> None:
    order: list[int] = []

    def receive(delivery: Delivery) -> None:
        for held in delivery.chunks:
            number = int(held.samples[0])
            if number == 0:
                inbox.offer(chunk(3))
                inbox.release()
            order.append(number)

    inbox = ChunkQueue(receive, limit_s=100.0)
    for number in range(3):
        inbox.offer(chunk(number))
    inbox.release()
    assert order == [0, 1, 2, 3]
