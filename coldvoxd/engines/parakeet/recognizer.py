"""Parakeet TDT on ONNX Runtime: recognizes an utterance."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from coldvoxd.core.audible_noise import with_noise
from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.encoded_ahead import EncodedAhead
from coldvoxd.core.errors import OutputNotFinite
from coldvoxd.core.features import HOP_SAMPLES, log_mel
from coldvoxd.core.languages import AUTO, LanguageMeans
from coldvoxd.core.prepared_form import PreparedForm
from coldvoxd.core.provider_names import short_name
from coldvoxd.core.seams import SeamContext, SeamFinding, SeamMethod
from coldvoxd.core.speech_spans import SpeechSpan
from coldvoxd.core.values import (
    SAMPLE_RATE,
    Hypothesis,
    ModelFiles,
    Precision,
    StageSeconds,
    Token,
    Utterance,
)
from coldvoxd.engines.parakeet import holes, padding, seam_probe
from coldvoxd.engines.parakeet.configuration import ParakeetConfiguration
from coldvoxd.engines.parakeet.decoder import Decoder
from coldvoxd.engines.parakeet.fit import check_fit
from coldvoxd.engines.parakeet.holes import Hole
from coldvoxd.engines.parakeet.input_check import check_input
from coldvoxd.engines.parakeet.opening import Opening, Wrap
from coldvoxd.engines.parakeet.seam_probe import Heard
from coldvoxd.engines.parakeet.silence import has_sound, without_exact_silence
from coldvoxd.engines.parakeet.steering import NOT_STEERED, Languages, Steering
from coldvoxd.engines.parakeet.tdt import decode_greedy, greedy
from coldvoxd.engines.parakeet.vocabulary import Vocabulary, confidence
from coldvoxd.native.malloc import give_back
from coldvoxd.native.providers import CPU
from coldvoxd.native.session import OrtSession

CONTEXT_SAMPLES = SAMPLE_RATE // 4
"""Samples on both sides of a hole that are encoded with it."""
MIN_SAMPLES = 2 * HOP_SAMPLES
"""Shorter audio has fewer than two feature columns, and features are normalized by their deviation over columns."""


class ParakeetRecognizer:
    """Implements core.ports.Recognizer. Blocks; one thread at a time."""

    def __init__(
        self,
        encoder: OrtSession,
        decoder: Decoder,
        vocabulary: Vocabulary,
        configuration: ParakeetConfiguration,
        *,
        precision: Precision = Precision.FP32,
        pads: bool = False,
        masks: bool = True,
        languages: Languages | None = None,
    ) -> None:
        """Use `open`. Raises ModelInvalid where the parts don't fit together.

        `languages` are by default all that the vocabulary has. `pads` pads audio to one of the lengths in `padding`.
        `masks` says that the encoder masks what follows the given length, so that a column may follow.
        """
        check_fit(encoder, decoder, vocabulary, configuration)
        self._encoder = encoder
        self._decoder = decoder
        self._vocabulary = vocabulary
        self._configuration = configuration
        self._languages = languages or Languages(vocabulary)
        self.precision = precision
        self.pads = pads
        self.masks = masks
        self._encoder_share = 0.0
        """Seconds of the encoder's last run per second of audio."""

    @classmethod
    def open(
        cls,
        files: ModelFiles,
        provider: str = CPU,
        threads: int = 0,
        *,
        packed: bool = True,
        prepared: PreparedForm | None = None,
        language_means: LanguageMeans = LanguageMeans.BOTH,
        masks: bool | None = None,
        pads: bool | None = None,
        wrap: Wrap = lambda session: session,
    ) -> "ParakeetRecognizer":
        """Load a model; takes seconds for a large one.

        `provider` is ONNX Runtime's name or its short form. `threads` 0 means one for each physical core, or as many as
        were fastest when the prepared form was tried. `packed` is `open_session`'s. `prepared` is a form of exactly these
        files for the CPU. `language_means` is what an utterance's language changes. `wrap` may put something in the place
        of a session: of the encoder's, then of the decoder's. `masks` and `pads` are the constructor's, for trials; by
        default they follow from the form and the provider. Raises ModelInvalid or ProviderUnavailable.
        """
        configuration = ParakeetConfiguration.read(files.config)
        vocabulary = Vocabulary.read(files.vocabulary)
        opening = Opening(files, provider, threads, packed, wrap)
        encoder, decoder = opening.open(vocabulary) if prepared is None else opening.open_form(prepared, vocabulary)
        if packed:
            give_back()  # packing leaves hundreds of megabytes behind
        is_tuned_by_length = short_name(provider) != CPU and files.precision is not Precision.INT8
        return cls(
            encoder,
            decoder,
            vocabulary,
            configuration,
            precision=files.precision,
            pads=is_tuned_by_length if pads is None else pads,
            masks=(prepared is None or prepared.masks) if masks is None else masks,
            languages=Languages(vocabulary, files.languages, language_means),
        )

    @property
    def provider(self) -> str:
        """First active execution provider of the encoder's session."""
        return self._encoder.provider

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    @property
    def _frame_samples(self) -> int:
        return self._configuration.subsampling_factor * HOP_SAMPLES

    @property
    def features_size(self) -> int:
        """Number of mel bins that the encoder takes."""
        return self._configuration.features_size

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that an utterance may name; one for a model of a single language."""
        return self._languages.codes

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        """Transcribe, or raise ProviderFault, InputFault, or Stopped once `stop` is cancelled."""
        return self.recognize_samples(
            utterance.samples,
            early=utterance.early,
            speech=utterance.speech,
            context=utterance.context,
            language=utterance.language,
            ahead=utterance.encoded,
            stop=stop,
        )

    def encode_ahead(
        self, utterances: tuple[Utterance, ...], stop: CancellationToken | None = None
    ) -> tuple[Utterance, ...]:
        """Implements core.ports.BatchEncoder."""
        for utterance in utterances:
            check_input(utterance.samples, SAMPLE_RATE)
        chosen = [at for at, one in enumerate(utterances) if len(one.samples) >= MIN_SAMPLES and has_sound(one.samples)]
        if len(chosen) < 2 or not self._takes_several:
            return utterances
        heard = (without_exact_silence(utterances[at].samples) for at in chosen)
        encoded = self._encode_all([log_mel(one, self._configuration.features_size) for one in heard], stop)
        found = {at: EncodedAhead(frames, self) for at, frames in zip(chosen, encoded, strict=True)}
        return tuple(replace(one, encoded=found.get(at)) for at, one in enumerate(utterances))

    def recognize_samples(
        self,
        samples: npt.NDArray[np.float32],
        sample_rate: int = SAMPLE_RATE,
        *,
        early: npt.NDArray[np.float32] | None = None,
        speech: Sequence[SpeechSpan] = (),
        context: SeamContext | None = None,
        language: str = AUTO,
        ahead: EncodedAhead | None = None,
        stop: CancellationToken | None = None,
    ) -> Hypothesis:
        """Transcribe float32 (n,) in [-1, 1] at 16 kHz; `early` is that of `core.features.log_mel`.

        The encoder is not run again if `ahead` was made by this recognizer.

        Where `speech` has no words, these parts are recognized again. With `context`, the seam before the utterance is
        determined; that changes no word. `language` is ignored, and that is logged, if the model lacks it.

        Empty text, without a run of the model, for fewer than 320 samples (20 ms) and for audio that is exactly zero
        throughout. Raises InputFault for audio that no model could take (another rate, dtype or shape, values that
        are not finite, more than 400 s), ProviderFault where the model could not be run, OutputNotFinite where its output
        is not finite, and Stopped.
        """
        started_s = time.perf_counter()
        check_input(samples, sample_rate)
        steering = self._languages.steering(language)
        tokens: tuple[Token, ...] = ()
        encoded = np.empty((0, 0), np.float32)
        stages: StageSeconds | None = None
        found: list[Hole] = []
        filled = 0
        if len(samples) >= MIN_SAMPLES and has_sound(samples):
            heard = without_exact_silence(samples)
            featured_s = time.perf_counter()
            if ahead is not None and ahead.maker is self:
                encoded = ahead.frames
            else:
                features = log_mel(heard, self._configuration.features_size, early if heard is samples else None)
                featured_s = time.perf_counter()
                encoded = self.encode(features, stop)
            encoded_s = time.perf_counter()
            tokens = self.decode(encoded, stop, steering)
            found = holes.find(tokens, speech, len(encoded), self._frame_samples, self._vocabulary)
            tokens, filled = self._fill_all(found, tokens, encoded, heard, steering=steering, stop=stop)
            decoded_s = time.perf_counter()
            if encoded is not (ahead and ahead.frames):
                self._encoder_share = (encoded_s - featured_s) * SAMPLE_RATE / len(heard)
            stages = StageSeconds(featured_s - started_s, encoded_s - featured_s, decoded_s - encoded_s)
        shown = [token for token in tokens if self._vocabulary.shown(token.id)]
        words = self._vocabulary.words(shown, self._configuration.seconds_per_frame, len(samples) / SAMPLE_RATE)
        worded_s = time.perf_counter()
        own = Heard(samples, speech, encoded, shown, words)
        seam = self._seam(context, own, steering, stop) if context and words else None
        return Hypothesis(
            text=self._vocabulary.text(shown),
            tokens=tokens,
            words=words,
            confidence=confidence(shown),
            provider=self.provider,
            inference_s=time.perf_counter() - started_s,
            stages=stages,
            holes=len(found),
            holes_filled=filled,
            last_tokens=seam_probe.last_tokens(shown, self._vocabulary),
            seam_s=time.perf_counter() - worded_s,
            seam=seam,
        )

    def _seam(
        self, context: SeamContext, heard: Heard, steering: Steering, stop: CancellationToken | None
    ) -> SeamFinding | None:
        """Determine the seam before an utterance that has words; None if the context is of another vocabulary."""
        if context.tokens.vocabulary != self._vocabulary.fingerprint:
            return None
        if context.method is SeamMethod.STATE:
            decoded = greedy(
                heard.encoded,
                self._decoder,
                blank=self._vocabulary.blank,
                max_tokens_per_step=self._configuration.max_tokens_per_step,
                before=(*steering.before, *context.tokens.ids),
                excluded=steering.excluded,
                stop=stop,
            )
            return seam_probe.by_state(decoded, heard, self._vocabulary)
        window = seam_probe.window(context, heard)
        if self._encoder_share * len(window) / SAMPLE_RATE > context.limit_s:
            return None
        features = log_mel(without_exact_silence(window), self._configuration.features_size)
        tokens = self.decode(self.encode(features, stop), stop, steering)
        shown = [token for token in tokens if self._vocabulary.shown(token.id)]
        words = self._vocabulary.words(shown, self._configuration.seconds_per_frame)
        return seam_probe.by_window(words, context, heard)

    def _fill_all(
        self,
        found: Sequence[Hole],
        tokens: tuple[Token, ...],
        encoded: npt.NDArray[np.float32],
        samples: npt.NDArray[np.float32],
        *,
        steering: Steering,
        stop: CancellationToken | None,
    ) -> tuple[tuple[Token, ...], int]:
        """Recognize the parts of the holes again; return the tokens with those found, and the number of filled holes."""
        filled = 0
        for hole in reversed(found):
            tokens, is_filled = self._fill(hole, tokens, encoded, samples, steering=steering, stop=stop)
            filled += is_filled
        return tokens, filled

    def _fill(
        self,
        hole: Hole,
        tokens: tuple[Token, ...],
        encoded: npt.NDArray[np.float32],
        samples: npt.NDArray[np.float32],
        *,
        steering: Steering,
        stop: CancellationToken | None,
    ) -> tuple[tuple[Token, ...], bool]:
        """Recognize the part of a hole again; return the tokens with those found, and whether there are any."""
        if hole.begin:  # otherwise the first decoding began with the same state at the same frame
            again = holes.moved(self.decode(encoded[hole.begin : hole.end], stop, steering), hole.begin)
            if more := holes.filled(tokens, hole, again, self._vocabulary):
                return more, True
        begin = max(0, hole.begin * self._frame_samples - CONTEXT_SAMPLES)
        part = samples[begin : hole.end * self._frame_samples + CONTEXT_SAMPLES]
        features = log_mel(with_noise(part), self._configuration.features_size)
        encoded = self.encode(features, stop)
        again = holes.moved(self.decode(encoded, stop, steering), begin // self._frame_samples)
        more = holes.filled(tokens, hole, again, self._vocabulary)
        return (more, True) if more else (tokens, False)

    def encode(
        self, features: npt.NDArray[np.float32], stop: CancellationToken | None = None
    ) -> npt.NDArray[np.float32]:
        """Encoder frames, float32 (frames, encoder size), of features, float32 (bins, columns)."""
        return self._encode_all((features,), stop)[0]

    @property
    def _takes_several(self) -> bool:
        """Whether one run can encode utterances of different lengths."""
        return self.masks and self._encoder.inputs["audio_signal"].shape[0] is None

    def _encode_all(
        self, features: Sequence[npt.NDArray[np.float32]], stop: CancellationToken | None
    ) -> list[npt.NDArray[np.float32]]:
        """Encoder frames of several utterances, computed in one run; see `encode`."""
        # NeMo's centred transform makes one column more than it declares, and leaves it empty: the model was trained with it,
        # masked, and the ranges of an int8 graph include it. Convolutions at the edge see zeros without it too.
        lengths = np.array([one.shape[1] for one in features], dtype=np.int64)
        longest = int(lengths.max())
        width = (padding.padded(longest) if self.pads else longest) + self.masks
        padded = np.zeros((len(features), len(features[0]), width), dtype=np.float32)
        for row, one in zip(padded, features, strict=True):
            row[:, : one.shape[1]] = one
        outputs, frames = self._encoder.run(
            ("outputs", "encoded_lengths"), {"audio_signal": padded, "length": lengths}, stop
        )
        encoded = [
            np.ascontiguousarray(output[:, : int(count)].T, dtype=np.float32)
            for output, count in zip(outputs, frames, strict=True)
        ]
        if not all(np.isfinite(one).all() for one in encoded):
            raise OutputNotFinite(
                f"{self._encoder.path.name} returned non-finite values on {self.provider}; "
                "the same audio may succeed on another provider"
            )
        return encoded

    def decode(
        self,
        encoded: npt.NDArray[np.float32],
        stop: CancellationToken | None = None,
        steering: Steering = NOT_STEERED,
    ) -> tuple[Token, ...]:
        """The tokens in encoder frames, float32 (frames, encoder size)."""
        return decode_greedy(
            encoded,
            self._decoder,
            blank=self._vocabulary.blank,
            max_tokens_per_step=self._configuration.max_tokens_per_step,
            before=steering.before,
            excluded=steering.excluded,
            stop=stop,
        )

    def close(self) -> None:
        """Release the sessions and their memory. Recognizing afterwards raises ProviderFault."""
        self._encoder.close()
        self._decoder.close()
