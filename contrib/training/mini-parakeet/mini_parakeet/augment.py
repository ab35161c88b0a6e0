"""What training does to clean clips: throats, rooms, microphones, lines, noises, levels and pauses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import fftconvolve, lfilter, resample_poly

from mini_parakeet.corpus import SAMPLE_RATE, Samples
from mini_parakeet.features import Features

Rng = np.random.Generator
Array = np.ndarray[Any, Any]
_TEMPO_WINDOW = np.hanning(401)[:400].astype(np.float32)


@dataclass(frozen=True, slots=True)
class Strength:
    """How far augmentation goes."""

    rate: float = 0.17
    """Largest relative change of speed and pitch together."""
    tempo_share: float = 0.3
    """Share of clips whose tempo changes while the pitch stays."""
    warp: float = 0.16
    """Largest vocal-tract-length warp."""
    lowest_snr_db: float = 2.0
    reverb_share: float = 0.35
    narrow_share: float = 0.3
    """Share of clips that pass an 8 kHz line."""


GENTLE = Strength(rate=0.06, tempo_share=0.0, warp=0.06, lowest_snr_db=20.0, reverb_share=0.0, narrow_share=0.1)
FULL = Strength()


def _unit_power(samples: np.ndarray) -> Samples:
    return (samples / (np.sqrt(np.mean(np.square(samples))) + 1e-9)).astype(np.float32)


def white(rng: Rng, length: int) -> Samples:
    return rng.standard_normal(length, dtype=np.float32)


def coloured(rng: Rng, length: int) -> Samples:
    """Noise whose spectrum falls or rises like a room's, a fan's or a hiss."""
    pole = rng.choice([0.98, 0.95, 0.8, 0.5, -0.5])
    return _unit_power(lfilter([1.0], [1.0, -pole], white(rng, length)))


def hum(rng: Rng, length: int) -> Samples:
    times = np.arange(length, dtype=np.float32) / SAMPLE_RATE
    base = rng.choice([50.0, 60.0, rng.uniform(40, 300)])
    tones = sum(np.sin(2 * np.pi * base * k * times + rng.uniform(0, 6.3)) / k for k in range(1, 5))
    return _unit_power(np.asarray(tones) + 0.2 * white(rng, length))


def clicks(rng: Rng, length: int) -> Samples:
    """Keys, switches, knocks: short decaying bursts."""
    out = 0.003 * white(rng, length)
    for _ in range(int(rng.integers(1, 3 + length // 4000))):
        size = int(rng.uniform(20, 1200))
        start = int(rng.integers(0, max(1, length - size)))
        burst = rng.standard_normal(size) * np.exp(-np.arange(size) * rng.uniform(3, 8) / size)
        if rng.random() < 0.5:
            burst = lfilter([1.0], [1.0, -rng.uniform(0.5, 0.98)], burst)
        out[start : start + size] += (burst * rng.uniform(0.3, 1))[: length - start].astype(np.float32)
    return _unit_power(out)


def tones(rng: Rng, length: int) -> Samples:
    """Music-like: notes and chords with harmonics, each with an attack and a decay."""
    out = np.zeros(length, np.float32)
    position = 0
    root = rng.uniform(80, 500)
    while position < length:
        size = min(int(rng.uniform(0.08, 0.9) * SAMPLE_RATE), length - position)
        times = np.arange(size, dtype=np.float32) / SAMPLE_RATE
        note = np.zeros(size, np.float32)
        for _ in range(int(rng.integers(1, 4))):
            pitch = np.float32(root * 2 ** (rng.integers(0, 25) / 12))
            wobble = np.float32(rng.uniform(0, 2)) * np.sin(np.float32(2 * np.pi * rng.uniform(3, 7)) * times)
            phase = np.float32(2 * np.pi) * pitch * times + wobble
            fall = rng.uniform(0.5, 2)
            for k in range(1, int(rng.integers(2, 6))):
                note += np.sin(k * phase) * np.float32(k**-fall)
        out[position : position + size] += note * np.exp(-times * rng.uniform(0, 6)) * np.minimum(1, times * 50)
        position += int(size * rng.uniform(0.6, 1.3)) + 1
    return _unit_power(out + 0.001 * white(rng, length))


def coughs(rng: Rng, length: int) -> Samples:
    """Breath- and cough-like: noise bursts through two or three wandering resonances."""
    out = 0.005 * white(rng, length)
    for _ in range(int(rng.integers(1, 2 + length // 12000))):
        size = min(length, int(rng.uniform(0.08, 0.6) * SAMPLE_RATE))
        start = int(rng.integers(0, max(1, length - size)))
        attack, decay = rng.uniform(0.005, 0.15), rng.uniform(2, 7)
        shape = np.minimum(1, np.arange(size) / (attack * SAMPLE_RATE)) * np.exp(-np.arange(size) * decay / size)
        burst = rng.standard_normal(size) * shape
        for centre in rng.uniform(300, 4000, int(rng.integers(1, 4))):
            radius = rng.uniform(0.85, 0.97)
            burst = lfilter([1.0], [1.0, -2 * radius * np.cos(2 * np.pi * centre / SAMPLE_RATE), radius**2], burst)
        out[start : start + size] += _unit_power(burst) * np.float32(rng.uniform(0.3, 1))
    return _unit_power(out)


def beeps(rng: Rng, length: int) -> Samples:
    """Signals of telephones, alarms and ovens: one or two steady tones, on and off."""
    times = np.arange(length, dtype=np.float32) / SAMPLE_RATE
    out = np.zeros(length, np.float32)
    for pitch in rng.uniform(350, 3200, int(rng.integers(1, 3))):
        out += np.sin(np.float32(2 * np.pi * pitch) * times)
    period_s, on = rng.uniform(0.08, 1.2), rng.uniform(0.2, 0.8)
    gate = ((times + rng.uniform(0, period_s)) % period_s < on * period_s).astype(np.float32)
    rounded = np.convolve(gate, np.full(160, 1 / 160, np.float32), "same")[:length]
    return _unit_power(out * rounded + 0.001 * white(rng, length))


def slow_curve(rng: Rng, length: int, hz: float) -> Samples:
    """A curve from -1 to 1 that turns about `hz` times in a second."""
    knots = rng.uniform(-1, 1, 2 + int(length * hz / SAMPLE_RATE))
    places = np.linspace(0, len(knots) - 1, length)
    return np.interp(places, np.arange(len(knots)), knots).astype(np.float32)


def motors(rng: Rng, length: int) -> Samples:
    """Engines, razors, animals: a buzz whose pitch and level wander, through one or two fixed resonances."""
    pitch = rng.uniform(40, 600) * 2 ** (rng.uniform(0, 0.8) * slow_curve(rng, length, rng.uniform(0.3, 3)))
    phase = np.cumsum(pitch) / SAMPLE_RATE
    buzz = 2 * (phase % 1) - 1
    for centre in rng.uniform(250, 3500, int(rng.integers(1, 3))):
        radius = rng.uniform(0.8, 0.98)
        buzz = lfilter([1.0], [1.0, -2 * radius * np.cos(2 * np.pi * centre / SAMPLE_RATE), radius**2], buzz)
    level = np.maximum(0, 0.5 + slow_curve(rng, length, rng.uniform(0.5, 8)))
    return _unit_power(buzz * level + 0.003 * white(rng, length))


def gusts(rng: Rng, length: int) -> Samples:
    """Wind, paper, taps running: coloured noise that swells and falls, at times as fast as syllables."""
    level = np.maximum(0, 0.4 + slow_curve(rng, length, rng.uniform(0.5, 12)))
    return _unit_power(coloured(rng, length) * level + 0.003 * white(rng, length))


NOISES: tuple[Callable[[Rng, int], Samples], ...] = (white, coloured, coloured, hum, clicks, tones, coughs)


ALONE: tuple[Callable[[Rng, int], Samples], ...] = (beeps, motors, motors, gusts)
"""What is heard only while nobody speaks, so that speech is trained in the noises that it is judged in."""


def noise(rng: Rng, length: int) -> Samples:
    """Any of the noises at unit power."""
    return NOISES[int(rng.integers(len(NOISES)))](rng, length)


def resampled(samples: Samples, factor: float) -> Samples:
    """`samples` played `factor` times as fast: pitch, formants and tempo move together."""
    positions = np.arange(int(len(samples) / factor)) * factor
    return np.interp(positions, np.arange(len(samples)), samples).astype(np.float32)


@njit(cache=True)
def _overlap_add(samples: Array, factor: float, window: Array, search: int) -> Array:
    size = len(window)
    hop = size // 2
    frames = max(1, int((len(samples) - size - search) / (hop * factor)))
    out = np.zeros(frames * hop + size, np.float32)
    start = 0
    for frame in range(frames):
        if frame > 0:
            # Of the places near the wanted one, take that which goes on most like the last frame would have.
            wanted = int(frame * hop * factor)
            follows = start + hop
            best, start = -np.inf, wanted
            for candidate in range(max(0, wanted - search), min(wanted + search, len(samples) - size), 4):
                likeness = 0.0
                for i in range(0, size, 2):
                    likeness += samples[candidate + i] * samples[min(follows + i, len(samples) - 1)]
                if likeness > best:
                    best, start = likeness, candidate
        for i in range(size):
            out[frame * hop + i] += samples[start + i] * window[i]
    return out


def at_tempo(samples: Samples, factor: float) -> Samples:
    """`samples` spoken `factor` times as fast at the same pitch (WSOLA, Verhelst and Roelands 1993)."""
    if len(samples) < 1_600:
        return samples
    return np.asarray(_overlap_add(samples, factor, _TEMPO_WINDOW, 80))


def through_narrow_line(samples: Samples, rng: Rng) -> Samples:
    """As 8 kHz audio comes back to 16 kHz, by good or poor resampling, sometimes through 8-bit mu-law."""
    narrow = resample_poly(samples, 1, 2).astype(np.float32)
    if rng.random() < 0.25:
        peak = np.abs(narrow).max() + 1e-9
        law = np.sign(narrow) * np.log1p(255 * np.abs(narrow) / peak) / np.log(256)
        law = np.round(law * 127) / 127
        narrow = (np.sign(law) * np.expm1(np.abs(law) * np.log(256)) / 255 * peak).astype(np.float32)
    narrow = np.round(narrow * 32768).astype(np.float32) / 32768
    if rng.random() < 0.25:
        wide = np.interp(np.arange(2 * len(narrow)) / 2, np.arange(len(narrow)), narrow)
    else:
        wide = resample_poly(narrow, 2, 1)
    return wide[: len(samples)].astype(np.float32)


def equalized(samples: Samples, rng: Rng) -> Samples:
    """A microphone's and a mouth's colour: tilt, bumps, and now and then a band limit."""
    size = next_fast_len(len(samples), real=True)
    spectrum = rfft(samples, size)
    hz = np.linspace(0, SAMPLE_RATE / 2, len(spectrum))
    knots = np.array([0, 120, 300, 700, 1500, 2500, 3500, 5000, 8000.0])
    gains = rng.normal(0, 3.5, len(knots)) + rng.uniform(-9, 9) * np.log2(np.maximum(knots, 100) / 1000) / 3
    if rng.random() < 0.15:
        gains[-1 - int(rng.integers(0, 2)) :] -= 40
    if rng.random() < 0.15:
        gains[:2] -= 30
    shape = (10 ** (np.interp(hz, knots, gains) / 20)).astype(np.float32)
    return irfft(spectrum * shape, size)[: len(samples)].astype(np.float32)


def in_room(samples: Samples, rng: Rng) -> Samples:
    """A few early reflections and a decaying tail."""
    length = int(rng.uniform(0.06, 0.45) * SAMPLE_RATE)
    tail = rng.standard_normal(length) * np.exp(-np.arange(length) * 6.9 / length) * rng.uniform(0.02, 0.1)
    tail[: int(rng.uniform(0, 0.01) * SAMPLE_RATE)] = 0
    tail[0] = 1.0
    for _ in range(int(rng.integers(0, 5))):
        tail[int(rng.uniform(0.001, 0.04) * SAMPLE_RATE)] += rng.uniform(-0.5, 0.5)
    return fftconvolve(samples, tail)[: len(samples) + length // 2].astype(np.float32)


def voiced(samples: Samples, rng: Rng, strength: Strength, rings_on: bool = True) -> Samples:
    """Another speaker at another microphone: everything but pauses, noise and level.

    Without `rings_on` nothing comes after the last sample, as where a recording breaks off.
    """
    if rng.random() < strength.tempo_share:
        samples = at_tempo(samples, float(rng.uniform(0.8, 1.45)))
    if rng.random() < 0.7:
        samples = resampled(samples, float(rng.uniform(1 - strength.rate, 1 + strength.rate)))
    if rng.random() < 0.7:
        samples = equalized(samples, rng)
    if rng.random() < strength.reverb_share:
        length = len(samples)
        samples = in_room(samples, rng)
        samples = samples if rings_on else samples[:length]
    return samples


def pause(rng: Rng, longest_s: float) -> int:
    """A pause's samples, short ones oftener."""
    return int(rng.uniform(0, longest_s) * rng.random() * SAMPLE_RATE)


