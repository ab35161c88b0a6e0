"""`batch_size` on a real GPU provider, WebGPU on a software Vulkan driver: the tokens are those of single pieces."""

import pytest

from tests.support import vulkan
from tests.support.webgpu_batches import PIECES, SIZES

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(
        not vulkan.PYTHON.with_name("complete").exists(),
        reason="needs a software Vulkan driver of Debian 13: run contrib/test.sh --system, as root",
    ),
]


def test_groups_of_pieces_give_the_tokens_of_single_pieces() -> None:
    found = vulkan.run(
        "tests.support.webgpu_batches", driver=vulkan.LAVAPIPE, more=vulkan.MODEST, python=str(vulkan.PYTHON)
    )
    print(found)
    assert found["provider"] == "WebGpuExecutionProvider"
    assert found["tokens"] > PIECES
    assert [row["size"] for row in found["rows"]] == [*SIZES]
    assert {row["ahead"] for row in found["rows"]} == {PIECES}, "no group was encoded together"
    assert {row["same"] for row in found["rows"]} == {PIECES}
