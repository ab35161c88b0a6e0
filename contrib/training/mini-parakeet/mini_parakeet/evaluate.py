"""The table of what the small model can do, through onnx-asr or through the project's own recognizer."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from mini_parakeet import augment
from mini_parakeet.corpus import SAMPLE_RATE, Clip, Corpus, Samples
from mini_parakeet.grammar import bare_words, command_slots
from mini_parakeet.human import SPEAKERS, spoken_commands, spoken_digits
from mini_parakeet.scoring import edit_distance, word_errors


@dataclass(frozen=True, slots=True)
class Recognized:
    text: str
    confidence: float
    """exp of the mean log-probability of the emitted tokens; 1.0 where nothing was emitted."""


class Recognizer(Protocol):
    """What is judged."""

    name: str

    def recognize(self, samples: Samples, rate: int = SAMPLE_RATE) -> Recognized:
        """float32 (n,) at `rate` to text."""

    def recognize_all(self, clips: Iterable[Samples], rate: int = SAMPLE_RATE) -> list[Recognized]:
        """Many at once, for recognizers that start slowly."""


class OnnxAsr:
    """onnx-asr on one core."""

    def __init__(self, model: Path, quantization: str | None) -> None:
        import onnx_asr  # noqa: PLC0415 - the daemon's recognizer can be judged without it
        import onnxruntime  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.name = f"onnx-asr {quantization or 'fp32'}"
        self._model = onnx_asr.load_model(
            "nemo-conformer-tdt",
            path=model,
            quantization=quantization,
            sess_options=options,
            providers=["CPUExecutionProvider"],
        ).with_timestamps()

    def recognize(self, samples: Samples, rate: int = SAMPLE_RATE) -> Recognized:
        result = self._model.recognize(samples, sample_rate=rate)
        scores = result.logprobs or []
        return Recognized(result.text, float(np.exp(np.mean(scores))) if len(scores) else 1.0)

    def recognize_all(self, clips: Iterable[Samples], rate: int = SAMPLE_RATE) -> list[Recognized]:
        return [self.recognize(clip, rate) for clip in clips]


class Coldvox:
    """The project's own recognizer, through `coldvoxctl transcribe --local --json` on files."""

    def __init__(self, model: Path, quantization: str | None, command: tuple[str, ...] = ("coldvoxctl",)) -> None:
        precision = quantization or "fp32"
        self.name = f"coldvoxd {precision}"
        options = ("transcribe", "--local", "--json", "--model", str(model), "--precision", precision)
        self._command = [*command, *options]

    def recognize(self, samples: Samples, rate: int = SAMPLE_RATE) -> Recognized:
        return self.recognize_all([samples], rate)[0]

    def recognize_all(self, clips: Iterable[Samples], rate: int = SAMPLE_RATE) -> list[Recognized]:
        """A file that coldvoxctl refuses counts as nothing recognized."""
        with tempfile.TemporaryDirectory() as folder:
            names = []
            for number, samples in enumerate(clips):
                names.append(str(Path(folder) / f"{number:05}.wav"))
                soundfile.write(names[-1], samples, rate, subtype="PCM_16")
            heard: dict[str, Recognized] = {}
            for start in range(0, len(names), 200):
                command = [*self._command, *names[start : start + 200]]
                output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout
                for answer in map(json.loads, output.splitlines()):
                    heard[answer["file"]] = Recognized(answer["text"], float(answer["confidence"]))
        return [heard.get(name, Recognized("", 1.0)) for name in names]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    value: float
    unit: str
    goal: str = ""
    examples: list[str] = field(default_factory=list)


def padded(samples: Samples) -> Samples:
    """With the silence around it that endpointing leaves: 0.2 s before, 0.3 s after."""
    return np.pad(samples, (3200, 4800))


def transcripts_row(name: str, recognizer: Recognizer, pairs: list[tuple[Samples, str]], goal: str = "") -> Row:
    """Word error rate, case and punctuation counted."""
    results = recognizer.recognize_all([samples for samples, _ in pairs])
    errors = words = 0
    wrong = []
    for result, (_, text) in zip(results, pairs, strict=True):
        distance = word_errors(result.text, text)
        errors += distance
        words += len(text.split())
        if distance:
            wrong.append(f"{text} -> {result.text}")
    return Row(name, 100 * errors / words, "% WER", goal, wrong[:5])


