"""Which microphone a name selects, and which policy applies to it."""

import pytest

from coldvoxd.core.errors import InvalidOption, UnknownDevice
from coldvoxd.core.microphone_rules import Policy, SoundView, Source, find, policy_in_force

YETI = Source("alsa_input.usb-Blue_Yeti-00.analog-stereo", "Blue Yeti")
CARD = Source("alsa_input.pci-0000_00_1f.3.analog-stereo", "Built-in Audio Analog Stereo")
HEADSET = Source("bluez_input.38_18_4C", "WH-1000XM4", bluetooth=True)
SPEAKER = Source("alsa_output.pci.monitor", "Monitor of Built-in Audio", monitor=True)
ALL = SoundView((SPEAKER, CARD, YETI, HEADSET), default=CARD.name)


@pytest.mark.parametrize(
    ("wanted", "source"),
    [
        ("default", CARD),
        ("Blue Yeti", YETI),
        ("blue yeti", YETI),
        ("yeti", YETI),
        ("Built-in", CARD),
        ("bluez_input", HEADSET),
        (YETI.name, YETI),
        (SPEAKER.name, SPEAKER),
    ],
)
def test_a_name_or_a_part_of_it_is_enough_in_any_case(wanted: str, source: Source) -> None:
    assert find(ALL, wanted) is source


def test_what_a_loudspeaker_plays_is_never_meant_by_a_part_of_its_name() -> None:
    with pytest.raises(UnknownDevice, match=r"no microphone “Monitor”. Available: .*“Blue Yeti”.*; or `default`"):
        find(ALL, "Monitor")


def test_a_name_that_fits_several_is_refused_with_those() -> None:
    with pytest.raises(
        UnknownDevice, match=r"“alsa” matches several .*“Built-in Audio Analog Stereo”, “Blue Yeti”; or"
    ):
        find(ALL, "alsa")


def test_a_whole_name_wins_over_parts_of_others() -> None:
    webcam = Source("webcam", "Blue Yeti Webcam")
    assert find(SoundView((webcam, YETI)), "Blue Yeti") is YETI


@pytest.mark.parametrize("wanted", ["", "Snowball"])
def test_an_unknown_name_is_an_invalid_option(wanted: str) -> None:
    with pytest.raises(InvalidOption):
        find(ALL, wanted)


def test_a_default_that_is_no_microphone_is_never_listened_to() -> None:
    with pytest.raises(UnknownDevice, match="The sound server has no microphone"):
        find(SoundView((SPEAKER,), default=SPEAKER.name), "default")
    with pytest.raises(UnknownDevice, match=r"default source is not a microphone\. Available: “Blue Yeti”"):
        find(SoundView((SPEAKER, YETI), default=SPEAKER.name), "default")


def test_always_spares_a_bluetooth_headset_and_nothing_else() -> None:
    assert policy_in_force(Policy.ALWAYS, HEADSET, bluetooth_always=False) is Policy.ON_DEMAND
    assert policy_in_force(Policy.ALWAYS, HEADSET, bluetooth_always=True) is Policy.ALWAYS
    assert policy_in_force(Policy.ALWAYS, YETI, bluetooth_always=False) is Policy.ALWAYS
    assert policy_in_force(Policy.ALWAYS, None, bluetooth_always=False) is Policy.ALWAYS
    assert policy_in_force(Policy.IDLE_RELEASE, HEADSET, bluetooth_always=False) is Policy.IDLE_RELEASE
