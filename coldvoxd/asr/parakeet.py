"""Parakeet TDT on ONNX Runtime: an utterance in, a hypothesis out."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from coldvoxd.asr.configuration import ParakeetConfiguration
from coldvoxd.asr.silence import has_sound, without_exact_silence
from coldvoxd.asr.vocabulary import Vocabulary, confidence
from coldvoxd.core.errors import InputFault, ModelInvalid, ProviderFault
from coldvoxd.core.features import HOP_SAMPLES, log_mel
from coldvoxd.core.stop import Stop
from coldvoxd.core.tdt import decode_greedy
from coldvoxd.core.values import SAMPLE_RATE, Hypothesis, ModelFiles, StageSeconds, Token, Utterance
from coldvoxd.ort import CPU, Session, open_session

DURATIONS = 5
"""Parakeet's durations are 0 to 4 encoder frames."""
MAX_SECONDS = 400
"""The positional table of the published exports ends here."""
MIN_SAMPLES = 2 * HOP_SAMPLES
"""Less has fewer than two feature columns, and features are normalized by their deviation over columns."""

States = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


class ParakeetRecognizer:
    """Implements core.ports.Recognizer. Blocks; one thread at a time."""

    def __init__(
        self, encoder: Session, decoder_joint: Session, vocabulary: Vocabulary, configuration: ParakeetConfiguration
    ) -> None:
        """Use `open`. Raises ModelInvalid where the parts don't fit together."""
        _check_fit(encoder, decoder_joint, vocabulary, configuration)
        self._encoder = encoder
        self._decoder_joint = decoder_joint
        self._vocabulary = vocabulary
        self._configuration = configuration
        self._token_dtype = decoder_joint.inputs["targets"].dtype
        self._one_token = np.ones(1, dtype=decoder_joint.inputs["target_length"].dtype)
        self._initial_state: States = (
            _zero_state(decoder_joint, "input_states_1"),
            _zero_state(decoder_joint, "input_states_2"),
        )

    @classmethod
    def open(
        cls,
        files: ModelFiles,
        provider: str = CPU,
        threads: int = 0,
        *,
        packed: bool = True,
        wrap: Callable[[Session], Session] = lambda session: session,
    ) -> "ParakeetRecognizer":
        """Load a model directory; seconds for a large one.

        `provider` is ONNX Runtime's name or its short form, `threads` 0 means one for each physical core, `packed` is
        `open_session`'s. `wrap` may put something in the place of a session: of the encoder's, then of the decoder's.
        Raises ModelInvalid or ProviderUnavailable.
        """
        configuration = ParakeetConfiguration.read(files.config)
        vocabulary = Vocabulary.read(files.vocabulary)
        encoder = wrap(open_session(files.encoder, provider, threads=threads, packed=packed))
        decoder_joint = wrap(open_session(files.decoder_joint, provider, threads=threads, packed=packed))
        return cls(encoder, decoder_joint, vocabulary, configuration)

    @property
    def provider(self) -> str:
        """First active execution provider of the encoder's session."""
        return self._encoder.provider

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    def recognize(self, utterance: Utterance, stop: Stop | None = None) -> Hypothesis:
        """Transcribe, or raise ProviderFault, InputFault, or Stopped where `stop` is asked."""
        return self.recognize_samples(utterance.samples, stop=stop)

    def recognize_samples(
        self, samples: npt.NDArray[np.float32], sample_rate: int = SAMPLE_RATE, *, stop: Stop | None = None
    ) -> Hypothesis:
        """Transcribe float32 (n,) in [-1, 1] at 16 kHz.

        Empty text, without a run of the model, for fewer than 320 samples (20 ms) and for audio that is exactly zero
        throughout. Raises InputFault for audio that no model could take (another rate, dtype or shape, values that
        are not finite, more than 400 s), ProviderFault where the model could not be run, and Stopped.
        """
        started_s = time.perf_counter()
        _check_input(samples, sample_rate)
        tokens: tuple[Token, ...] = ()
        stages: StageSeconds | None = None
        if len(samples) >= MIN_SAMPLES and has_sound(samples):
            features = log_mel(without_exact_silence(samples), self._configuration.features_size)
            featured_s = time.perf_counter()
            encoded = self.encode(features, stop)
            encoded_s = time.perf_counter()
            tokens = self.decode(encoded, stop)
            decoded_s = time.perf_counter()
            stages = StageSeconds(featured_s - started_s, encoded_s - featured_s, decoded_s - encoded_s)
        shown = [token for token in tokens if self._vocabulary.shown(token.id)]
        return Hypothesis(
            text=self._vocabulary.text(shown),
            tokens=tokens,
            words=self._vocabulary.words(shown, self._configuration.seconds_per_frame, len(samples) / SAMPLE_RATE),
            confidence=confidence(shown),
            provider=self.provider,
            inference_s=time.perf_counter() - started_s,
            stages=stages,
        )

    def encode(self, features: npt.NDArray[np.float32], stop: Stop | None = None) -> npt.NDArray[np.float32]:
        """Encoder frames, float32 (frames, encoder size), of features, float32 (bins, columns)."""
        # NeMo's centred transform makes one column more than it declares, and leaves it empty: the model has always
        # seen it, and the ranges of an int8 graph take it in.
        padded = np.zeros((1, features.shape[0], features.shape[1] + 1), dtype=np.float32)
        padded[0, :, :-1] = features
        outputs, lengths = self._encoder.run(
            ("outputs", "encoded_lengths"),
            {"audio_signal": padded, "length": np.array([features.shape[1]], dtype=np.int64)},
            stop,
        )
        encoded = np.ascontiguousarray(outputs[0, :, : int(lengths[0])].T, dtype=np.float32)
        if not np.isfinite(encoded).all():
            raise ProviderFault(
                f"{self._encoder.path.name} gave values that are not finite on {self.provider}; "
                "the same audio may succeed on another provider"
            )
        return encoded

    def decode(self, encoded: npt.NDArray[np.float32], stop: Stop | None = None) -> tuple[Token, ...]:
        """The tokens in encoder frames, float32 (frames, encoder size)."""

        def step(
            encoder_frame: npt.NDArray[np.float32], previous_token: int, state: States
        ) -> tuple[npt.NDArray[np.float32], States]:
            if stop is not None:
                stop.check()
            return self._step(encoder_frame, previous_token, state)

        return decode_greedy(
            encoded,
            step,
            self._initial_state,
            blank=self._vocabulary.blank,
            max_tokens_per_step=self._configuration.max_tokens_per_step,
        )

    def close(self) -> None:
        """Let go of the sessions and their memory. Whoever recognizes afterwards gets ProviderFault."""
        self._encoder.close()
        self._decoder_joint.close()

    def _step(
        self, encoder_frame: npt.NDArray[np.float32], previous_token: int, state: States
    ) -> tuple[npt.NDArray[np.float32], States]:
        logits, state_1, state_2 = self._decoder_joint.run(
            ("outputs", "output_states_1", "output_states_2"),
            {
                "encoder_outputs": encoder_frame[None, :, None],
                "targets": np.array([[previous_token]], dtype=self._token_dtype),
                "target_length": self._one_token,
                "input_states_1": state[0],
                "input_states_2": state[1],
            },
        )
        return logits.reshape(-1), (state_1, state_2)


