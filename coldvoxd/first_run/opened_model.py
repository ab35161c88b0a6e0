"""A variant of a model that is open: loading it, word errors, speed and memory."""

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from coldvoxd.core.errors import ProviderUnavailable
from coldvoxd.core.golden_verdict import agrees, fair, words
from coldvoxd.core.languages import LanguageMeans
from coldvoxd.core.provider_names import short_name
from coldvoxd.core.settings import Settings
from coldvoxd.core.values import ModelFiles
from coldvoxd.engines.parakeet.cuda_options import room_wanted
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.engines.parakeet.vocabulary import WORD_START
from coldvoxd.evaluate import memory
from coldvoxd.evaluate.scoring import Counts
from coldvoxd.first_run import speech
from coldvoxd.first_run.deadline import Deadline, share_of
from coldvoxd.first_run.planning import Variant
from coldvoxd.golden.clip import SPOKEN, clip
from coldvoxd.gpu.nvml import Gpu, NoLibrary
from coldvoxd.models.decoding_options import decoding_options_of
from coldvoxd.models.prepared_store import find_form
from coldvoxd.native.providers import CUDA
from coldvoxd.native.session import OrtSession

SHORT_S = 3.0
"""Seconds of the speech whose times are the report's p50 and p95."""
LEAST_RUNS, SHORT_RUNS = 3, 40
LONG_S = 30.0
"""Seconds of the speech that shows the largest memory use."""
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A loaded variant, and what the machine took for it."""

    recognizer: ParakeetRecognizer
    longest_s: float
    """Length in seconds from which the precision is reported to lose words."""
    figures: dict[str, Any]

    @classmethod
    def load(cls, variant: Variant, files: ModelFiles, settings: Settings, longest_s: float) -> "OpenedModel":
        """Load the model. Blocks for seconds. Raises ProviderUnavailable or ModelInvalid."""
        form = find_form(files) if variant.is_prepared else None
        if variant.is_prepared and form is None:
            raise ProviderUnavailable("The prepared form is gone.")
        if short_name(variant.provider) == CUDA and (reason := room_wanted(files.precision, _free_gpu_bytes())):
            raise ProviderUnavailable(reason)
        devices: list[str] = []

        def noted(session: OrtSession) -> OrtSession:
            devices.append(session.device)
            return session

        memory.reset_peak()
        began_s = time.perf_counter()
        recognizer = ParakeetRecognizer.open(
            files,
            variant.provider,
            settings.model.threads,
            prepared=form,
            language_means=LanguageMeans(settings.model.language_means),
            options=decoding_options_of(settings.model),
            wrap=noted,
        )
        load_s = time.perf_counter() - began_s
        resident = memory.resident()
        figures = {
            "load_s": round(load_s, 2),
            "load_peak_mib": memory.peak_mib(),
            "loaded_mib": resident.all_mib,
            "loaded_own_mib": resident.own_mib,
            "device": devices[0] if devices else "",
            "active_provider": short_name(recognizer.provider),
            "kind": str(recognizer.kind),
            "mel_bins": recognizer.features_size,
            "vocabulary": len(recognizer.vocabulary),
            "languages": len(recognizer.languages),
        }
        return cls(recognizer, longest_s, figures)

    def understanding(self, deadline: Deadline, truth: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Recognize the golden clip and all recordings, each by itself; return figures, and texts and tokens that stay private.

        `truth` is the text of fp32 on the CPU for the golden clip; empty if that is not known. Raises ProviderFault.
        """
        began_s = time.perf_counter()
        heard = self.recognizer.recognize_samples(clip())
        first_s = time.perf_counter() - began_s
        counts = Counts()
        texts, tokens = [], []
        for one in deadline.each(speech.recordings()):
            found = self.recognizer.recognize_samples(one.wave)
            counts += speech.counted(one.said, found.text)
            texts.append(found.text)
            pieces = self.recognizer.vocabulary.pieces
            tokens.append([[pieces[token.id].replace(WORD_START, " "), token.encoder_frame] for token in found.tokens])
        golden = speech.counted(SPOKEN, heard.text)
        figures = {
            "golden_words": golden.words,
            "golden_errors": golden.errors,
            "golden_is_fair": fair(heard.text, SPOKEN),
            "golden_as_fp32": (agrees(heard.text, [truth]) or words(heard.text) == words(truth)) if truth else None,
            "golden_confidence": round(heard.confidence, 3),
            "first_run_s": round(first_s, 3),
            "recordings": len(texts),
            "words": counts.words,
            "errors": counts.errors,
            "part": share_of(len(texts), speech.recordings()),
        }
        return figures, {"golden": heard.text, "texts": texts, "tokens": tokens}

    def speed(self, deadline: Deadline) -> dict[str, Any]:
        """Return times of 3 s of speech, and the memory during and after them and 30 s. Raises ProviderFault."""
        self.recognizer.recognize_samples(speech.of_length(SHORT_S, 0))  # some providers compile for each new length
        memory.reset_peak()
        long_s = min(LONG_S, self.longest_s)
        times_s: list[float] = []
        stages: list[tuple[float, float, float]] = []
        for number in deadline.each(range(SHORT_RUNS)):
            found = self.recognizer.recognize_samples(speech.of_length(SHORT_S, number))
            times_s.append(found.inference_s)
            if len(times_s) >= LEAST_RUNS and deadline.left_s < median(times_s) * long_s / SHORT_S:
                break  # there is time for the long one only
            if found.stages:
                stages.append((found.stages.features_s, found.stages.encoder_s, found.stages.decoder_s))
        long_run = self.recognizer.recognize_samples(speech.of_length(long_s, 0))
        resident = memory.resident()
        middle_s = median(times_s)
        return {
            "short_s": SHORT_S,
            "runs": len(times_s),
            "p50_s": round(middle_s, 4),
            "p95_s": round(percentile_95(times_s), 4),
            "real_time_factor": round(middle_s / SHORT_S, 4),
            "encoder_s": round(median(encoder for _, encoder, _ in stages), 4) if stages else None,
            "decoder_s": round(median(decoder for _, _, decoder in stages), 4) if stages else None,
            "long_s": long_s,
            "long_run_s": round(long_run.inference_s, 3),
            "long_real_time_factor": round(long_run.inference_s / long_s, 4),
            "peak_mib": memory.peak_mib(),
            "resident_mib": resident.all_mib,
            "own_mib": resident.own_mib,
            "gpu_mib": _own_gpu_mib(self.figures["active_provider"]),
            "part": share_of(len(times_s), range(SHORT_RUNS)),
        }


def percentile_95(values: list[float]) -> float:
    """Return the value that 95 % do not exceed; of fewer than 20 values the largest."""
    return max(values) if len(values) < 20 else quantiles(values, n=20, method="inclusive")[-1]


def _free_gpu_bytes() -> int | None:
    gpu = Gpu()
    try:
        return gpu.look().free_bytes
    except NoLibrary:
        return None
    finally:
        gpu.close()


def _own_gpu_mib(provider: str) -> int | None:
    """Memory of this process on an NVIDIA GPU in MiB; None if nothing reports it."""
    if provider == "cpu" or not Path("/proc/driver/nvidia").exists():
        return None
    gpu = Gpu()
    try:
        own = gpu.look().own_bytes
    except NoLibrary:
        return None
    finally:
        gpu.close()
    return None if own is None else own // MIB
