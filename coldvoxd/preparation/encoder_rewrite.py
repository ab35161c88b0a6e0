"""Rewrites an encoder's graph to compute the same result faster: without masks, and with a table of positions.

Whether a graph allows this is tested on the graph itself; rejected rewrites are reported.
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
"""Number of feature columns, 10 ms each, covered by the table of position products: more than the longest utterance by
default."""
TRIED_COLUMNS = (104, 1000, 2000)
"""Lengths in columns of shorter audio, whose products must be the middle part of the table."""
SAME_ROWS = {Precision.FP32: 1e-5, Precision.INT8: 2e-2}
"""Maximum difference of those products, relative to the greatest value. In int8 the range depends on the rows of each
utterance; if it differs from the table's, the table is not used."""
MASKED_COLUMNS = (*range(2, 27), *TRIED_COLUMNS, TABLE_COLUMNS)
"""Lengths in columns at which every mask must let all values pass before the masks are removed."""

Tell = Callable[[str], None]
Values = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class RewrittenEncoder:
    content: bytes | None = None
    """The encoder's ONNX file, for the same weights; None if it is unchanged."""
    masks: bool = True
    """Whether the encoder masks columns after the given length of the features."""


def reshaped_encoder(files: ModelFiles, threads: int, tell: Tell) -> RewrittenEncoder:
    """Rewrite the encoder as far as its graph allows. Loads parts of the model; blocks for seconds."""
    if files.precision not in SAME_ROWS:
        return RewrittenEncoder()
    model = files.encoder.read_bytes()
    unmasked = _unmasked(files, model, threads, tell)
    if unmasked is not None:
        model = unmasked  # may be gigabytes: release the other one
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
"""Errors that an unexpected graph may cause."""


def _computed(session: OrtSession, names: Sequence[str], columns: int) -> Values:
    """The output of a part of the encoder for noise of exactly this many columns."""
    bins = session.inputs[masks.AUDIO].shape[1] or 0
    noise = np.random.default_rng(columns).normal(0, 1, (1, bins, columns)).astype(np.float32)
    feeds: Values = {masks.AUDIO: noise, masks.LENGTH: np.array([columns], np.int64)}
    given = session.run(names, {name: feeds[name] for name in session.inputs})
    return dict(zip(names, given, strict=True))
