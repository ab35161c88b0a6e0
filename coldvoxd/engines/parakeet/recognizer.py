"""Parakeet on ONNX Runtime: recognizes an utterance."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.decoding_options import GREEDY, Alternative, DecodingOptions
from coldvoxd.core.encoded_ahead import EncodedAhead
from coldvoxd.core.features import log_mel
from coldvoxd.core.languages import AUTO, LanguageMeans
from coldvoxd.core.model_kinds import ModelKind
from coldvoxd.core.prepared_form import PreparedForm
from coldvoxd.core.provider_names import short_name
from coldvoxd.core.seams import SeamContext, SeamFinding, SeamMethod
from coldvoxd.core.speech_spans import SpeechSpan, within
from coldvoxd.core.values import (
    NO_OVERLAP,
    SAMPLE_RATE,
    Hypothesis,
    ModelFiles,
    Overlap,
    Precision,
    StageSeconds,
    Token,
    Utterance,
)
from coldvoxd.engines.parakeet import holes, seam_probe
from coldvoxd.engines.parakeet.ahead import encode_ahead
from coldvoxd.engines.parakeet.alternatives import alternatives_of
from coldvoxd.engines.parakeet.configuration import ParakeetConfiguration
from coldvoxd.engines.parakeet.decoder import Decoder
from coldvoxd.engines.parakeet.decoding import CtcDecoding, Decoded, Decoding, Frames, TransducerDecoding
from coldvoxd.engines.parakeet.encoder import Encoder
from coldvoxd.engines.parakeet.fit import settled
from coldvoxd.engines.parakeet.hole_filling import HoleFilling
from coldvoxd.engines.parakeet.input_check import MIN_SAMPLES, check_input
from coldvoxd.engines.parakeet.opening import Opening, Wrap
from coldvoxd.engines.parakeet.own_part import OwnPart
from coldvoxd.engines.parakeet.seam_probe import Heard
from coldvoxd.engines.parakeet.silence import has_sound, without_exact_silence
from coldvoxd.engines.parakeet.steering import NOT_STEERED, Languages, Steering
from coldvoxd.engines.parakeet.vocabulary import Vocabulary, confidence
from coldvoxd.native.malloc import give_back
from coldvoxd.native.providers import CPU
from coldvoxd.native.session import OrtSession

Samples = npt.NDArray[np.float32]


class ParakeetRecognizer:
    """Implements core.ports.Recognizer. Blocks; one thread at a time."""

    def __init__(
        self,
        encoder: OrtSession,
        decoder: Decoder | None,
        vocabulary: Vocabulary,
        configuration: ParakeetConfiguration,
        *,
        precision: Precision = Precision.FP32,
        pads: bool = False,
        masks: bool = True,
        languages: Languages | None = None,
        options: DecodingOptions = GREEDY,
    ) -> None:
        """Use `open`. Raises ModelInvalid where the parts don't fit together.

        `languages` are by default all that the vocabulary has. `pads` and `masks` are the `Encoder`'s.
        """
        self._configuration = settled(encoder, decoder, vocabulary, configuration)
        self._encoder = Encoder(encoder, self._configuration.subsampling_factor, pads=pads, masks=masks)
        self._decoding: Decoding = (
            CtcDecoding(vocabulary.blank, options)
            if decoder is None
            else TransducerDecoding(decoder, vocabulary.blank, self._configuration.max_tokens_per_step, options)
        )
        self._vocabulary = vocabulary
        self._languages = languages or Languages(vocabulary)
        self.precision = precision
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
        options: DecodingOptions = GREEDY,
        masks: bool | None = None,
        pads: bool | None = None,
        wrap: Wrap = lambda session: session,
    ) -> "ParakeetRecognizer":
        """Load a model; takes seconds for a large one.

        `provider` is ONNX Runtime's name or its short form. `threads` 0 means one for each physical core, or as many as
        were fastest when the prepared form was tried. `packed` is `open_session`'s. `prepared` is a form of exactly these
        files for the CPU. `language_means` is what an utterance's language changes, `options` how the decoder searches.
        `wrap` may put something in the place of a session: of the encoder's, then of the decoder's. `masks` and `pads` are
        the constructor's, for trials; by default they follow from the form and the provider. Raises ModelInvalid or
        ProviderUnavailable.
        """
        configuration = ParakeetConfiguration.of(files)
        vocabulary = Vocabulary.read(files.vocabulary)
        opening = Opening(files, provider, threads, packed, wrap)
        encoder, decoder = opening.open(vocabulary) if prepared is None else opening.open_form(prepared, vocabulary)
        if packed:
            give_back()  # packing leaves hundreds of megabytes behind
        # Nothing reads a token in a CTC model: by the token alone, no language can be selected.
        can_select = decoder is not None or language_means is not LanguageMeans.TOKEN
        is_tuned_by_length = short_name(provider) != CPU and files.precision is not Precision.INT8
        return cls(
            encoder,
            decoder,
            vocabulary,
            configuration,
            precision=files.precision,
            pads=is_tuned_by_length if pads is None else pads,
            masks=(prepared is None or prepared.masks) if masks is None else masks,
            languages=Languages(vocabulary, files.languages if can_select else (), language_means),
            options=options,
        )

    @property
    def provider(self) -> str:
        """First active execution provider of the encoder's session."""
        return self._encoder.provider

    @property
    def kind(self) -> ModelKind:
        return self._decoding.kind

    @property
    def pads(self) -> bool:
        """Whether audio is padded to one of a few lengths."""
        return self._encoder.pads

    @property
    def masks(self) -> bool:
        """Whether the encoder masks what follows the given length."""
        return self._encoder.masks

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    @property
    def features_size(self) -> int:
        """Number of mel bins that the encoder takes."""
        return self._configuration.features_size

    @property
    def has_alternatives(self) -> bool:
        """Implements core.ports.Searcher."""
        return self._decoding.reads_tokens

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
            alternatives=utterance.alternatives,
            overlap=utterance.overlap,
            stop=stop,
        )

    def encode_ahead(
        self, utterances: tuple[Utterance, ...], stop: CancellationToken | None = None
    ) -> tuple[Utterance, ...]:
        """Implements core.ports.BatchEncoder."""
        return encode_ahead(self._encoder, self._configuration.features_size, utterances, self, stop)

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
        alternatives: int = 0,
        overlap: Overlap = NO_OVERLAP,
        stop: CancellationToken | None = None,
    ) -> Hypothesis:
        """Transcribe float32 (n,) in [-1, 1] at 16 kHz.

        `early` is that of `core.features.log_mel`. The encoder is not run again if `ahead` was made by this recognizer.
        Where `speech` has no words, these parts are recognized again. With `context`, the seam before the utterance is
        determined; that changes no word. `language` is ignored, and that is logged, if the model lacks it. `alternatives`
        is their maximum number; there are none where a part was recognized again. `overlap` is cut off, but for the times.

        Empty text, without a run of the model, for fewer than 320 samples (20 ms) and for audio that is exactly zero
        throughout. Raises InputFault for audio that no model could take (`input_check`), ProviderFault where the model
        could not be run, OutputNotFinite where its output is not finite, and Stopped.
        """
        started_s = time.perf_counter()
        check_input(samples, sample_rate)
        steering = self._languages.steering(language)
        own_end = len(samples) - overlap.tail
        own_speech = within(speech, overlap.lead, own_end)
        spans = [(begin + overlap.lead, end + overlap.lead) for begin, end in own_speech]
        decoded = Decoded()
        if len(samples) >= MIN_SAMPLES and has_sound(samples):
            decoded = self._decoded(samples, spans, early, ahead, steering=steering, stop=stop)
        own_part = OwnPart(self._vocabulary, overlap, self._configuration.seconds_per_frame, len(samples))
        part = own_part.of(decoded.tokens)
        shown, text = part.tokens, self._vocabulary.text(part.tokens)
        words = self._vocabulary.words(shown, self._configuration.seconds_per_frame, len(samples) / SAMPLE_RATE)
        worded_s = time.perf_counter()
        own = Heard(samples[overlap.lead : own_end], own_speech, decoded.encoded, shown, words, part.word_before)
        seam = self._seam(context, own, steering, stop) if context and words else None
        seam_s = time.perf_counter() - worded_s
        most = 0 if decoded.filled or not shown else alternatives
        others = self._others(decoded.encoded, own_part, text, most, steering=steering, stop=stop)
        return Hypothesis(
            text=text,
            tokens=shown if overlap.lead or overlap.tail else decoded.tokens,
            words=words,
            confidence=confidence(shown),
            provider=self.provider,
            alternatives=others,
            behind=part.behind,
            inference_s=time.perf_counter() - started_s,
            stages=decoded.stages,
            holes=decoded.holes,
            holes_filled=decoded.filled,
            last_tokens=seam_probe.last_tokens(shown, self._vocabulary),
            seam_s=seam_s,
            seam=seam,
        )

    def _decoded(
        self,
        samples: Samples,
        speech: Sequence[SpeechSpan],
        early: Samples | None,
        ahead: EncodedAhead | None,
        *,
        steering: Steering,
        stop: CancellationToken | None,
    ) -> Decoded:
        """Run the model on an utterance, and again on the parts of this speech without words."""
        started_s = time.perf_counter()
        heard = without_exact_silence(samples)
        encoded, featured_s = self._frames_of(heard, early if heard is samples else None, ahead, stop)
        encoded_s = time.perf_counter()
        tokens = self.decode(encoded, stop, steering)
        found = holes.find(tokens, speech, len(encoded), self._configuration.frame_samples, self._vocabulary)
        filling = HoleFilling(
            heard,
            encoded,
            encode=self.encode,
            decoding=self._decoding,
            configuration=self._configuration,
            vocabulary=self._vocabulary,
            steering=steering,
            stop=stop,
        )
        tokens, filled = filling.fill_all(found, tokens)
        stages = StageSeconds(featured_s - started_s, encoded_s - featured_s, time.perf_counter() - encoded_s)
        return Decoded(tokens, encoded, stages, len(found), filled)

    def _frames_of(
        self, samples: Samples, early: Samples | None, ahead: EncodedAhead | None, stop: CancellationToken | None
    ) -> tuple[Frames, float]:
        """Return the encoder frames of an utterance, and `perf_counter` at the end of its features."""
        if ahead is not None and ahead.maker is self:
            return ahead.frames, time.perf_counter()
        features = log_mel(samples, self._configuration.features_size, early)
        featured_s = time.perf_counter()
        encoded = self.encode(features, stop)
        self._encoder_share = (time.perf_counter() - featured_s) * SAMPLE_RATE / len(samples)
        return encoded, featured_s

    def _others(
        self,
        encoded: npt.NDArray[np.float32],
        own_part: OwnPart,
        text: str,
        most: int,
        *,
        steering: Steering,
        stop: CancellationToken | None,
    ) -> tuple[Alternative, ...]:
        """Return at most that many other texts than `text`, as far as this kind of model has them."""
        if not most:
            return ()
        others = self._decoding.others(encoded, most, stop, steering)
        found = [replace(one, tokens=own_part.of(one.tokens).tokens) for one in others]
        return alternatives_of(found, text, self._vocabulary)[:most]

    def _seam(
        self, context: SeamContext, heard: Heard, steering: Steering, stop: CancellationToken | None
    ) -> SeamFinding | None:
        """Determine the seam before an utterance that has words; None if the context is of another vocabulary."""
        if heard.word_before:
            return seam_probe.by_lead(heard.word_before, heard.first_word)
        if context.tokens.vocabulary != self._vocabulary.fingerprint:
            return None
        if context.method is SeamMethod.STATE and self._decoding.reads_tokens:
            decoded = self._decoding.continued(heard.encoded, context.tokens.ids, stop, steering)
            return seam_probe.by_state(decoded, heard, self._vocabulary)
        window = seam_probe.window(context, heard)
        if self._encoder_share * len(window) / SAMPLE_RATE > context.limit_s:
            return None
        features = log_mel(without_exact_silence(window), self._configuration.features_size)
        tokens = self.decode(self.encode(features, stop), stop, steering)
        shown = [token for token in tokens if self._vocabulary.shown(token.id)]
        words = self._vocabulary.words(shown, self._configuration.seconds_per_frame)
        return seam_probe.by_window(words, context, heard)

    def encode(self, features: Samples, stop: CancellationToken | None = None) -> Frames:
        """Encoder frames, float32 (frames, encoder size), of features, float32 (bins, columns)."""
        return self._encoder.encode(features, stop)

    def decode(
        self,
        encoded: npt.NDArray[np.float32],
        stop: CancellationToken | None = None,
        steering: Steering = NOT_STEERED,
    ) -> tuple[Token, ...]:
        """The tokens in encoder frames, float32 (frames, encoder size)."""
        return self._decoding.decode(encoded, stop, steering)

    def close(self) -> None:
        """Release the sessions and their memory. Recognizing afterwards raises ProviderFault."""
        self._encoder.close()
        self._decoding.close()