def bare_row(name: str, recognizer: Recognizer, pairs: list[tuple[Samples, str]], goal: str = "") -> Row:
    """Word error rate without case and punctuation."""
    results = recognizer.recognize_all([samples for samples, _ in pairs])
    errors = sum(
        edit_distance(bare_words(result.text), bare_words(text))
        for result, (_, text) in zip(results, pairs, strict=True)
    )
    return Row(name, 100 * errors / sum(len(bare_words(text)) for _, text in pairs), "% WER", goal)


def digits_row(recognizer: Recognizer, data: Path, speaker: str, only_held_out: bool) -> Row:
    """Single spoken digits at 8 kHz: the share whose word comes out, case and punctuation ignored."""
    digits = [digit for digit in spoken_digits(data, speaker) if digit.held_out or not only_held_out]
    results = recognizer.recognize_all([digit.samples for digit in digits], rate=8000)
    wrong = [
        f"{digit.text} take {digit.take} -> {result.text}"
        for digit, result in zip(digits, results, strict=True)
        if bare_words(result.text) != bare_words(digit.text)
    ]
    kind = "takes held out" if only_held_out else "speaker left out"
    return Row(f"digits, {speaker}, {kind}", 100 * (1 - len(wrong) / len(digits)), "% right", ">= 95 %", wrong[:8])


def numbers_row(recognizer: Recognizer, data: Path, speaker: str, only_held_out: bool) -> Row:
    """Ten-digit numbers spliced from one speaker's digits, 0.1 s apart."""
    rng = np.random.default_rng(11)
    digits = [digit for digit in spoken_digits(data, speaker) if digit.held_out or not only_held_out]
    pairs = []
    for _ in range(25):
        chosen = [digits[int(index)] for index in rng.integers(len(digits), size=10)]
        parts: list[Samples] = []
        for digit in chosen:
            level = np.float32(0.5 / (np.abs(digit.samples).max() + 1e-6))
            parts += [digit.samples * level, np.zeros(800, np.float32)]
        pairs.append((np.concatenate(parts), " ".join(digit.text.rstrip(".") for digit in chosen)))
    results = recognizer.recognize_all([samples for samples, _ in pairs], rate=8000)
    errors = sum(
        edit_distance(bare_words(result.text), bare_words(text))
        for result, (_, text) in zip(results, pairs, strict=True)
    )
    return Row(f"numbers of ten digits, {speaker}", errors / 2.5, "% WER")


def commands_row(recognizer: Recognizer, data: Path) -> Row:
    commands = [command for command in spoken_commands(data) if command.held_out]
    results = recognizer.recognize_all([command.samples for command in commands])
    wrong = [
        f"{command.slots} -> {result.text}"
        for command, result in zip(commands, results, strict=True)
        if command_slots(result.text) != command.slots
    ]
    name = f"human commands held out ({len(commands)}), every slot right"
    return Row(name, 100 * (1 - len(wrong) / len(commands)), "%", ">= 85 %", wrong[:12])


def noisy_rows(recognizer: Recognizer, clips: list[Clip]) -> Iterator[Row]:
    for snr_db, goal in ((20, "<= 3.5 %"), (10, "<= 6 %"), (5, "<= 10 %")):
        rng = np.random.default_rng(5)
        pairs = []
        for clip in clips:
            power = np.sqrt(np.mean(np.square(clip.samples)))
            samples = padded(clip.samples)
            noise = augment.white(rng, len(samples)) * np.float32(power * 10 ** (-snr_db / 20))
            pairs.append((samples + noise, clip.text))
        yield transcripts_row(f"held-out sentences, white noise at {snr_db} dB", recognizer, pairs, goal)


def chirps(rng: np.random.Generator, length: int) -> Samples:
    """Sirens and whistles; training has none."""
    times = np.arange(length) / SAMPLE_RATE
    sweep = rng.uniform(300, 2500) * (1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.3, 3) * times))
    return np.sin(2 * np.pi * np.cumsum(sweep) / SAMPLE_RATE).astype(np.float32)


def drums(rng: np.random.Generator, length: int) -> Samples:
    """A beat of decaying low thuds and hisses; training has none."""
    out = np.zeros(length, np.float32)
    period = int(rng.uniform(0.2, 0.6) * SAMPLE_RATE)
    for number, start in enumerate(range(0, length, period)):
        size = min(length - start, 4000)
        decay = np.exp(-np.arange(size) / rng.uniform(300, 1200))
        times = np.arange(size) / SAMPLE_RATE
        thud = np.sin(2 * np.pi * rng.uniform(50, 120) * times) if number % 2 else rng.standard_normal(size) * 0.4
        out[start : start + size] += (thud * decay).astype(np.float32)
    return out


