"""The contracts of a release: what leaves the process or outlives it, as values that can be frozen and compared.

`names` are read from the code, `outputs` and `leftovers` come from running the real programs. `contrib/dev/freeze_contracts.py`
writes them under tests/contracts/VERSION; the tests in that directory hold the current code to every version.
"""

from pathlib import Path

FROZEN = Path(__file__).parents[2] / "contracts"
"""One directory a release, named by its version."""


def releases() -> list[Path]:
    """The directories of all frozen releases, oldest first."""
    found = [path for path in FROZEN.iterdir() if path.name[:1].isdigit()]
    return sorted(found, key=lambda path: [int(part) for part in path.name.split(".")])
