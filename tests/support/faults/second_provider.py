"""A second real execution provider, OpenVINO, acts as the GPU and is closed under load; prints the results.

Run by test_second_provider.py in a separate environment, where `onnxruntime` is the build with OpenVINO. No build of
ONNX Runtime 1.31 with OpenVINO is published; with 1.24 no other Python code runs while a session loads, so here, as in
the daemon, the sessions of the CPU and the accelerator are both loaded before any speech.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import onnxruntime

from coldvoxd.core.values import EndReason, EngineStatus, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from coldvoxd.recognition.backends import Backends, Golden
from coldvoxd.recognition.supervisor import Supervisor
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

OPENVINO = "OpenVINOExecutionProvider"
BURST = 10
KILLED = 4
"""Index of the affected utterance in the burst."""


def opener(provider: str, opened: list[ParakeetRecognizer]) -> Callable[[], ParakeetRecognizer]:
    def open_recognizer() -> ParakeetRecognizer:
        recognizer = ParakeetRecognizer.open(find_model("mini", Precision.FP32), provider)
        opened.append(recognizer)
        return recognizer

    return open_recognizer


async def swap() -> dict[str, Any]:
    opened: list[ParakeetRecognizer] = []
    clip = samples()[2].wave()
    backends = Backends(opener("cpu", []), opener("openvino", opened), "openvino", Golden(clip))
    supervisor = Supervisor(backends, EngineStatus())
    await supervisor.load()
    await eventually(lambda: supervisor.state.engine.provider == OPENVINO, what="OpenVINO in use")
    heard: list[tuple[str, str]] = []
    killed_s: list[float] = []

    accelerator = supervisor._failover._accelerator
    assert accelerator is not None
    thread = accelerator.worker._thread

    def kill(accelerator: ParakeetRecognizer) -> None:
        while thread.busy_since_s is None:
            time.sleep(0.001)
        killed_s.append(time.monotonic())
        accelerator.close()

    async def hear(number: int) -> tuple[str, str]:
        utterance = Utterance(number, 1, 0, samples()[number].wave(), EndReason.ENDPOINT)
        hypothesis = await supervisor.recognize(utterance)
        return hypothesis.text, hypothesis.provider

    text_s = 0.0
    for number in range(BURST):
        if number == KILLED:
            threading.Thread(target=kill, args=(opened[-1],)).start()
        heard.append(await hear(number))
        if number == KILLED:
            text_s = time.monotonic()
    degraded = supervisor.state.engine.degraded
    await eventually(lambda: supervisor.state.engine.provider == OPENVINO, what="OpenVINO in use again")
    back = await hear(BURST)
    supervisor.close()
    return {
        "version": onnxruntime.__version__,
        "wanted": [samples()[number].heard["fp32"] for number in range(BURST + 1)],
        "heard": [text for text, _ in (*heard, back)],
        "providers": [provider for _, provider in (*heard, back)],
        "degraded": degraded,
        "kill_to_text_s": round(text_s - killed_s[0], 3),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(swap())))
