"""JSON files that are written at once or not at all."""

import json
import os
from pathlib import Path


def write_json(path: Path, content: object) -> None:
    """Replace the file; no reader sees a part of it. Raises OSError."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    new.replace(path)
