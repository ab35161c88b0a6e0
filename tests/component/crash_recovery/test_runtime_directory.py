"""The runtime directory: foreign files in it are neither trusted nor deleted."""

import os
import stat
from pathlib import Path

import pytest

from coldvoxd.crash_recovery.segment_file import create
from coldvoxd.crash_recovery.spool import Spool
from tests.support.bus.private_bus import PrivateBus
from tests.support.daemon.process import daemon


def spool(runtime: Path) -> Spool:
    return Spool(runtime / "spool", "0123456789abcdef", print)


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707])
def test_a_directory_that_others_may_enter_is_refused(tmp_path: Path, mode: int) -> None:
    runtime = tmp_path / "coldvoxd"
    runtime.mkdir()
    runtime.chmod(mode)
    with pytest.raises(OSError, match="instead of 0700"):
        spool(runtime)
    assert list(runtime.iterdir()) == []


@pytest.mark.parametrize("inner", [False, True], ids=["coldvoxd", "coldvoxd/spool"])
def test_a_link_is_refused(tmp_path: Path, inner: bool) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    runtime = tmp_path / "coldvoxd"
    if inner:
        runtime.mkdir(mode=0o700)
    (runtime / "spool" if inner else runtime).symlink_to(elsewhere)
    with pytest.raises(OSError, match="is a symbolic link"):
        spool(runtime)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_another_users_directory_is_refused(tmp_path: Path) -> None:
    runtime = tmp_path / "coldvoxd"
    runtime.mkdir(mode=0o700)
    os.chown(runtime, 1234, 1234)
    with pytest.raises(OSError, match="belongs to the user 1234"):
        spool(runtime)


def test_a_runtime_directory_that_is_missing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the directory does not exist"):
        spool(tmp_path / "missing/coldvoxd")
    assert list(tmp_path.iterdir()) == []


def test_a_runtime_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(OSError, match="other users may write to it"):
        spool(tmp_path / "coldvoxd")
    tmp_path.chmod(0o1777)  # as /tmp: users cannot replace the files of others
    spool(tmp_path / "coldvoxd").close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_another_users_runtime_directory_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 1234)
    with pytest.raises(OSError, match="belongs to the user 1234"):
        spool(tmp_path / "coldvoxd")
    assert list(tmp_path.iterdir()) == []


def test_a_new_directory_is_ours_alone(tmp_path: Path) -> None:
    spool(tmp_path / "coldvoxd").close()
    for directory in (tmp_path / "coldvoxd", tmp_path / "coldvoxd/spool"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_foreign_files_stay(tmp_path: Path) -> None:
    opened = spool(tmp_path / "coldvoxd")
    directory = tmp_path / "coldvoxd/spool"
    (directory / "notes.txt").write_text("not ours")
    (directory / "7-000000.new").write_text("ours, half written")
    (directory / "7-000001.spool").write_text("ours, damaged")
    assert list(opened.interrupted_sessions()) == []
    opened.clear()
    opened.close()
    assert {path.name for path in directory.iterdir()} == {"notes.txt", "lock"}


def test_a_file_is_never_written_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("1-000000.new", "1-000000.spool"):
        (tmp_path / name).symlink_to(victim)
    descriptor, _ = create(tmp_path / "1-000000.spool", b"ours")
    os.close(descriptor)
    assert victim.read_text() == "precious"
    assert not (tmp_path / "1-000000.spool").is_symlink()


async def test_dictation_goes_on_without_the_spool_and_the_fault_is_logged(tmp_path: Path) -> None:
    with PrivateBus() as bus:
        runtime = bus.directory / "run"
        (runtime / "coldvoxd").mkdir(parents=True)
        (runtime / "coldvoxd").chmod(0o755)
        bus.extra_environment = {"XDG_RUNTIME_DIR": str(runtime)}
        async with daemon(bus, tmp_path) as running, running.client() as client:
            assert await client.call("StartDictation") > 0
            assert f"cannot be kept in {runtime}/coldvoxd (its mode is 0755 instead of 0700" in running.log
            await client.call("CancelDictation")
