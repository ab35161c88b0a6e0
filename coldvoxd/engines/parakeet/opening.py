"""Opens the graphs of a model: from its own files, or from the form prepared for this machine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.core.prepared_form import PreparedForm
from coldvoxd.core.provider_names import short_name
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.engines.parakeet.cuda_options import cuda_options
from coldvoxd.engines.parakeet.decoder import Decoder, faster, open_decoder, open_prepared
from coldvoxd.engines.parakeet.fit import check_encoder
from coldvoxd.engines.parakeet.vocabulary import Vocabulary
from coldvoxd.native.opening import open_chain, open_session
from coldvoxd.native.processor import physical_cores
from coldvoxd.native.providers import CPU, CUDA
from coldvoxd.native.session import OrtSession

Wrap = Callable[[OrtSession], OrtSession]
"""Puts something in the place of a session."""


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """Everything that an opening reads of a model on disk, looked up once."""

    files: ModelFiles
    form: PreparedForm | None = None
    """The form prepared of these files for this machine's CPU; None where there is none or another provider is meant."""
    truths: tuple[str, ...] = ()
    """Accepted texts of the golden clip in this precision, best first; empty where none is on record."""
    is_trusted: bool = False
    """These weights are known to recognize the golden clip well enough on the CPU."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How the graphs of one recognizer are opened. Its methods block and raise ModelInvalid or ProviderUnavailable."""

    files: ModelFiles
    provider: str
    threads: int
    """0 for one for each physical core, or for as many as were fastest with the prepared form."""
    packed: bool
    wrap: Wrap

    def open(self, vocabulary: Vocabulary) -> tuple[OrtSession, Decoder | None]:
        """The encoder and the decoder, if the model has one, from the model's own files."""
        encoder = self.wrap(self._open_session(self.files.encoder, self.provider))
        check_encoder(encoder, is_ctc=not self.files.decoder)
        if not self.files.decoder:
            return encoder, None
        decoder = self._open_decoder(vocabulary, self.provider)
        # The CPU computes fp16 slowly, so there only other precisions are compared with it.
        if short_name(self.provider) != CPU and self.files.precision is not Precision.FP16:
            decoder = faster(decoder, self._open_decoder(vocabulary, CPU))
        return encoder, decoder

    def open_form(self, form: PreparedForm, vocabulary: Vocabulary) -> tuple[OrtSession, Decoder | None]:
        """The encoder and the decoder, if the model has one, from a prepared form of the files."""

        def open_piece(path: Path) -> OrtSession:
            return self._open_prepared(path, form.threads, form.weights)

        def open_part(path: Path) -> OrtSession:
            return self._open_prepared(path, form.decoder_threads)

        encoder = self.wrap(open_chain(form.encoder, open_piece))
        return encoder, open_prepared(form, vocabulary.blank, open_part, self.wrap) if form.decoder else None

    def _open_decoder(self, vocabulary: Vocabulary, provider: str) -> Decoder:
        def open_graph(path: Path, content: bytes | None = None) -> OrtSession:
            return self._open_session(path, provider, content)

        return open_decoder(self.files.decoder, vocabulary.blank, open_graph, self.wrap)

    def _open_session(self, path: Path, provider: str, content: bytes | None = None) -> OrtSession:
        return open_session(
            path,
            provider,
            threads=self.threads,
            packed=self.packed,
            provider_options=self._options(provider),
            content=content,
        )

    def _open_prepared(self, path: Path, fastest: int, weights: Path | None = None) -> OrtSession:
        threads = self.threads or min(fastest, physical_cores())
        return open_session(path, self.provider, threads=threads, packed=self.packed, prepared=True, weights=weights)

    def _options(self, provider: str) -> Mapping[str, str] | None:
        return cuda_options(self.files.precision) if short_name(provider) == CUDA else None
