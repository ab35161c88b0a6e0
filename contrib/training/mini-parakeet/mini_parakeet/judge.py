"""Round four's figures: the same words with and without a pause, seams, and the sets that are kept back."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from mini_parakeet.alignment import aligned
from mini_parakeet.carried import Carried
from mini_parakeet.checkpoint import load_model, newest_weights
from mini_parakeet.composition import ALWAYS_CAPITAL, MARKS, joined, part, with_pauses
from mini_parakeet.corpus import SAMPLE_RATE, Clip, Corpus, Samples, write_corpus
from mini_parakeet.evaluate import Coldvox, OnnxAsr, Recognized, Recognizer, padded, transcripts_row
from mini_parakeet.export import export
from mini_parakeet.features import log_mel
from mini_parakeet.grammar import bare_words, command_slots
from mini_parakeet.human import SPEAKERS, spoken_commands, spoken_digits
from mini_parakeet.model import MiniParakeet, ModelSettings
from mini_parakeet.prompts import human_prompts, joined_prompts, single_digits
from mini_parakeet.scoring import edit_distance
from mini_parakeet.seams import Tally
from mini_parakeet.synthesis import to_clip_rate
from mini_parakeet.tokenizer import Tokenizer

PAUSES_S = (0.3, 0.6, 0.9, 1.5, 2.5)
QUICK_PAUSE_S = 0.9
NATURAL_CLIPS, ESPEAK_CLIPS = 120, 120
INSIDE, BETWEEN = "inside sentences", "between sentences"


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    value: float
    unit: str
    goal: str = ""


@dataclass(frozen=True, slots=True)
class Seam:
    """A clip, or two by one voice, and where the pause goes."""

    clips: tuple[Clip, ...]
    place: int
    """How many words come before the pause."""

    @property
    def inside(self) -> bool:
        return len(self.clips) == 1

    @property
    def text(self) -> str:
        return " ".join(clip.text for clip in self.clips)

    def paused(self, seconds: float) -> Samples:
        rng = np.random.default_rng(self.place)
        if self.inside:
            return with_pauses(self.clips[0], rng, seconds, [self.place]).samples
        return joined(self.clips, rng, seconds).samples

    def unpaused(self) -> Samples:
        return np.concatenate([clip.samples for clip in self.clips])

    def halves(self) -> tuple[Samples, Samples]:
        if not self.inside:
            return self.clips[0].samples, self.clips[1].samples
        clip = self.clips[0]
        return part(clip, 0, self.place), part(clip, self.place, len(clip.cuts) + 1)


def seams_inside(clips: Iterable[Clip]) -> list[Seam]:
    """A pause at a random place in each clip of which the cuts are known."""
    rng = np.random.default_rng(44)
    return [Seam((clip,), int(rng.integers(1, len(clip.cuts) + 1))) for clip in clips if clip.cuts]


def seams_between(clips: list[Clip]) -> list[Seam]:
    """Neighbours of one voice, each clip in one pair."""
    pairs = zip(clips[::2], clips[1::2], strict=False)
    return [
        Seam(pair, len(pair[0].text.split()))
        for pair in pairs
        if pair[0].voice.split(":")[0] == pair[1].voice.split(":")[0]
    ]


def evaluation_seams(corpora: Path, every: int = 1) -> dict[str, list[Seam]]:
    natural = list(Corpus(corpora / "eval-kokoro-unheard"))[:NATURAL_CLIPS]
    espeak = list(Corpus(corpora / "eval-sentences-unseen-espeak"))[:ESPEAK_CLIPS]
    sets = {
        f"natural voices, {INSIDE}": seams_inside(natural)[::every],
        f"natural voices, {BETWEEN}": seams_between(natural)[::every],
        f"espeak voices, {INSIDE}": seams_inside(espeak)[::every],
        f"espeak voices, {BETWEEN}": seams_between(espeak)[::every],
    }
    if (corpora / "eval-orders.jsonl").exists():
        sets[f"human orders, {INSIDE}"] = seams_inside(Corpus(corpora / "eval-orders"))[::every]
    return sets


def write_orders(corpora: Path, data: Path, model: MiniParakeet, tokenizer: Tokenizer) -> None:
    """The held-out orders whose slots `model` hears rightly, with the ends of their words, unless they are there."""
    path = corpora / "eval-orders"
    if path.with_suffix(".jsonl").exists():
        return
    clips = []
    for command in spoken_commands(data):
        if command.held_out:
            text = ByTorch(model, tokenizer).recognize(padded(command.samples)).text
            if command_slots(text) == command.slots:
                cuts = aligned(model, tokenizer, command.samples, text)
                clips.append(Clip(command.samples, text, f"barista:{command.cluster}", command.name, cuts))
    write_corpus(path, clips)


def joined_tally(seams: list[Seam], recognizer: Recognizer, pauses_s: Iterable[float]) -> dict[float, Tally]:
    """The pauses are in the audio."""
    unpaused = recognizer.recognize_all([padded(seam.unpaused()) for seam in seams])
    tallies = {}
    for pause_s in pauses_s:
        tally = tallies[pause_s] = Tally()
        results = recognizer.recognize_all([padded(seam.paused(pause_s)) for seam in seams])
        for seam, result, plain in zip(seams, results, unpaused, strict=True):
            tally.count(result.text, plain.text, seam.text, seam.place, seam.inside)
    return tallies


def carried_tally(seams: list[Seam], recognizer: Carried) -> Tally:
    """Audio is recognized in two parts, the second with what was heard in the first as context.

    The final mark of the first counts where the second begins with a capital letter and its first word isn't one that
    always does; where it has none, a capital letter alone can't make the seam right.
    """
    tally = Tally()
    for seam in seams:
        before, after = (padded(half) for half in seam.halves())
        first = recognizer.recognize(before)
        context = recognizer.without_mark(first.tokens)
        second = recognizer.recognize(after, context)
        word = second.text.split()[0] if second.text else ""
        begins = word[:1].isupper() and (word.rstrip(MARKS) not in ALWAYS_CAPITAL or not seam.inside)
        start = first.text if begins else recognizer.text(context)
        plain = recognizer.recognize(padded(seam.unpaused())).text
        tally.count(f"{start} {second.text}", plain, seam.text, seam.place, seam.inside)
    return tally


def seam_rows(sets: dict[str, list[Seam]], recognizer: Recognizer) -> Iterator[Row]:
    for name, seams in sets.items():
        for pause_s, tally in joined_tally(seams, recognizer, PAUSES_S).items():
            yield from tally_rows(f"{name} ({tally.clips}), {pause_s} s in the audio", tally)


def carried_rows(sets: dict[str, list[Seam]], recognizer: Carried) -> Iterator[Row]:
    for name, seams in sets.items():
        tally = carried_tally(seams, recognizer)
        yield from tally_rows(f"{name} ({tally.clips}), context carried", tally)


def tally_rows(name: str, tally: Tally) -> Iterator[Row]:
    yield Row(f"{name}: same words", tally.same_percent, "%", ">= 90 %")
    yield Row(f"{name}: seam right (of {tally.judged})", tally.right_percent, "%", ">= 95 %")


def set_rows(recognizer: Recognizer, corpora: Path, data: Path, every: int = 1) -> Iterator[Row]:
    """The sets without pauses."""

    def row(name: str, corpus: list[str], goal: str) -> Row:
        clips = [clip for part_name in corpus for clip in list(Corpus(corpora / f"eval-{part_name}"))[::every]]
        found = transcripts_row(name, recognizer, [(padded(clip.samples), clip.text) for clip in clips])
        return Row(f"{name} ({len(clips)})", found.value, "% WER", goal)

    yield row("four natural voices, never heard", ["kokoro-unheard"], "<= 5 %")
    yield row("espeak voices, never heard", ["sentences-unseen-espeak"], "<= 6.3 %")
    yield row("synthesizers, never heard (flite rms, festival)", ["unseen-flite", "unseen-festival"], "<= 10 %")
    yield row("word salad", ["salad"], "")
    yield row("orders, numbers, spoken punctuation", ["new-vocabulary"], "")
    commands = [command for command in spoken_commands(data) if command.held_out][::every]
    results = recognizer.recognize_all([command.samples for command in commands])
    right = sum(command_slots(found.text) == command.slots for found, command in zip(results, commands, strict=True))
    yield Row(f"human orders, every slot ({len(commands)})", 100 * right / len(commands), "%", ">= 92 %")
    for speaker in SPEAKERS:
        digits = [digit for digit in spoken_digits(data, speaker) if digit.held_out][::every]
        heard = recognizer.recognize_all([digit.samples for digit in digits], rate=8_000)
        right = sum(
            bare_words(found.text) == bare_words(digit.text) for found, digit in zip(heard, digits, strict=True)
        )
        yield Row(f"human digits, {speaker}, takes held out ({len(digits)})", 100 * right / len(digits), "%", ">= 95 %")


def prompt_rows(recognizer: Recognizer, folder: Path) -> Iterator[Row]:
    """A human voice that no weights have heard; words are compared without case and marks."""
    prompts = human_prompts(folder)
    sets = {
        "human prompts, single digits": single_digits(prompts),
        "human prompts, alone": prompts,
        "human prompts, joined": joined_prompts(prompts),
    }
    for name, chosen in sets.items():
        results = recognizer.recognize_all([padded(prompt.samples) for prompt in chosen])
        pairs = zip(results, chosen, strict=True)
        errors = sum(edit_distance(bare_words(found.text), list(prompt.words)) for found, prompt in pairs)
        words = sum(len(prompt.words) for prompt in chosen)
        yield Row(f"{name} ({len(chosen)})", 100 * errors / words, "% WER", "<= 40 %")


class ByTorch:
    """The PyTorch model itself as a recognizer: no export, no confidence."""

    name = "torch"

    def __init__(self, model: MiniParakeet, tokenizer: Tokenizer) -> None:
        self._model, self._tokenizer = model, tokenizer

    def recognize(self, samples: Samples, rate: int = SAMPLE_RATE) -> Recognized:
        features = torch.from_numpy(log_mel(to_clip_rate(samples, rate)))
        return Recognized(self._tokenizer.decode(self._model.transcribe(features)), 1.0)

    def recognize_all(self, clips: Iterable[Samples], rate: int = SAMPLE_RATE) -> list[Recognized]:
        return [self.recognize(clip, rate) for clip in clips]


def quick_line(model: MiniParakeet, tokenizer: Tokenizer, corpora: Path, data: Path | None, every: int) -> str:
    """The most important figures on each `every`-th clip, for the training's log."""
    model.eval()
    recognizer = ByTorch(model, tokenizer)
    parts = []
    for name, seams in evaluation_seams(corpora, every).items():
        tally = joined_tally(seams, recognizer, [QUICK_PAUSE_S])[QUICK_PAUSE_S]
        parts.append(f"{name} same {tally.same_percent:.0f}% seams {tally.right_percent:.0f}%")
    if data is not None:
        parts += [
            f"{row.name.split(' (')[0]} {row.value:.1f}{row.unit}" for row in set_rows(recognizer, corpora, data, every)
        ]
    return "; ".join(parts)


