"""What model pull and model prepare do for the daemon's judgement of a GPU."""

from coldvoxd.cli.output import Output
from coldvoxd.core.errors import ModelInvalid, ModelMissing, ProviderFault
from coldvoxd.core.values import Precision
from coldvoxd.golden import record
from coldvoxd.models import find_model


def keep_golden(name: str, precision: Precision, output: Output) -> None:
    """Keep what the CPU says of the golden clip, where that isn't known. What was fetched or prepared counts without it."""
    try:
        record(find_model(name, precision))
    except (ModelMissing, ModelInvalid, ProviderFault, OSError) as fault:
        output.note(
            f"The model could not be tried on the CPU ({fault}). The daemon will try it itself where it needs to know."
        )
