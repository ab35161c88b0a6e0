#!/usr/bin/env python3
"""Prints a table of the seams that are found by each method, with the bundled model or another one.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/seams.py [--model NAME] [--clips FOLDER]. Each
bundled sample is cut after each word, and all samples are paired; with --clips, also the recordings of that folder. What
the daemon would cut as utterances is recognized with and without the context of the utterance before.

Columns: seams, of those where each part has the right words; right, unknown (a new sentence, as without seams) and wrong;
words that differ from those without a context; recognition time without a context, and the time that is added to it.

With --time-only, words are ignored, and only the times are printed: for a model with random weights.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import soundfile  # noqa: E402

from coldvoxd.core.seams import SeamMethod, SeamRules, spelled  # noqa: E402 - the checkout's own
from coldvoxd.core.session_text import SessionText  # noqa: E402
from coldvoxd.core.settings import EndpointSettings  # noqa: E402
from coldvoxd.core.speech_spans import within  # noqa: E402
from coldvoxd.core.values import SAMPLE_RATE, Precision, Utterance, samples_in  # noqa: E402
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from tests.support.sound.pauses import halves_of, room  # noqa: E402
from tests.support.sound.speech import Wave, samples, spoken  # noqa: E402

INSIDE, BETWEEN = "inside a sentence", "between sentences"
PAUSE_S = 0.6
"""Seconds of room noise on each side of a cut, from which the daemon keeps what its settings say."""


@dataclass(frozen=True, slots=True)
class Case:
    """Two utterances with a pause between them."""

    kind: str
    parts: tuple[Utterance, Utterance]
    words: list[str]
    """What both have, if they are recognized rightly."""


@dataclass(slots=True)
class Row:
    right: int = 0
    unknown: int = 0
    wrong: int = 0
    changed: int = 0
    alone_s: float = 0.0
    added_s: float = 0.0


def letters(text: str) -> list[str]:
    return [word for word in map(spelled, text.split()) if word]


def utterance(number: int, wave: Wave) -> Utterance | None:
    """Return what the daemon would cut from a recording; None if its detector finds no speech."""
    found = spoken(np.concatenate((room(PAUSE_S), wave, room(PAUSE_S))))
    if not found.speech:
        return None
    endpoint = EndpointSettings()
    begin = max(0, found.speech[0][0] - samples_in(endpoint.lead_ms))
    end = min(len(found.samples), found.speech[-1][1] + samples_in(endpoint.tail_ms))
    speech = within(found.speech, begin, end)
    return replace(
        found, id=number, start_sample=number * 20 * SAMPLE_RATE, samples=found.samples[begin:end], speech=speech
    )


def cases(recognizer: ParakeetRecognizer, clips: Iterable[tuple[Wave, str]], every: int) -> Iterator[Case]:
    """Yield each clip cut after each `every`-th word, and pairs of clips."""
    whole: list[tuple[Utterance, list[str]]] = []
    for wave, said in clips:
        words = letters(said)
        count = len(recognizer.recognize_samples(wave).words)
        for after_word in range(1, count, every):
            parts = [utterance(at, part) for at, part in enumerate(halves_of(wave, after_word))]
            if parts[0] and parts[1]:
                yield Case(INSIDE, (parts[0], parts[1]), words)
        if one := utterance(0, wave):
            whole.append((one, words))
    pairs = (
        [(one, other) for one in whole for other in whole if one is not other] if every == 1 else list(pairwise(whole))
    )
    for (first, before), (second, after) in pairs:
        yield Case(BETWEEN, (first, replace(second, id=1, start_sample=20 * SAMPLE_RATE)), before + after)


def play(recognizer: ParakeetRecognizer, case: Case, rows: dict[SeamMethod, Row]) -> None:
    """Recognize a case by each method, and count what is found."""
    first, second = case.parts
    earlier = recognizer.recognize(first)
    began_s = time.perf_counter()
    alone = recognizer.recognize(second)
    alone_s = time.perf_counter() - began_s
    if letters(f"{earlier.text} {alone.text}") != case.words:
        return
    for method, row in rows.items():
        text = SessionText(SeamRules(method, longest_pause_s=60.0))
        text.add(first, earlier)
        began_s = time.perf_counter()
        found = recognizer.recognize(replace(second, context=text.context_of(second)))
        row.added_s += time.perf_counter() - began_s - alone_s
        row.alone_s += alone_s
        row.changed += letters(found.text) != letters(alone.text)
        if found.seam is None:
            row.unknown += 1
        elif found.seam.continues == (case.kind == INSIDE):
            row.right += 1
        else:
            row.wrong += 1


def timed(recognizer: ParakeetRecognizer, precision: Precision, pairs: int) -> None:
    """Print a row of times for each method: pairs of samples, each recognized three times in turn, the best of them."""
    parts = [found for number, sample in enumerate(samples()) if (found := utterance(number % 2, sample.wave()))]
    chosen = [(parts[at % len(parts)], parts[(at + 1) % len(parts)]) for at in range(0, 2 * pairs, 2)]
    alone_s, added_s = 0.0, dict.fromkeys((SeamMethod.STATE, SeamMethod.WINDOW), 0.0)
    for first, second in chosen:
        earlier = recognizer.recognize(first)
        ways: dict[SeamMethod | None, Utterance] = {None: second}
        for method in added_s:
            text = SessionText(SeamRules(method, longest_pause_s=60.0))
            text.add(first, earlier)
            ways[method] = replace(second, context=text.context_of(second))
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(3):
            for way, heard in ways.items():
                began_s = time.perf_counter()
                recognizer.recognize(heard)
                best[way] = min(best[way], time.perf_counter() - began_s)
        alone_s += best[None]
        for method in added_s:
            added_s[method] += best[method] - best[None]
    seconds = sum(second.duration_s for _, second in chosen) / len(chosen)
    for method, added in added_s.items():
        print(
            f"| {precision} | {method} | {len(chosen)} | {seconds:.1f} s | {1000 * alone_s / len(chosen):.0f} "
            f"| {1000 * added / len(chosen):.0f} | {added / alone_s:.1%} |",
            flush=True,
        )


def recordings(folder: Path, recognizer: ParakeetRecognizer) -> Iterator[tuple[Wave, str]]:
    """Yield recordings with the text of the whole, since the folder has none."""
    for path in sorted(folder.iterdir()):
        if path.suffix in {".flac", ".wav"}:
            wave, _ = soundfile.read(path, dtype="float32")
            yield wave, recognizer.recognize_samples(wave).text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help="name or folder of a model (default: mini)")
    parser.add_argument("--clips", type=Path, help="folder of recordings, 16 kHz")
    parser.add_argument("--time-only", type=int, metavar="N", help="print the times of N utterances after another one")
    parser.add_argument("--threads", type=int, default=1, help="threads of a recognition (default: 1)")
    arguments = parser.parse_args()
    if arguments.time_only:
        print(
            "| precision | method | utterances | of, mean | ms alone | ms added | share |\n|---|---|---|---|---|---|---|"
        )
        for precision in (Precision.FP32, Precision.INT8):
            recognizer = ParakeetRecognizer.open(find_model(arguments.model, precision), threads=arguments.threads)
            timed(recognizer, precision, arguments.time_only)
            recognizer.close()
        return
    print(
        "| speech | precision | seams | method | of | right | unknown | wrong | texts changed | ms alone | ms added |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for precision in (Precision.FP32, Precision.INT8):
        recognizer = ParakeetRecognizer.open(find_model(arguments.model, precision), threads=arguments.threads)
        sources = {"samples": cases(recognizer, [(sample.wave(), sample.said) for sample in samples()], 1)}
        if arguments.clips:
            sources["recordings"] = cases(recognizer, recordings(arguments.clips, recognizer), 3)
        for source, found in sources.items():
            rows = {kind: {SeamMethod.STATE: Row(), SeamMethod.WINDOW: Row()} for kind in (INSIDE, BETWEEN)}
            for case in found:
                play(recognizer, case, rows[case.kind])
            for kind, by_method in rows.items():
                for method, row in by_method.items():
                    count = max(1, row.right + row.unknown + row.wrong)
                    print(
                        f"| {source} | {precision} | {kind} | {method} | {count} | {row.right} | {row.unknown} | {row.wrong} "
                        f"| {row.changed} | {1000 * row.alone_s / count:.0f} | {1000 * row.added_s / count:.0f} |",
                        flush=True,
                    )
        recognizer.close()


if __name__ == "__main__":
    main()
