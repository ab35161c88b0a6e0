"""Names the formats that are not read, so that a message can say what a file is."""

import re
import struct
from collections.abc import Iterator

from coldvoxd.audio.streams import Content

CONVERT_COMMAND = "ffmpeg -i FILE -ar 16000 -ac 1 speech.flac"
CONVERT = f"convert it, for instance with `{CONVERT_COMMAND}`"
"""The advice for a recording in a format that is not read."""
_HEAD_BYTES = 1 << 16
_MOST_BOXES = 1000
"""Maximum number of boxes of an MPEG-4 container that are looked at in one level; a damaged file may have millions."""
_MOST_ENTRY_BYTES = 4096

_NO_AUDIO = "without an audio track"
_ENCRYPTED = "encrypted"
_CODECS = {
    b"alac": "ALAC",
    b"samr": "AMR",
    b"sawb": "AMR-WB",
    b"Opus": "Opus",
    b"fLaC": "FLAC",
    b"ac-3": "AC-3",
    b"ec-3": "E-AC-3",
    b".mp3": "MP3",
    b"aac ": "AAC",
    b"MAC3": "MACE",
    b"ima4": "IMA ADPCM",
    b"QDM2": "QDesign",
    b"ulaw": "μ-law PCM",
    b"alaw": "A-law PCM",
    b"drms": _ENCRYPTED,
    b"enca": _ENCRYPTED,
}
"""Sample entries of ISO/IEC 14496-12 and QuickTime, and format IDs of CAF."""
_PCM_ENTRIES = {b"sowt", b"twos", b"lpcm", b"in24", b"in32", b"fl32", b"fl64", b"raw ", b"NONE", b"ipcm", b"fpcm"}
_OBJECT_TYPES = {0x69: "MP3", 0x6B: "MP3", 0xA5: "AC-3", 0xA6: "E-AC-3", 0xA9: "DTS", 0xDD: "Vorbis"}
"""objectTypeIndication of ISO/IEC 14496-1 for `mp4a`; any other one is AAC."""
_WAVE_CODECS = {
    0x0001: "PCM",
    0x0002: "Microsoft ADPCM",
    0x0003: "floating-point PCM",
    0x000A: "Windows Media Voice",
    0x0022: "TrueSpeech",
    0x0028: "LRC",
    0x0042: "G.723.1",
    0x0045: "G.726",
    0x0050: "MP2",
    0x0055: "MP3",
    0x0064: "G.726",
    0x0065: "G.722",
    0x0083: "G.729",
    0x00FF: "AAC",
    0x0130: "ACELP",
    0x0160: "Windows Media Audio",
    0x0161: "Windows Media Audio",
    0x0162: "Windows Media Audio Professional",
    0x0163: "Windows Media Audio Lossless",
    0x028F: "G.722",
    0x1610: "AAC",
    0x2000: "AC-3",
    0x2001: "DTS",
    0x704F: "Opus",
}
"""Format tags of RFC 2361 and of Microsoft's mmreg.h."""
_MATROSKA_CODEC = re.compile(rb"\x86([\x82-\xc0])(?=A_)")
"""The element CodecID of an audio track, with its length: RFC 9559, section 5.1.4.1.21."""
_MATROSKA_CODECS = {"OPUS": "Opus", "VORBIS": "Vorbis", "MPEG/L3": "MP3", "MPEG/L2": "MP2"}
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_AUDIO = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")
_ASF_FORMAT_OFFSET = 54
"""Bytes from the stream type to the format tag: ASF specification, section 3.3."""
_RECORDINGS = (
    (b"#!AMR-WB", "an AMR-WB recording"),
    (b"#!AMR", "an AMR recording"),
    (b"MAC ", "a Monkey's Audio file"),
    (b"wvpk", "a WavPack file"),
    (b"TTA1", "a TTA file"),
    (b"MPCK", "a Musepack file"),
    (b"MP+", "a Musepack file"),
    (b"DSD ", "a DSD file"),
    (b"FRM8", "a DSD file"),
    (b"\x0b\x77", "an AC-3 recording without a container"),
    (b"\x7f\xfe\x80\x01", "a DTS recording without a container"),
    (b"FLV\1", "a Flash Video container"),
    (b"\0\0\1\xba", "an MPEG program stream"),
    (b".RMF", "a RealMedia container"),
    (b".ra\xfd", "a RealAudio recording"),
    (b"\xc0\xde\xc2", "a Codec 2 recording"),
)
_OTHERS = (
    (b"MThd", "a MIDI file, which has notes and no sound: give the name of a recording"),
    (b"#EXTM3U", "a playlist: give the names of the recordings that it lists"),
    (b"[playlist]", "a playlist: give the names of the recordings that it lists"),
    (b"PK\3\4", "a ZIP archive: unpack it, and give the names of the recordings in it"),
    (b"\x1f\x8b", "compressed with gzip: unpack it with `gunzip` first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it, and give the names of the recordings in it"),
    (b"Rar!\x1a\7", "a RAR archive: unpack it, and give the names of the recordings in it"),
    (b"%PDF-", "a PDF document: give the name of a recording"),
    (b"\x89PNG", "a picture: give the name of a recording"),
    (b"\xff\xd8\xff", "a picture: give the name of a recording"),
    (b"GIF8", "a picture: give the name of a recording"),
    (b"version https://git-lfs", "a Git LFS pointer: fetch the recording with `git lfs pull`"),
)
_PAGE_MARKS = (b"<!doctype html", b"<html")
_PACKET_BYTES = 188
"""A packet of an MPEG transport stream: ISO/IEC 13818-1."""


