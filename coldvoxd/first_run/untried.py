"""The statements of coldvoxd that are marked “not tried here”: what a report says of each, and what changes it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]
LONG_PAUSE_S = 2.0
"""Utterances with shorter pauses than this show what their length does."""
NOT_MEASURED = "not measured here"


def statements(report: Document) -> list[tuple[str, str, str]]:
    """Return a row for each statement: what it says, what was measured, and which figures a maintainer needs to change it."""
    return [*_of_the_model(report), *_of_the_settings(report), *_of_the_machine(report)]


def _of_the_model(report: Document) -> list[tuple[str, str, str]]:
    known, peer = report["files"].get("repository"), report["peer"]
    agree = [one["pinned"] for one in report["files"].get("files", ())]
    int8: Sequence[Document] = next(
        (one["lengths"] for one in report["variants"] if one["precision"] == "int8" and one["lengths"]), []
    )
    lost = ", ".join(
        f"{row['seconds']:.0f} s: {row['lost']} of {row['words']} lost" for row in int8 if row["pause_s"] < LONG_PAUSE_S
    )
    holes = [row for one in report["variants"] for row in one["lengths"]]
    found = f"{sum(row['holes'] for row in holes)} holes, {sum(row['holes_filled'] for row in holes)} filled"
    return [
        (
            "revision, sizes and hashes of a published model (`models/published_models.py`, `docs/models.md`)",
            f"{agree.count('agrees')} of {len(agree)} files agree" if known else "no published model",
            "all files agree, the golden clip and the words are right; the whole hashes above replace beginnings and missing ones",
        ),
        (
            "the tokens of this kind of model are those of onnx-asr (`docs/models.md`)",
            f"{peer['other_tokens']} of {peer['recordings']} recordings differ" if peer else NOT_MEASURED,
            "0 recordings with other tokens in fp32",
        ),
        (
            "`max_utterance_s` of int8 is 15 s, because it is reported to lose words in longer speech",
            lost or NOT_MEASURED,
            "the longest length without loss; no limit if 30 s lose nothing",
        ),
        (
            "the decoder stalls after a sentence, and holes are filled",
            found if holes else NOT_MEASURED,
            "no word is lost at pauses of 2.5 s",
        ),
    ]


def _of_the_settings(report: Document) -> list[tuple[str, str, str]]:
    pauses, partials = report["pauses"], report["partials"]
    return [
        (
            "`seam` of a published model is `window`",
            f"{pauses['sessions']} sessions, see Seam" if pauses else NOT_MEASURED,
            "an interval on one side of zero, or equal costs with less time, in two reports",
        ),
        (
            "digital silence gets dither of -66 dBFS",
            "see Dither" if report["silence"] else NOT_MEASURED,
            "the fewest errors of all levels, or as many",
        ),
        (
            "partials change no final text and delay none",
            f"{partials['final_same']} of {partials['utterances']} are the same" if partials else NOT_MEASURED,
            "all are the same, and a run is stopped within 0.1 s",
        ),
        (
            "the default hangover is 500 ms",
            "see Hangover" if pauses else NOT_MEASURED,
            "natural pauses: the table of a page that was read, from several voices",
        ),
    ]


def _of_the_machine(report: Document) -> list[tuple[str, str, str]]:
    others = [one["name"] for one in report["variants"] if one["provider"] != "cpu" and one["speed"]]
    return [
        (
            "CUDA, TensorRT, OpenVINO and TensorRT for RTX have run on no device here (`docs/models.md`)",
            ", ".join(others) or NOT_MEASURED,
            "the golden clip as on the CPU; speed and memory above",
        ),
        (
            "temperature, beams and languages of the published weights",
            "not settled by a first run",
            "thousands of words: `coldvoxctl evaluate`, `contrib/trials/decoding.py`",
        ),
    ]
