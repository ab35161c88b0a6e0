"""Adds completions and manual pages to wheel and sdist, generated from the command lines and the settings."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Documentation(BuildHookInterface[Any]):
    """In a wheel they are where every program finds them below its prefix; in an sdist they have the same names."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write them to a folder that exists as long as the build."""
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory(prefix="coldvoxd-build-")
        sys.path.insert(0, self.root)
        from coldvoxd.cli import manual
        from coldvoxd.cli.setup import completions

        pages = {f"man/{name}": page() for name, page in manual.PAGES.items()}
        scripts = dict(completions())
        kind = "shared_data" if self.target_name == "wheel" else "force_include"
        for name, text in (pages | scripts).items():
            file = Path(self._folder.name) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            build_data[kind][str(file)] = f"share/{name}"