def over_faint_noise(samples: Samples, rng: Rng) -> Samples:
    """Noise of 1e-5 to 1e-3 over all of it, also where it was silent; at least 12 dB below the speech."""
    level = 10 ** rng.uniform(-5, -3)
    loud = np.abs(samples) > 0.1 * np.abs(samples).max(initial=0.0)
    power = float(np.sqrt(np.mean(np.square(samples[loud])))) if loud.any() else 1.0
    kind = white if rng.random() < 0.5 else coloured
    return samples + kind(rng, len(samples)) * np.float32(min(level, power * 0.25))


def recorded(samples: Samples, rng: Rng, strength: Strength, lowest_peak: float = -2.1) -> Samples:
    """The whole recording: line, noise, level, quantization; some samples lost at the first edge."""
    if rng.random() < strength.narrow_share:
        samples = through_narrow_line(samples, rng)
    power = np.sqrt(np.mean(np.square(samples[np.abs(samples) > 1e-4]))) if np.abs(samples).max(initial=0) > 1e-4 else 0
    if power and rng.random() < 0.75:
        lowest = strength.lowest_snr_db if rng.random() < 0.4 else max(15.0, strength.lowest_snr_db)
        samples = samples + noise(rng, len(samples)) * np.float32(power * 10 ** (-rng.uniform(lowest, 50) / 20))
    samples = samples / (np.abs(samples).max(initial=0) + 1e-9) * 10 ** rng.uniform(lowest_peak, 0)
    if rng.random() < 0.05:
        samples = np.clip(samples * rng.uniform(1, 4), -0.5, 0.5)
    if rng.random() < 0.7:
        samples = np.round(samples * 32768) / 32768
    return samples[int(rng.integers(0, HOP_JITTER)) :].astype(np.float32)


