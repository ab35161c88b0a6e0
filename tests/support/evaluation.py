"""Small data sets of the bundled model's samples, and coldvoxctl evaluate as a process."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.sound.speech import Sample, samples

ROOT = Path(__file__).parents[2]
SPEAKERS = ("103", "1246")
CLIPS = 4


@dataclass(frozen=True)
class Ended:
    """The exit code and output of a command."""

    exit: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """The object on stdout with --json."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def evaluate(*arguments: str | Path, home: Path, before: str = "", stdin: str = "", **environment: str) -> Ended:
    """Run `coldvoxctl evaluate` without any settings; `before` is Python that runs before it, in the same process."""
    program = f"{before}\nimport sys\nfrom coldvoxd.cli.main import main\nsys.exit(main())"
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "COLDVOXD_"))}
    done = subprocess.run(
        [sys.executable, "-c", program, "evaluate", *map(str, arguments)],
        cwd=ROOT,
        env={**outer, "HOME": str(home), **environment},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def librispeech(place: Path, chosen: tuple[Sample, ...] = samples()[:CLIPS]) -> Path:
    """Write samples in LibriSpeech's layout, by two speakers in turn; texts are upper case without marks."""
    for number, sample in enumerate(chosen):
        speaker = SPEAKERS[number % len(SPEAKERS)]
        chapter = place / speaker / "7"
        chapter.mkdir(parents=True, exist_ok=True)
        name = f"{speaker}-7-{number:04}"
        shutil.copy(sample.path, chapter / f"{name}{sample.path.suffix}")
        with (chapter / f"{speaker}-7.trans.txt").open("a") as file:
            file.write(f"{name} {plain(sample.said).upper()}\n")
    return place


def plain(text: str) -> str:
    """Return a text without its marks."""
    return "".join(letter for letter in text if letter.isalnum() or letter == " ")