def _check_input(samples: npt.NDArray[Any], sample_rate: int) -> None:
    if sample_rate != SAMPLE_RATE:
        raise InputFault(f"audio at {sample_rate} Hz: the model takes {SAMPLE_RATE} Hz, resample it first")
    if not isinstance(samples, np.ndarray) or samples.dtype != np.float32:
        kind = samples.dtype if isinstance(samples, np.ndarray) else type(samples).__name__
        raise InputFault(f"audio of type {kind}: the model takes float32 in [-1, 1] (int16 divided by 32768)")
    if samples.ndim != 1:
        raise InputFault(f"audio of shape {samples.shape}: the model takes one channel, float32 (n,)")
    if len(samples) > MAX_SECONDS * SAMPLE_RATE:
        raise InputFault(
            f"{len(samples) / SAMPLE_RATE:.0f} s of audio at once: the model takes {MAX_SECONDS} s, cut it at pauses"
        )
    if not np.isfinite(samples).all():
        raise InputFault("audio with NaN or infinite values: whatever made it is broken")


_INPUTS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "encoder": (("audio_signal", "length"), ("outputs", "encoded_lengths")),
    "decoder_joint": (
        ("encoder_outputs", "targets", "target_length", "input_states_1", "input_states_2"),
        ("outputs", "output_states_1", "output_states_2"),
    ),
}


def _check_fit(
    encoder: Session, decoder_joint: Session, vocabulary: Vocabulary, configuration: ParakeetConfiguration
) -> None:
    for part, session in (("encoder", encoder), ("decoder_joint", decoder_joint)):
        inputs, outputs = _INPUTS[part]
        missing = [*(set(inputs) - session.inputs.keys()), *(set(outputs) - session.outputs.keys())]
        if missing:
            raise ModelInvalid(
                f"{session.path} is not the {part} of a Parakeet TDT: it lacks {', '.join(sorted(missing))}"
            )
    bins = encoder.inputs["audio_signal"].shape[1]
    if bins not in {None, configuration.features_size}:
        raise ModelInvalid(
            f"{encoder.path} takes {bins} features, but config.json beside it says {configuration.features_size} "
            "(80 where it says nothing): the files don't belong together, fetch the model again"
        )
    classes = decoder_joint.outputs["outputs"].shape[-1]
    if classes not in {None, len(vocabulary) + DURATIONS}:
        raise ModelInvalid(
            f"{decoder_joint.path} scores {classes} classes, but vocab.txt has {len(vocabulary)} lines and there are "
            f"{DURATIONS} durations: the files don't belong together, fetch the model again"
        )
    encoder_size, joint_size = encoder.outputs["outputs"].shape[1], decoder_joint.inputs["encoder_outputs"].shape[1]
    if None not in {encoder_size, joint_size} and encoder_size != joint_size:
        raise ModelInvalid(
            f"{encoder.path} gives {encoder_size} values a frame, but {decoder_joint.path.name} takes {joint_size}: "
            "the files don't belong together, fetch the model again"
        )


def _zero_state(decoder_joint: Session, name: str) -> npt.NDArray[np.float32]:
    layers, _, size = decoder_joint.inputs[name].shape
    if layers is None or size is None:
        raise ModelInvalid(f"{decoder_joint.path} leaves the size of {name} open; it is not an export of this layout")
    return np.zeros((layers, 1, size), dtype=np.float32)