def complaint(content: Content) -> str:
    """What the file is and what to do, for a sentence that begins with its name; empty if the format is unknown.

    Raises OSError.
    """
    head = content.at(0, _HEAD_BYTES)
    if (found := _recording(content, head)) is not None:
        if _NO_AUDIO in found:
            return f"is {found}: give the name of a recording with sound"
        return f"is {found}, which is not read: {CONVERT}"
    start = head[:64].lstrip().lower()
    if start.startswith(_PAGE_MARKS):
        return "is a web page: download the recording again"
    return next((f"is {text}" for mark, text in _OTHERS if head.startswith(mark)), "")


def recording(content: Content) -> str | None:
    """The name of the recording's format, as "an MPEG-4 container with AAC audio"; None if it is unknown. Raises OSError."""
    return _recording(content, content.at(0, _HEAD_BYTES))


def index_follows(content: Content) -> bool:
    """Whether this is an MPEG-4 container whose index follows the audio, so that it must be sought in. Raises OSError."""
    if _recording(content, content.at(0, _HEAD_BYTES)) is None:
        return False
    kinds = (kind for kind, _ in _boxes(content, 0, content.size))
    return next((kind for kind in kinds if kind in {b"moov", b"mdat"}), None) == b"mdat"


def is_encrypted(recording: str) -> bool:
    """Whether a name from `recording` says that the audio is encrypted."""
    return _with(_ENCRYPTED) in recording


def _recording(content: Content, head: bytes) -> str | None:
    """The name of a recording's format, with its article; None if it is unknown."""
    if head[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}:
        return _mpeg4(content, head)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _matroska(head)
    if head.startswith(_ASF):
        at = head.find(_ASF_AUDIO)
        tag = _le16(head, at + _ASF_FORMAT_OFFSET) if at >= 0 else -1
        return "an ASF container" + _with(_WAVE_CODECS.get(tag, ""))
    if head[:4] in {b"RIFF", b"RF64", b"BW64"}:
        return _riff(head)
    if head.startswith(b"caff"):
        codec = head[28:32] if head[8:12] == b"desc" else b""
        return "a CAF file" + _with(_CODECS.get(codec, ""))
    if head.startswith(b"FORM") and head[8:12] == b"AIFC" and (at := head.find(b"COMM")) >= 0:
        return "an AIFF-C file" + _with(_CODECS.get(head[at + 26 : at + 30], ""))
    if head[:2] == b"\xff\xf1" or (head[:1] == b"\xff" and head[1:2] in {b"\xf0", b"\xf8", b"\xf9"}):
        return "an AAC recording without a container (ADTS)"
    if _is_latm(head):
        return "an AAC recording without a container (LATM)"
    if len(head) > 2 * _PACKET_BYTES and head[0] == head[_PACKET_BYTES] == head[2 * _PACKET_BYTES] == ord("G"):
        return "an MPEG transport stream"
    return next((name for mark, name in _RECORDINGS if head.startswith(mark)), None)