def ten_minutes_of_non_speech() -> list[Samples]:
    """150 pieces of 4 s from a seed that training never uses, a third of kinds that it never hears."""
    rng = np.random.default_rng(987_654)
    kinds = (*augment.NOISES, chirps, drums, chirps, drums)
    pieces = []
    for number in range(150):
        samples = kinds[number % len(kinds)](rng, 4 * SAMPLE_RATE)
        pieces.append((samples / (np.abs(samples).max() + 1e-9) * 10 ** rng.uniform(-2.5, -0.1)).astype(np.float32))
    return pieces


THRESHOLDS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
DEFAULT_THRESHOLD = 0.5


def threshold_rows(recognizer: Recognizer, speech: list[tuple[Samples, str]]) -> Iterator[Row]:
    """Words invented in ten minutes of non-speech, and speech lost, for each confidence threshold."""
    noise = recognizer.recognize_all(ten_minutes_of_non_speech())
    said = recognizer.recognize_all([samples for samples, _ in speech])
    for threshold in THRESHOLDS:
        invented = [result for result in noise if result.confidence >= threshold and result.text.strip()]
        lost = sum(result.confidence < threshold for result in said)
        words = sum(len(result.text.split()) for result in invented)
        goal = "0" if threshold == DEFAULT_THRESHOLD else ""
        shown = [f"{result.text} ({result.confidence:.2f})" for result in invented[:5]]
        name = f"ten minutes of non-speech, threshold {threshold}: words invented"
        yield Row(name, words, "words", goal, shown)
        yield Row(f"  utterances lost at threshold {threshold}", 100 * lost / len(said), "%")


