#!/usr/bin/env python3
"""Freezes the contracts of a release as fixtures in tests/contracts/VERSION, from the real programs.

contrib/dev/freeze_contracts.py            write the directory of the current version, which must not exist yet
contrib/dev/freeze_contracts.py --force    write it again; only before that version is released

The tests in tests/contracts check every later commit against all of these directories: members, keys and codes may be
added, none may be removed, retyped or given a new meaning. Takes some minutes. Requires the tests' environment: see
contrib/dev/setup.sh.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd import __version__  # noqa: E402 - the checkout's own
from tests.support.contracts import FROZEN, leftovers, names, outputs, settings  # noqa: E402
from tests.support.models.hub import CATALOG  # noqa: E402

TABLES: dict[str, Callable[[], Any]] = {
    "bus.json": names.bus,
    "commands.json": names.commands,
    "exits.json": names.exits,
    "installed.json": names.installed,
    "problems.json": names.problems,
    "settings.json": names.setting_kinds,
    "setting-limits.json": names.setting_limits,
    "typing-settings.json": names.typing_settings,
    "words.json": names.words,
}
"""Fixtures read from the code; the others are the output of running it."""


def main() -> int:
    """Write the fixtures, or refuse to; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--force", action="store_true", help="write the directory of this version again")
    force = parser.parse_args().force
    directory = FROZEN / __version__
    if directory.exists() and not force:
        print(f"{directory.relative_to(ROOT)} exists: raise the version, or see --help.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as made:
        freeze(Path(made) / __version__)
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(Path(made) / __version__, directory)
    print(f"wrote {directory.relative_to(ROOT)}")
    return 0


def freeze(directory: Path) -> None:
    """Write every fixture of the current code."""
    directory.mkdir()
    for name, table in TABLES.items():
        _write(directory / name, table())
    (directory / "interface.xml").write_text(names.interface(), "utf-8")
    (directory / "coldvoxd.toml").write_text(settings.daemon_file(), "utf-8")
    (directory / "type.toml").write_text(settings.typing_file(), "utf-8")
    (directory / "models.toml").write_text(f"{CATALOG}external_data = true\n", "utf-8")
    _freeze_output(directory)
    _freeze_leftovers(directory)


def _freeze_output(directory: Path) -> None:
    printed = outputs.typing()
    for scene in outputs.SCENES:
        found = _in_a_runtime_directory(scene)
        for command, objects in found.objects.items():
            printed.objects.setdefault(command, []).extend(objects)
        printed.variants |= found.variants
        printed.files |= found.files
    _write(directory / "output.json", printed.shapes())
    _write(directory / "details.json", printed.variants)
    for name, text in printed.files.items():
        (directory / name).write_text(text, "utf-8")


def _freeze_leftovers(directory: Path) -> None:
    spool = directory / "spool"
    _in_a_runtime_directory(lambda runtime: leftovers.write_spool(runtime, spool))
    handover = _in_a_runtime_directory(leftovers.handover_after_a_fault)
    (directory / "handover.json").write_bytes(handover)
    recovered = _in_a_runtime_directory(lambda runtime: leftovers.recovered(runtime, spool))
    resumed = _in_a_runtime_directory(lambda runtime: leftovers.resumed(runtime, handover))
    _write(directory / "recovered.json", {"spool": recovered, "handover": resumed})


def _in_a_runtime_directory(work: Callable[[Path], Coroutine[Any, Any, Any]]) -> Any:
    with tempfile.TemporaryDirectory(prefix="coldvox-contracts-") as directory:
        return asyncio.run(work(Path(directory)))


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
