"""coldvoxctl setup: what it installs into a home directory, and its removal (tests/system tests it with systemd)."""

from pathlib import Path

import pytest

from coldvoxd.cli.install_ledger import Installer, Places, put_units, take_away, units, with_programs
from coldvoxd.cli.setup import remove_runtime_directories
from coldvoxd.core.errors import NotInstallable


@pytest.fixture
def places(tmp_path: Path) -> Places:
    homes = ("home/.local/share", "home/.cache", "home/.local/state")
    return Places(tmp_path / "elsewhere", *(tmp_path / home for home in homes))


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A directory with a coldvoxd in it; here it may be below /tmp."""
    monkeypatch.setattr("coldvoxd.cli.install_ledger._PRIVATE", ())
    (tmp_path / "my 5% bin").mkdir()
    (tmp_path / "my 5% bin/coldvoxd").write_text("#!/bin/sh\n")
    (tmp_path / "my 5% bin/coldvoxd").chmod(0o755)
    return tmp_path / "my 5% bin"


def everything(directory: Path) -> set[Path]:
    return set(directory.rglob("*"))


def test_what_was_put_in_place_goes_and_what_was_there_stays(places: Places, programs: Path, tmp_path: Path) -> None:
    theirs = places.data / "dbus-1" / "services" / "org.other.service"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    before = everything(tmp_path)
    put_units(Installer(places.ledger), places, programs, cpu=True)
    put_units(Installer(places.ledger), places, programs, cpu=False)  # an upgrade
    put = {path for path in everything(tmp_path) - before if path.is_file()}
    assert put == {
        *(places.units / unit for unit in units()),
        places.units / "coldvoxd.service.d/cpu.conf",
        theirs.with_name("org.coldvox.Daemon1.service"),
        theirs.parents[1] / "interfaces/org.coldvox.Daemon1.xml",
        places.ledger,
    }
    assert {"coldvoxd.service", "coldvoxd-model.service"} < {path.name for path in put}
    (places.accelerator_cache / "trials").mkdir()  # as the daemon does
    put.add(places.accelerator_cache)
    assert set(take_away(places)) == put
    assert everything(tmp_path) == before


def test_an_installation_whose_list_is_lost_goes_all_the_same(places: Places, programs: Path) -> None:
    put_units(Installer(places.ledger), places, programs, cpu=True)
    places.ledger.unlink()
    take_away(places)
    assert not [path for path in everything(places.config) | everything(places.data) if path.is_file()]


def test_a_link_of_somebody_else_is_neither_written_through_nor_taken_away(places: Places, tmp_path: Path) -> None:
    """Such links are made by pipx for manual pages."""
    page, link = tmp_path / "coldvoxctl.1", places.data / "man/man1/coldvoxctl.1"
    page.write_text("theirs")
    link.parent.mkdir(parents=True)
    link.symlink_to(page)
    Installer(places.ledger).put(link, "ours")
    assert page.read_text() == "theirs"
    take_away(places)
    assert link.is_symlink()


def test_a_unit_starts_the_programs_from_where_they_are() -> None:
    unit = "[Service]\nExecStart=%h/.local/bin/coldvoxctl model pull --file %t/x\nExecReload=kill -HUP $MAINPID\n"
    assert with_programs(unit, Path("/opt/my 5% bin")) == (
        '[Service]\nExecStart="/opt/my 5%% bin/coldvoxctl" model pull --file %t/x\nExecReload=kill -HUP $MAINPID\n'
    )


def test_programs_that_the_service_would_not_see_are_refused(places: Places, tmp_path: Path) -> None:
    with pytest.raises(NotInstallable, match="there is no coldvoxd in"):
        put_units(Installer(None), places, tmp_path, cpu=False)
    hidden = Path("/var/tmp") / f"coldvoxd-{tmp_path.name}"
    hidden.mkdir()
    try:
        (hidden / "coldvoxd").touch(0o755)
        with pytest.raises(NotInstallable, match="a private /tmp"):
            put_units(Installer(None), places, hidden, cpu=False)
    finally:
        (hidden / "coldvoxd").unlink()
        hidden.rmdir()
    assert not places.units.exists()


def test_undelivered_text_and_audio_go_with_the_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    ours = ("coldvoxd/spool", "coldvoxd-model/progress.json", "coldvox-type/undelivered")
    for name in (*ours, "bus"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/one").touch()
    assert remove_runtime_directories() == [(tmp_path / name).parent for name in ours]
    assert {path.name for path in tmp_path.iterdir()} == {"bus", "letters"}
    assert remove_runtime_directories() == []
