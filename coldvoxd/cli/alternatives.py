"""Other texts that a recognizer found less probable, as lines for people."""

from collections.abc import Iterable, Mapping
from typing import Any

from coldvoxd.bus.client import DaemonClient
from coldvoxd.cli.output import Output


def alternative_lines(alternatives: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a line for each of the alternatives, as JSON has them: `text`, and `share` from 0 to 1."""
    return [f"  {_percent(other['share']):>4}  {other['text']}" for other in alternatives]


async def warn_without_alternatives(daemon: DaemonClient, output: Output) -> None:
    """Report on stderr if the loaded model finds no other texts. Raises ColdvoxError."""
    status = await daemon.status()
    if status["Model"] and "alternatives" not in status.get("Capabilities", ()):
        output.warning(f"The loaded model, {status['Model']}, finds no other texts: it has no search for them.")


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "<1%"
