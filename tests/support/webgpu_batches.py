"""Recognizes pieces of recordings on WebGPU one by one and in groups, and prints as JSON whether the tokens are the same.

Run by test_batching_webgpu.py with a software Vulkan driver.
"""

import json
from typing import Any

from coldvoxd.core.values import EndReason, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from tests.support.sound.pauses import strung

PIECES = 8
LENGTH_S = 4
SIZES = (2, 4, 8)


def main() -> dict[str, Any]:
    recognizer = ParakeetRecognizer.open(find_model("mini", Precision.FP32), "webgpu", 0)
    waves = sorted((wave for wave, _ in strung(LENGTH_S, PIECES)), key=len)
    pieces = [Utterance(at, 0, 0, wave, EndReason.LENGTH) for at, wave in enumerate(waves)]
    alone = [recognizer.recognize(piece).tokens for piece in pieces]
    rows = []
    for size in SIZES:
        ahead = [
            piece for at in range(0, PIECES, size) for piece in recognizer.encode_ahead(tuple(pieces[at : at + size]))
        ]
        together = [recognizer.recognize(piece).tokens for piece in ahead]
        rows.append(
            {
                "size": size,
                "ahead": sum(piece.encoded is not None for piece in ahead),
                "same": sum(
                    [token.id for token in one] == [token.id for token in other]
                    for one, other in zip(alone, together, strict=True)
                ),
            }
        )
    tokens = sum(map(len, alone))
    provider = recognizer.provider
    recognizer.close()
    return {"provider": provider, "tokens": tokens, "rows": rows}


if __name__ == "__main__":
    print(json.dumps(main()))
