"""Options and help of the command evaluate."""

import argparse
from pathlib import Path

from coldvoxd.cli.argument_types import channel, language

_DESCRIPTION = """\
Measure the word error rate on recordings whose texts are known, in this process and without any network access.

DIRECTORY has LibriSpeech's layout (SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt beside the recordings), a manifest.jsonl or
manifest.csv, or recordings with a text file of the same name beside each: any a.txt beside a.flac counts as its text. A manifest can be named itself; its columns are
audio_filepath (or audio, path, file), text (or transcript, sentence), and if there are id, speaker, offset and duration.

Recordings are read and recognized as `coldvoxctl transcribe --local` does. Texts are normalized before they are compared:
english is Whisper's normalizer, as in the Open ASR Leaderboard. The 95 % intervals are a bootstrap's, by speakers where at
least ten are known, otherwise by utterances.

  coldvoxctl evaluate LibriSpeech/test-clean --output report.json
  coldvoxctl evaluate talks/ --compare precision=fp32,int8 --snr 20,10,5 --output report.md --output plot.svg
  coldvoxctl evaluate talks/ --compare provider=cpu,cuda --gate 0.1
  coldvoxctl evaluate talks/ --engine faster-whisper=models/whisper-base

--tune proposes settings for the model, by figures. --blind plays recordings and asks which of two texts is better.

A recording or text that cannot be used ends the command before anything is measured, unless --skip-faulty; the report names
each one that was left out. A recording that cannot be decoded or recognized is reported, is not in the rate, and makes the
exit code 1.

Spoken text is only in the files that --output names: a .json report has each text, a .md page and an .svg plot have none.
Needs the extra `evaluate` (jiwer, whisper-normalizer); the message says how to install it.
"""

_EPILOG = """\
With --json, one object: the report as in a .json file (its `schema` is coldvoxd-evaluation/1) without the utterances.
"""

EVALUATE = ("measure the word error rate on recordings with known texts", _DESCRIPTION, _EPILOG)
"""Summary, description and epilog of the command."""
FORMATS = ("table", "markdown", "json", "svg")


def add_evaluate_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    command.add_argument(
        "place", nargs="?", type=Path, metavar="DIRECTORY", help="recordings with texts, or a manifest"
    )
    command.add_argument(
        "--model", metavar="NAME|PATH", help="a model's name or directory; default: that of the settings"
    )
    command.add_argument("--precision", choices=("fp32", "fp16", "int8"), help="which precision of the model")
    command.add_argument("--provider", metavar="NAME", help="execution provider: auto, cpu, cuda, ...")
    command.add_argument("--language", type=language, metavar="CODE", help="language that is spoken, or auto")
    command.add_argument(
        "--channel", type=channel, default="auto", metavar="C", help="as in transcribe (default: auto)"
    )
    _add_what_is_compared(command)
    _add_method(command)
    command.add_argument(
        "--format", choices=FORMATS, help="of stdout and of files without a known suffix (default: table)"
    )
    command.add_argument(
        "-o",
        "--output",
        action="append",
        default=[],
        type=output_file,
        metavar="FILE",
        help="also write the report: .json with all texts, .md, .svg; its folder is made if need be; repeatable",
    )
    command.add_argument("--force", action="store_true", help="with --output: replace files that exist")


def _add_what_is_compared(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="KEY=A,B",
        help="measure each value of a setting: precision, provider, model, threads, seam, or SECTION.KEY; repeatable",
    )
    command.add_argument(
        "--engine",
        action="append",
        default=[],
        metavar="NAME[=DIR]",
        help="measure another engine beside: onnx-asr, sherpa-onnx, faster-whisper, with its model's directory; repeatable",
    )
    command.add_argument(
        "--gate",
        type=points,
        metavar="POINTS",
        help="exit with 9 if a variant has more word errors than the first one by more than this many percentage points",
    )
    command.add_argument(
        "--tune",
        action="store_true",
        help="instead measure hangovers, seams and dither on at most 40 recordings, and propose settings; changes nothing",
    )
    command.add_argument(
        "--blind",
        nargs=2,
        metavar="REPORT",
        help="instead hear recordings, and choose between the texts of two .json reports, in random order; REPORT#RUN names a run",
    )


def _add_method(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--normalize",
        choices=("none", "basic", "english"),
        default="english",
        help="how texts are normalized before they are compared (default: english)",
    )
    command.add_argument(
        "--snr",
        type=ratios,
        default=(),
        metavar="DB,DB",
        help="also add noise at these ratios, in dB; if the first is negative, write --snr=-5,0",
    )
    command.add_argument("--noise", choices=("white", "babble", "both"), help="which noise --snr adds (default: white)")
    command.add_argument(
        "--resample",
        choices=("auto", "utterances", "speakers"),
        default="auto",
        help="what the bootstrap draws (default: auto, speakers if at least ten are known)",
    )
    command.add_argument(
        "--draws", type=draws, default=1000, metavar="N", help="draws of the bootstrap (default: 1000)"
    )
    command.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="of noise, bootstrap and --at-most (default: 0)"
    )
    command.add_argument(
        "--at-most", type=draws, metavar="N", help="measure only this many recordings, chosen at random"
    )
    command.add_argument(
        "--skip-faulty", action="store_true", help="leave out recordings and texts that cannot be used"
    )


def output_file(text: str) -> Path:
    """The name of a file."""
    if text.endswith("/"):
        raise argparse.ArgumentTypeError(f"{text!r} is the name of a folder: name a file in it")
    return Path(text)


def points(text: str) -> float:
    """A number of percentage points, 0 or more."""
    return _number(text, 0.0, 100.0, "a number of percentage points from 0 to 100")


def ratios(text: str) -> tuple[float, ...]:
    """Signal-to-noise ratios in dB, separated by commas."""
    found = tuple(_number(part, -30.0, 100.0, "a ratio in dB from -30 to 100") for part in text.split(","))
    if len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"{text!r} has a ratio twice")
    return found


def draws(text: str) -> int:
    """A number from 1."""
    number = int(text) if text.isdecimal() else 0
    if not 0 < number <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000000")
    return number


def seed(text: str) -> int:
    """A number from 0."""
    number = int(text) if text.isdecimal() else -1
    if not 0 <= number < 1 << 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 4294967295")
    return number


def _number(text: str, least: float, most: float, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = most + 1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return number