def _with(codec: str) -> str:
    if not codec:
        return ""
    return f" with {codec}" if "Audio" in codec else f" with {codec} audio"


def _le16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _riff(head: bytes) -> str | None:
    if head[8:12] == b"WAVE" and (at := head.find(b"fmt ")) >= 0:
        return "a WAV file" + _with(_WAVE_CODECS.get(_le16(head, at + 8), "unknown"))
    if head[8:12] == b"AVI ":
        stream = head.find(b"auds")
        at = head.find(b"strf", stream)
        return "an AVI container" + _with(_WAVE_CODECS.get(_le16(head, at + 8), "") if stream >= 0 <= at else "")
    return None


def _matroska(head: bytes) -> str:
    name = "a WebM container" if b"webm" in head[:64] else "a Matroska container"
    found = _MATROSKA_CODEC.search(head)
    if found is None:
        return name
    codec = head[found.end() : found.end() + found[1][0] - 0x80].decode("ascii", "replace").removeprefix("A_")
    return name + _with(_MATROSKA_CODECS.get(codec, codec.partition("/")[0]))


def _is_latm(head: bytes) -> bool:
    """Whether two frames of a Low Overhead Audio Stream follow each other: ISO/IEC 14496-3, section 1.7.2."""
    size = 3 + (int.from_bytes(head[1:3], "big") & 0x1FFF)
    return all(int.from_bytes(head[at : at + 2], "big") >> 5 == 0x2B7 and len(head) > at + 2 for at in (0, size))


def _mpeg4(content: Content, head: bytes) -> str | None:
    """The container with the codec of its first audio track; None if the file is not one."""
    name = "a QuickTime container" if head[8:12] == b"qt  " or head[4:8] != b"ftyp" else "an MPEG-4 container"
    movie = next((box for kind, box in _boxes(content, 0, content.size) if kind == b"moov"), None)
    if movie is None:
        return name if head[4:8] == b"ftyp" else None
    for track in (box for kind, box in _boxes(content, *movie) if kind == b"trak"):
        media = _inner(content, track, b"mdia")
        handler = _inner(content, media, b"hdlr")
        if media is None or handler is None or content.at(handler[0] + 8, 4) != b"soun":
            continue
        table = _inner(content, _inner(content, _inner(content, media, b"minf"), b"stbl"), b"stsd")
        entry = content.at(table[0] + 8, min(_MOST_ENTRY_BYTES, table[1] - table[0])) if table else b""
        return name + _with(_sample_entry(entry))
    return f"{name} {_NO_AUDIO}"


def _sample_entry(entry: bytes) -> str:
    kind = entry[4:8]
    if kind in _PCM_ENTRIES:
        return "PCM"
    if kind != b"mp4a":
        return _CODECS.get(kind, "")
    at = entry.find(b"esds")
    descriptor = re.search(rb"\x04[\x80-\xff]{0,3}[\x00-\x7f](.)", entry[at + 8 + 4 :], re.DOTALL) if at >= 0 else None
    return _OBJECT_TYPES.get(descriptor[1][0], "AAC") if descriptor else "AAC"


def _inner(content: Content, box: tuple[int, int] | None, kind: bytes) -> tuple[int, int] | None:
    if box is None:
        return None
    return next((inner for found, inner in _boxes(content, *box) if found == kind), None)


def _boxes(content: Content, begin: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """The boxes in [begin, end) of the file: the type and the extent of the body of each. Raises OSError."""
    for _ in range(_MOST_BOXES):
        head = content.at(begin, 16)
        if len(head) < 8 or begin >= end:
            return
        size, kind = struct.unpack(">I4s", head[:8])
        body = begin + 8
        if size == 1 and len(head) == 16:
            size, body = int.from_bytes(head[8:], "big"), begin + 16
        if size == 0:
            size = end - begin
        if size < body - begin:
            return
        yield kind, (body, min(begin + size, end))
        begin += size
