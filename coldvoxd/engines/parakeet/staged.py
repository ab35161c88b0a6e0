"""A recognizer that serves from mapped weights, and from faster, packed ones once they are loaded."""

import logging
import threading
from collections.abc import Callable

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.ports import BatchEncoder, Recognizer, Searcher
from coldvoxd.core.values import Hypothesis, Precision, Utterance

log = logging.getLogger(__name__)


class StagedRecognizer:
    """Implements core.ports.Recognizer. One thread at a time; a thread of its own loads the second stage and ends."""

    def __init__(self, first: Recognizer, open_second: Callable[[], Recognizer]) -> None:
        """`open_second` opens and warms up the recognizer that replaces the first between two utterances. It blocks."""
        self._serving = first
        self._closed = False
        self._between = threading.Lock()
        """Held during a recognition and during the replacement."""
        self.second_stage = threading.Event()
        """Set once the second recognizer serves, or could not be opened."""
        threading.Thread(target=self._load, args=(open_second,), name="packing", daemon=True).start()

    @property
    def provider(self) -> str:
        return self._serving.provider

    @property
    def precision(self) -> Precision:
        return self._serving.precision

    @property
    def features_size(self) -> int:
        return self._serving.features_size

    @property
    def languages(self) -> tuple[str, ...]:
        return self._serving.languages

    @property
    def has_alternatives(self) -> bool:
        return isinstance(self._serving, Searcher) and self._serving.has_alternatives

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        with self._between:
            return self._serving.recognize(utterance, stop)

    def encode_ahead(
        self, utterances: tuple[Utterance, ...], stop: CancellationToken | None = None
    ) -> tuple[Utterance, ...]:
        with self._between:
            serving = self._serving
            return serving.encode_ahead(utterances, stop) if isinstance(serving, BatchEncoder) else utterances

    def close(self) -> None:
        with self._between:
            self._closed = True
            self._serving.close()

    def _load(self, open_second: Callable[[], Recognizer]) -> None:
        try:
            second = open_second()
        except ColdvoxError as fault:
            log.warning("recognition is slower than it could be: %s", fault)
        else:
            with self._between:
                left = second if self._closed else self._serving
                if not self._closed:
                    self._serving = second
            left.close()
        finally:
            self.second_stage.set()
