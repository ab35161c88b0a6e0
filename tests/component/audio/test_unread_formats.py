"""A file in a format that is not read is named with its container and codec. The bytes follow the specifications."""

import struct
from pathlib import Path

import pytest

from coldvoxd.audio.file import AudioFile
from coldvoxd.core.errors import FileFault


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def mpeg4(entry: bytes | None, brand: bytes = b"M4A ", *, begins_with_data: bool = False) -> bytes:
    """Return an MPEG-4 container with a film track, and a sound track with this sample entry."""
    tracks = [track(b"vide", box(b"avc1", bytes(78)))]
    tracks += [] if entry is None else [track(b"soun", entry)]
    parts = [box(b"moov", box(b"mvhd", bytes(100)), *tracks), box(b"mdat", bytes(5000))]
    return box(b"ftyp", brand, bytes(4)) + b"".join(reversed(parts) if begins_with_data else parts)


def track(handler: bytes, entry: bytes) -> bytes:
    table = box(b"stbl", box(b"stsd", bytes(4), struct.pack(">I", 1), entry))
    media = box(b"mdia", box(b"mdhd", bytes(24)), box(b"hdlr", bytes(8), handler, bytes(13)), box(b"minf", table))
    return box(b"trak", box(b"tkhd", bytes(84)), media)


def mp4a(object_type: int) -> bytes:
    decoder = b"\x04\x80\x80\x80\x11" + bytes([object_type]) + bytes(16)
    stream = b"\x03\x80\x80\x80\x22\0\1\0" + decoder
    return box(b"mp4a", bytes(28), box(b"esds", bytes(4), stream))


def matroska(doctype: bytes, codec: bytes) -> bytes:
    head = b"\x1a\x45\xdf\xa3\x93\x42\x82" + bytes([0x80 + len(doctype)]) + doctype
    return (
        head
        + b"\x18\x53\x80\x67"
        + bytes(40)
        + b"\x86"
        + bytes([0x80 + len(codec)])
        + codec
        + b"\x83\x81\x02"
        + bytes(200)
    )


def wav(tag: int, form: bytes = b"RIFF") -> bytes:
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, 1, 16_000, 4000, 1, 4)
    return form + struct.pack("<I", 5036) + b"WAVE" + head + b"data" + struct.pack("<I", 5000) + bytes(5000)


def asf(tag: int) -> bytes:
    audio = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")
    return (
        bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
        + bytes(90)
        + audio
        + bytes(38)
        + struct.pack("<H", tag)
        + bytes(90)
    )


def avi(tag: int) -> bytes:
    stream = b"strh" + struct.pack("<I", 56) + b"auds" + bytes(52) + b"strf" + struct.pack("<IH", 18, tag) + bytes(16)
    return b"RIFF" + struct.pack("<I", 1000) + b"AVI LIST" + stream + bytes(200)


RECORDINGS = {
    "an MPEG-4 container with AAC audio": mpeg4(mp4a(0x40)),
    "an MPEG-4 container with MP3 audio": mpeg4(mp4a(0x6B), b"isom"),
    "an MPEG-4 container with ALAC audio": mpeg4(box(b"alac", bytes(60)), begins_with_data=True),
    "an MPEG-4 container with AMR audio": mpeg4(box(b"samr", bytes(40)), b"3gp4"),
    "a QuickTime container with PCM audio": mpeg4(box(b"sowt", bytes(28)), b"qt  "),
    "a WebM container with Opus audio": matroska(b"webm", b"A_OPUS"),
    "a Matroska container with AAC audio": matroska(b"matroska", b"A_AAC"),
    "a Matroska container with MP3 audio": matroska(b"matroska", b"A_MPEG/L3"),
    "an ASF container with Windows Media Audio": asf(0x161),
    "an AVI container with MP3 audio": avi(0x55),
    "a WAV file with G.722 audio": wav(0x28F),
    "a WAV file with AAC audio": wav(0xFF),
    "a CAF file with AAC audio": b"caff\0\1\0\0desc" + struct.pack(">Qd4s", 32, 16_000.0, b"aac ") + bytes(200),
    "an AMR recording": b"#!AMR\n" + bytes(200),
    "an AMR-WB recording": b"#!AMR-WB\n" + bytes(200),
    "an AAC recording without a container (ADTS)": b"\xff\xf1\x60\x40\x1f\x9f\xfc" + bytes(200),
    "an AAC recording without a container (LATM)": (b"\x56\xe0\x40" + bytes(64)) * 4,
    "an MPEG transport stream": (b"G" + bytes(187)) * 5,
    "a WavPack file": b"wvpk" + bytes(200),
    "a Flash Video container": b"FLV\1\4" + bytes(200),
}
OTHERS = {
    "is an MPEG-4 container without an audio track: give the name of a recording with sound": mpeg4(None),
    "is a web page: download the recording again": b"\n<!DOCTYPE html>\n<html><body>404</body></html>",
    "is a ZIP archive: unpack it, and give the names of the recordings in it": b"PK\3\4" + bytes(200),
    "is a playlist: give the names of the recordings that it lists": b"#EXTM3U\nhttps://radio.example/talk.mp3\n",
    "is a Git LFS pointer: fetch the recording with `git lfs pull`": b"version https://git-lfs.github.com/spec/v1\n",
}


def complaint(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(FileFault) as fault:
        AudioFile.open(path)
    return str(fault.value).removeprefix(f"{path} ")


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_is_named_with_the_command_that_converts_it(tmp_path: Path, name: str) -> None:
    said = complaint(tmp_path / "talk", RECORDINGS[name])
    assert said == (
        f"is {name}, which is not read: convert it, for instance with `ffmpeg -i FILE -ar 16000 -ac 1 speech.flac`"
    )


@pytest.mark.parametrize("said", OTHERS)
def test_what_is_no_recording_is_named_with_what_to_do(tmp_path: Path, said: str) -> None:
    assert complaint(tmp_path / "talk", OTHERS[said]) == said


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_truncated_or_damaged_container_is_a_fault_of_the_file_too(tmp_path: Path, name: str) -> None:
    content = RECORDINGS[name]
    for size in range(8, min(len(content), 600), 7):
        assert ": " in complaint(tmp_path / "talk", content[:size])
    for at in range(0, min(len(content), 600), 5):
        spoiled = bytearray(content)
        spoiled[at] ^= 0xFF
        assert ": " in complaint(tmp_path / "talk", bytes(spoiled))