HOP_JITTER = 160
"""The first sample falls anywhere within a hop."""


def non_speech(rng: Rng) -> Samples:
    """0.3 to 4 s in which nobody speaks: silence, noise, or silence with something in it."""
    length = int(rng.uniform(0.3, 4) * SAMPLE_RATE)
    kind = rng.random()
    if kind < 0.12:
        return np.zeros(length, np.float32)
    main = noise if rng.random() < 0.6 else ALONE[int(rng.integers(len(ALONE)))]
    out = main(rng, length) * 10 ** rng.uniform(-3, -0.5)
    if kind < 0.5:
        out = out + noise(rng, length) * 10 ** rng.uniform(-3, -0.5)
    if kind > 0.85:
        out[: int(rng.integers(0, length))] = 0
    return out.astype(np.float32)


def masked(features: Features, rng: Rng) -> Features:
    """SpecAugment (Park et al. 2019), mild: two bands and up to two short moments set to the mean."""
    features = features.copy()
    for _ in range(2):
        width = int(rng.integers(0, 18))
        start = int(rng.integers(0, features.shape[0] - width))
        features[start : start + width] = 0
    for _ in range(int(rng.integers(0, 3))):
        width = int(rng.integers(0, max(1, min(10, features.shape[1] // 12))))
        start = int(rng.integers(0, features.shape[1] - width))
        features[:, start : start + width] = 0
    return features


def drawn_warp(rng: Rng, strength: Strength) -> float:
    """A vocal-tract-length warp out of a small grid, so that filterbanks can be kept."""
    if rng.random() < 0.35:
        return 1.0
    return round(float(rng.uniform(1 - strength.warp, 1 + strength.warp)) * 50) / 50
