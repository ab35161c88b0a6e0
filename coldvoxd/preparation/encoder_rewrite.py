"""An encoder's graph that computes the same in less time: without masks, and with a table of positions.

Whether a graph is made so that this can be done is tried on the graph itself; what can't be done is told.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coldvoxd.core.errors import ModelInvalid, ProviderFault
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.native.opening import open_session
from coldvoxd.native.session import OrtSession
from coldvoxd.onnx_graph import masks, positions

TABLE_COLUMNS = 3200
"""Feature columns, of 10 ms, for which the products of positions are kept: more than utterances have by default."""
TRIED_COLUMNS = (104, 1000, 2000)
"""Shorter audio, whose products must be the middle of the table's."""
SAME_ROWS = {Precision.FP32: 1e-5, Precision.INT8: 2e-2}
"""How far those may be off, as a part of the greatest. In int8 the range is taken from each utterance's own rows; where it is
not just the table's, the table isn't used."""
MASKED_COLUMNS = (*range(2, 27), *TRIED_COLUMNS, TABLE_COLUMNS)
"""Audio of which every mask must let all through, before masks are left out."""

Tell = Callable[[str], None]
Values = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class RewrittenEncoder:
    content: bytes | None = None
    """The encoder's ONNX file, beside the same weights; None where it stays as it is."""
    masks: bool = True
    """Whether it hides what stands after the features' given length."""


def reshaped_encoder(files: ModelFiles, threads: int, tell: Tell) -> RewrittenEncoder:
    """As far as the graph is made so. Loads parts of the model; blocks for seconds."""
    if files.precision not in SAME_ROWS:
        return RewrittenEncoder()
    model = files.encoder.read_bytes()
    unmasked = _unmasked(files, model, threads, tell)
    if unmasked is not None:
        model = unmasked  # of which there may be gigabytes: the other is not needed any more
    folded = _folded(files, model, threads, tell)
    return RewrittenEncoder(unmasked if folded is None else folded, masks=unmasked is None)


def _unmasked(files: ModelFiles, model: bytes, threads: int, tell: Tell) -> bytes | None:
    found = masks.found_in(model)
    if found is None:
        tell("the encoder masks padding in an unknown way: keeping the masks")
        return None
    try:
        with closing(open_session(files.encoder, threads=threads, content=found.alone())) as session:
            hides = [
                columns
                for columns in MASKED_COLUMNS
                if not found.let_all_through(_computed(session, list(found.passing), columns))
            ]
    except _NOT_ALONE as fault:
        tell(f"the encoder's masks cannot be computed separately ({fault}): keeping the masks")
        return None
    if hides:
        tell(f"the encoder masks part of audio that fills its {hides[0]} columns: keeping the masks")
        return None
    return found.removed()


def _folded(files: ModelFiles, model: bytes, threads: int, tell: Tell) -> bytes | None:
    found = positions.found_in(model)
    if found is None:
        tell("the encoder has no position products that could be kept in a table")
        return None
    try:
        with closing(open_session(files.encoder, threads=threads, content=found.alone())) as session:
            tables = positions.tables_of(
                lambda columns: _computed(session, list(found.products), columns),
                TABLE_COLUMNS,
                TRIED_COLUMNS,
                SAME_ROWS[files.precision],
            )
            ranges = _computed(session, found.ranges, TABLE_COLUMNS) if found.ranges else {}
    except _NOT_ALONE as fault:
        tell(f"the position products cannot be computed separately ({fault}): no table is used")
        return None
    if tables is None:
        tell("the position products of shorter audio are not contained in those of longer audio: no table is used")
        return None
    return found.folded(tables, ranges)


_NOT_ALONE = (ModelInvalid, ProviderFault, KeyError, TypeError, ValueError)
"""What a graph that is made otherwise than was thought may meet."""


def _computed(session: OrtSession, names: Sequence[str], columns: int) -> Values:
    """What a part of the encoder gives of noise that fills so many columns, and no more."""
    bins = session.inputs[masks.AUDIO].shape[1] or 0
    noise = np.random.default_rng(columns).normal(0, 1, (1, bins, columns)).astype(np.float32)
    feeds: Values = {masks.AUDIO: noise, masks.LENGTH: np.array([columns], np.int64)}
    given = session.run(names, {name: feeds[name] for name in session.inputs})
    return dict(zip(names, given, strict=True))
