"""The demo on WebGPU over software Vulkan. CI runs the plain demo in a Debian tree (contrib/fresh-check.sh)."""

import json
import subprocess

import pytest

from tests.support import vulkan

WEBGPU = "WebGpuExecutionProvider"
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(
        not vulkan.PYTHON.with_name("complete").exists(),
        reason="needs a software Vulkan driver of Debian 13: run contrib/test.sh --system, as root",
    ),
]


def test_the_demo_dictates_on_webgpu_and_its_signals_name_the_provider() -> None:
    demo = vulkan.ROOT / "contrib/demo.sh"
    done = subprocess.run([demo, "--vulkan", "--json"], capture_output=True, text=True, timeout=840, check=False)
    print(done.stderr)
    assert done.returncode == 0
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == 6
    # On a busy machine the CPU may overtake a sentence: contrib/docs/decisions/hedging.md.
    assert WEBGPU in {result["provider"] for result in results}
    assert f"provider='{WEBGPU}'" in done.stderr
    assert f"provider: {WEBGPU} on llvmpipe" in done.stderr