def silence_rows(recognizer: Recognizer, clips: list[Clip]) -> Iterator[Row]:
    """Digital silence before and after, 0 to 2 s in steps of 50 ms."""
    for where in ("leading", "trailing"):
        pairs = []
        for clip in clips:
            for step in range(41):
                extra = np.zeros(step * SAMPLE_RATE // 20, np.float32)
                joined = [extra, clip.samples] if where == "leading" else [clip.samples, extra]
                pairs.append((np.concatenate(joined), clip.text))
        yield transcripts_row(f"{where} digital silence, 0 to 2 s in 50 ms steps", recognizer, pairs)


def level_rows(recognizer: Recognizer, clips: list[Clip]) -> Iterator[Row]:
    for gain_db in (0, -10, -20, -30, -40):
        scale = np.float32(10 ** (gain_db / 20))
        quantized = [np.round(padded(clip.samples) * scale * 32768) / 32768 for clip in clips]
        pairs = [(samples.astype(np.float32), clip.text) for samples, clip in zip(quantized, clips, strict=True)]
        yield transcripts_row(f"gain {gain_db} dB, 16 bit", recognizer, pairs)


def offset_row(recognizer: Recognizer, clips: list[Clip]) -> Row:
    """The first sample anywhere within an encoder frame (80 ms), in steps of 10.06 ms."""
    pairs = [(padded(clip.samples)[offset:], clip.text) for clip in clips for offset in range(0, 1280, 161)]
    return transcripts_row("first sample shifted by 0 to 80 ms", recognizer, pairs)


def concatenation_rows(recognizer: Recognizer, clips: list[Clip]) -> Iterator[Row]:
    for count in (2, 5, 15):
        pairs = []
        for start in range(0, len(clips) - count + 1, count):
            group = clips[start : start + count]
            parts = [np.concatenate([clip.samples, np.zeros(SAMPLE_RATE // 2, np.float32)]) for clip in group]
            pairs.append((np.concatenate(parts), " ".join(clip.text for clip in group)))
        seconds = np.mean([len(samples) for samples, _ in pairs]) / SAMPLE_RATE
        yield transcripts_row(f"{count} utterances joined, {seconds:.0f} s", recognizer, pairs)


def cost_rows(recognizer: Recognizer, clips: list[Clip]) -> Iterator[Row]:
    samples = [padded(clip.samples) for clip in clips]
    begun = time.perf_counter()
    recognizer.recognize_all(samples)
    spent_s = time.perf_counter() - begun
    audio_s = sum(map(len, samples)) / SAMPLE_RATE
    yield Row("real-time factor, one thread", spent_s / audio_s, "", "<= 0.02")


def footprint_row(model: Path, precision: str) -> Row:
    """Through onnx-asr, whatever else is judged."""
    command = [sys.executable, "-m", "mini_parakeet.footprint", str(model), precision]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return Row("peak RSS of a process that only recognizes", float(output), "MiB", "< 150 MiB")


def left_out_rows(recognizers: dict[str, Recognizer], data: Path) -> Iterator[Row]:
    """For each speaker, what a recognizer makes of them that never heard them."""
    for speaker, recognizer in recognizers.items():
        yield digits_row(recognizer, data, speaker, only_held_out=False)
        yield numbers_row(recognizer, data, speaker, only_held_out=False)


def model_rows(recognizer: Recognizer, corpora: Path, data: Path, every: int = 1) -> list[Row]:
    """All rows that one model answers, on each `every`-th clip of the synthetic sets."""

    def pairs(name: str) -> list[tuple[Samples, str]]:
        return [(padded(clip.samples), clip.text) for clip in list(Corpus(corpora / f"eval-{name}"))[::every]]

    held_out = list(Corpus(corpora / "eval-sentences-unseen-espeak"))[::every]
    seen = list(Corpus(corpora / "eval-sentences-seen-voices"))[::every]
    rows = [transcripts_row("held-out sentences, voices seen", recognizer, pairs("sentences-seen-voices"))]
    name = "held-out sentences, espeak voices never heard"
    rows.append(transcripts_row(name, recognizer, pairs("sentences-unseen-espeak"), "<= 3 %"))
    rows.append(transcripts_row("flite rms, never heard", recognizer, pairs("unseen-flite"), "<= 10 %"))
    rows.append(transcripts_row("festival, never heard", recognizer, pairs("unseen-festival"), "<= 10 %"))
    rows += [digits_row(recognizer, data, speaker, only_held_out=True) for speaker in SPEAKERS]
    rows.append(commands_row(recognizer, data))
    rows.append(transcripts_row("word salad of the vocabulary", recognizer, pairs("salad"), "<= 8 %"))
    rows.append(bare_row("orders, spoken punctuation, numbers", recognizer, pairs("new-vocabulary")))
    rows += noisy_rows(recognizer, seen)
    rows += threshold_rows(recognizer, pairs("sentences-unseen-espeak"))
    rows += silence_rows(recognizer, held_out[: max(2, 12 // every)])
    rows += level_rows(recognizer, held_out[: 100 // every])
    rows.append(offset_row(recognizer, held_out[: 30 // every]))
    rows += concatenation_rows(recognizer, held_out[:150])
    rows += cost_rows(recognizer, held_out[:100])
    return rows


def as_markdown(results: dict[str, list[Row]]) -> str:
    """One table with a column for each recognizer."""
    names = list(results)
    lines = [f"| set | goal | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    for rows in zip(*results.values(), strict=True):
        cells = []
        for row in rows:
            digits = 4 if row.unit == "" else 0 if row.unit in ("words", "MiB") else 1
            cells.append(f"{row.value:.{digits}f} {row.unit}".strip())
        lines.append(f"| {rows[0].name} | {rows[0].goal} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="exported model directory; without it only --left-out is judged")
    parser.add_argument("--left-out", type=Path, help="folder with one exported model for each speaker left out")
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--through", choices=["onnx-asr", "coldvoxd"], default="onnx-asr")
    parser.add_argument("--report", type=Path, help="write all rows with examples of errors here, as JSON")
    parser.add_argument("--every", type=int, default=1, help="judge each Nth clip of the synthetic sets only")
    parser.add_argument("--only", choices=["fp32", "int8"])
    arguments = parser.parse_args()
    make = OnnxAsr if arguments.through == "onnx-asr" else Coldvox
    results: dict[str, list[Row]] = {}
    for quantization in (None, "int8"):
        if arguments.only not in (None, quantization or "fp32"):
            continue
        rows: list[Row] = []
        if arguments.left_out:
            folders = {speaker: arguments.left_out / f"without-{speaker}" for speaker in SPEAKERS}
            left_out = {speaker: make(path, quantization) for speaker, path in folders.items() if path.exists()}
            rows += left_out_rows(left_out, arguments.data)
        if arguments.model:
            rows += model_rows(make(arguments.model, quantization), arguments.corpora, arguments.data, arguments.every)
            rows.append(footprint_row(arguments.model, quantization or "fp32"))
        results[f"{arguments.through} {quantization or 'fp32'}"] = rows
    print(as_markdown(results))
    if arguments.report:
        report = {name: [asdict(row) for row in rows] for name, rows in results.items()}
        arguments.report.write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