def exported(work: Path, stage: str) -> tuple[Path, int]:
    """The newest weights of a stage as ONNX files, and their step."""
    weights, settings, step = newest_weights(work, stage)
    model = MiniParakeet(ModelSettings(**settings))
    model.load_state_dict(weights)
    folder = work / "judged"
    export(model, Tokenizer(work / "tokenizer.model"), folder)
    return folder, step


@dataclass(frozen=True, slots=True)
class Sets:
    """What is judged on."""

    corpora: Path
    data: Path
    prompts: Path | None
    every: int


def judged(folder: Path, through: str, quantization: str | None, sets: Sets) -> list[Row]:
    seams = evaluation_seams(sets.corpora, sets.every)
    recognizer = Coldvox(folder, quantization) if through == "coldvoxd" else OnnxAsr(folder, quantization)
    rows = list(set_rows(recognizer, sets.corpora, sets.data, sets.every))
    if sets.prompts is not None:
        rows += prompt_rows(recognizer, sets.prompts)
    rows += seam_rows(seams, recognizer)
    if through != "coldvoxd":
        rows += carried_rows(seams, Carried(folder, quantization))
    return rows


def as_table(results: dict[str, list[Row]]) -> str:
    lines = [f"| set | goal | {' | '.join(results)} |", f"|---|---|{'---|' * len(results)}"]
    for rows in zip(*results.values(), strict=True):
        cells = " | ".join(f"{row.value:.1f} {row.unit}" for row in rows)
        lines.append(f"| {rows[0].name} | {rows[0].goal} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--stage", default="paused", help="its newest weights are judged")
    parser.add_argument("--model", type=Path, help="an exported model directory instead")
    parser.add_argument("--through", choices=["onnx-asr", "coldvoxd"], default="onnx-asr")
    parser.add_argument("--only", choices=["fp32", "int8"])
    parser.add_argument("--prompts", type=Path, help="folder of Asterisk's unpacked packages (see prompts.py)")
    parser.add_argument("--every", type=int, default=1, help="judge each Nth clip only")
    parser.add_argument("--report", type=Path, help="write all rows here, as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    corpora = arguments.work / "corpus"
    shipped = load_model(arguments.work / "shipped.pt")
    write_orders(corpora, arguments.data, shipped, Tokenizer(arguments.work / "tokenizer.model"))
    step = 0
    folder = arguments.model
    if folder is None:
        folder, step = exported(arguments.work, arguments.stage)
    sets = Sets(corpora, arguments.data, arguments.prompts, arguments.every)
    results = {
        f"{arguments.through} {precision}": judged(folder, arguments.through, quantization, sets)
        for precision, quantization in (("fp32", None), ("int8", "int8"))
        if arguments.only in (None, precision)
    }
    print(f"step {step}\n{as_table(results)}", flush=True)
    if arguments.report:
        report = {"step": step, **{name: [asdict(row) for row in rows] for name, rows in results.items()}}
        arguments.report.write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
