"""Channels: how a choice is written, and their positions on a sound server."""

import pytest

from coldvoxd.core.channels import AUTO, MIX, MOST, Channel, StreamLayout, parse, stream_layout


@pytest.mark.parametrize(
    ("written", "text", "number"),
    [
        ("auto", "auto", 0),
        ("Mix", "mix", 0),
        (" left ", "left", 1),
        ("right", "right", 2),
        (3, "3", 3),
        ("3", "3", 3),
        ("03", "3", 3),
        (32, "32", 32),
    ],
)
def test_a_choice_is_written_as_a_word_or_a_number_from_1(written: object, text: str, number: int) -> None:
    channel = parse(written)
    assert (str(channel), channel.number, channel.automatic) == (text, number, text == "auto")
    assert parse(str(channel)) == channel


@pytest.mark.parametrize("written", [0, -1, 33, "0", "", "middle", "1.0", 1.0, True, None, "³", "٣", ["left"]])
def test_what_is_no_choice_is_refused_with_what_is_one(written: object) -> None:
    with pytest.raises(ValueError, match=r"must be auto, mix, left, right or a channel's number from 1 to 32, not "):
        parse(written)


def test_a_channel_that_is_not_there_is_explained() -> None:
    assert [AUTO.missing_in(1), MIX.missing_in(1), Channel("left").missing_in(1), Channel("8").missing_in(8)] == [
        ""
    ] * 4
    assert Channel("right").missing_in(1) == "has 1 channel, and channel is right: set it to auto, mix or 1"
    assert (
        Channel("9")
        .missing_in(8)
        .endswith("has 8 channels, and channel is 9: set it to auto, mix or a number from 1 to 8")
    )


@pytest.mark.parametrize(
    ("positions", "pipewire", "layout"),
    [
        (("mono",), False, StreamLayout(1, (0,))),
        (("front-left", "front-right"), True, StreamLayout(2, (0, 1))),
        (
            ("front-left", "front-right", "front-center", "lfe", "rear-left", "rear-right"),
            False,
            StreamLayout(6, (0, 1, 4, 5, 2, 3)),
        ),
        (("front-left", "front-right", "front-center"), False, StreamLayout(8, (0, 1, 4))),
        (("front-left", "front-right", "front-center"), True, StreamLayout(8, (0, 1, 4), unmixed=True)),
        (("aux0", "aux1"), False, StreamLayout(10, (8, 9))),
        (("aux0", "aux1"), True, StreamLayout(2, (0, 1), unmixed=True)),
        (("front-left", "front-right", "aux0"), False, StreamLayout(9, (0, 1, 8))),
        (tuple(f"aux{n}" for n in range(7)), True, StreamLayout(8, tuple(range(7)), unmixed=True)),
        (("front-left", "front-right", "aux0"), True, None),
        (tuple(f"aux{n}" for n in range(10)), False, StreamLayout(18, tuple(range(8, 18)))),
        (tuple(f"aux{n}" for n in range(10)), True, None),
        (tuple(f"aux{n}" for n in range(30)), False, None),
        (("top-center", "mono"), False, None),
        (("front-left", "front-left"), False, None),
        ((), False, None),
    ],
)
def test_a_sources_channels_are_found_in_a_stream_through_alsa(
    positions: tuple[str, ...], pipewire: bool, layout: StreamLayout | None
) -> None:
    assert stream_layout(positions, pipewire=pipewire) == layout
    assert layout is None or layout.channels <= MOST
