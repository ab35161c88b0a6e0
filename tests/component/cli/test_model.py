"""`coldvoxctl model` with the real client against a loopback hub that cuts, stalls, corrupts and refuses."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from coldvoxd.core.golden_verdict import words
from coldvoxd.core.sizes import size_text
from coldvoxd.core.values import Precision
from coldvoxd.golden.verdict_cache import recorded, verdict_path
from coldvoxd.models.directories import bundled_directory
from coldvoxd.models.hub import BLOCK, RemoteFile
from coldvoxd.models.layout import model_files, precisions
from coldvoxd.models.progress import read_progress
from coldvoxd.models.published_models import PUBLISHED
from tests.component.cli.conftest import Terminal
from tests.support.eventually import eventually_blocking
from tests.support.models.hub import (
    CONTENT_HOST,
    FP32,
    HOST,
    INT8,
    MODEL,
    Corrupt,
    Cut,
    Instead,
    LoopbackHub,
    Stall,
    Status,
    Whole,
    unreachable_address,
)
from tests.support.models.socks_proxy import SocksProxy

ROOT = Path(__file__).parents[3]
ENCODER = "encoder-model.onnx"


@dataclass
class Result:
    """The exit code and output of `coldvoxctl --json model ...`."""

    exit: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def done(self) -> dict[str, Any]:
        assert self.exit == 0, self.err
        return self.objects[-1]

    @property
    def waited_for(self) -> list[str]:
        return [event["message"] for event in self.objects if event.get("state") == "waiting"]

    @property
    def refusal(self) -> str:
        assert self.exit, self.out
        return str(json.loads(self.err)["message"])


@dataclass
class Person:
    """A user with a separate home directory and the loopback hub."""

    hub: LoopbackHub
    home: Path

    @property
    def cache(self) -> Path:
        return self.home / "cache/coldvoxd/models"

    @property
    def directory(self) -> Path:
        return self.cache / MODEL

    @property
    def part(self) -> Path:
        """The partially downloaded encoder."""
        return next(iter(self.cache.glob(f".{MODEL}-*.partial/{ENCODER}.part")), self.cache / "none")

    def begin(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "coldvoxd.cli.main", "--json", "model", *arguments],
            cwd=ROOT,
            env=self.hub.environment(self.home) | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ctl(self, *arguments: str, **environment: str) -> Result:
        with self.begin(*arguments, **environment) as process:
            out, err = process.communicate(timeout=120)
        return Result(process.returncode, out, err)

    def pull(self, *arguments: str, **environment: str) -> Result:
        return self.ctl("pull", *arguments, **environment)

    def assert_whole(self, names: tuple[str, ...] = FP32) -> None:
        """Check that the model is complete, byte for byte, and that no other files are left."""
        for name in names:
            assert (self.directory / name).read_bytes() == self.hub.files[name], name
        assert not list(self.cache.glob(".*.partial"))
        for precision in precisions(self.directory):
            model_files(MODEL, self.directory, precision)


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub() as hub:
        yield hub


@pytest.fixture
def person(hub: LoopbackHub, tmp_path: Path) -> Person:
    return Person(hub, tmp_path)


def test_a_pulled_model_is_there_byte_for_byte_and_fetched_once(person: Person) -> None:
    done = person.pull().done
    assert done == {
        "event": "done",
        "model": MODEL,
        "precision": "fp32",
        "path": str(person.directory),
        "fetched_bytes": person.hub.size(),
    }
    person.assert_whole()
    assert person.hub.sent_twice() == 0


def test_the_model_that_was_pulled_is_not_always_the_one_in_use(person: Person) -> None:
    settings = person.home / "config" / "coldvoxd" / "coldvoxd.toml"
    said = f"To use this one: `coldvoxctl config set model.name {MODEL}`."
    plain = [sys.executable, "-m", "coldvoxd.cli.main", "model", "pull", MODEL]

    def pull(*arguments: str) -> str:
        environment = person.hub.environment(person.home)
        del environment["COLDVOXD_MODEL_NAME"]
        return subprocess.run(
            [*plain, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        ).stderr

    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text('# mine\n[model]\nname = "mini"  # small\n')
    assert said in pull()
    assert settings.read_text() == '# mine\n[model]\nname = "mini"  # small\n'
    assert said not in pull("--use")
    assert settings.read_text() == f'# mine\n[model]\nname = "{MODEL}"  # small\n'
    assert "To use" not in pull()
    assert "`coldvoxctl config set model.precision int8`" in pull("--precision", "int8")


def test_the_end_of_a_pull_names_the_first_run_to_a_person(person: Person) -> None:
    """With the model's name unless the settings name it; nothing where no one reads it."""
    environment = person.hub.environment(person.home)
    plain = [sys.executable, "-m", "coldvoxd.cli.main", "model", "pull", MODEL]
    for name, offered in ((MODEL, "--first-run`"), ("mini", f"--first-run --model {MODEL}`")):
        terminal = Terminal()
        environment["COLDVOXD_MODEL_NAME"] = name
        subprocess.run(plain, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=terminal.its, check=True)
        assert f"`coldvoxctl doctor {offered} measures it" in terminal.written()
    assert "first-run" not in person.pull().err


def test_a_pulled_model_is_tried_on_the_cpu_once_and_what_it_heard_kept(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pins that the daemon, which may not write there, finds the reference text for judging a GPU."""
    assert person.pull().exit == 0
    monkeypatch.setenv("XDG_CACHE_HOME", str(person.home / "cache"))
    model = model_files(MODEL, person.directory, Precision.FP32)
    heard = recorded(model)
    assert heard
    assert words(heard) == ["hello", "anna", "send", "the", "message", "to", "peter"]
    before = verdict_path(model).stat().st_mtime_ns
    assert person.pull().exit == 0
    assert verdict_path(model).stat().st_mtime_ns == before


def test_nothing_else_is_asked_of_the_network_and_the_token_goes_to_the_hub_alone(person: Person) -> None:
    assert person.pull(HF_TOKEN="hf_not_a_real_one").exit == 0
    assert {request.file for request in person.hub.requests} == set(FP32)
    assert {request.method for request in person.hub.requests} == {"HEAD", "GET"}
    assert {(request.host, request.authorized) for request in person.hub.requests} == {
        (HOST, True),
        (CONTENT_HOST, False),
    }


def test_progress_goes_from_nothing_to_all(person: Person) -> None:
    events = [event for event in person.pull().objects if event["event"] == "progress"]
    assert events[0]["state"] == "starting"
    fractions = [event["fraction"] for event in events if event["state"] == "fetching"]
    assert fractions == sorted(fractions)
    assert events[-1]["bytes"] == events[-1]["total_bytes"] == person.hub.size()


def test_a_model_that_is_there_asks_no_network(person: Person) -> None:
    person.pull()
    asked = len(person.hub.requests)
    assert person.pull().done["fetched_bytes"] == 0
    assert person.pull(HF_ENDPOINT=unreachable_address()).done["fetched_bytes"] == 0
    assert len(person.hub.requests) == asked


def test_another_precision_joins_the_first_and_shares_its_files(person: Person) -> None:
    person.pull()
    added = person.pull("--precision", "int8").done["fetched_bytes"]
    assert added == person.hub.size(INT8) - person.hub.size(("config.json", "vocab.txt"))
    person.assert_whole((*FP32, *INT8))
    assert person.ctl("verify").done["checked"] == sorted({*FP32, *INT8})


def test_a_cut_costs_less_than_a_block_and_is_told(person: Person) -> None:
    person.hub.spoil(ENCODER, Cut(3_000_000), Cut(1_000_000))
    pulled = person.pull()
    assert pulled.exit == 0
    assert "the connection broke; resuming" in pulled.waited_for
    person.assert_whole()
    assert 0 <= person.hub.sent_twice() < 2 * BLOCK


def test_a_stall_is_given_up_and_taken_up_where_it_ended(person: Person) -> None:
    person.hub.spoil(ENCODER, Stall(2_000_000))
    assert person.pull().exit == 0
    person.assert_whole()
    assert 0 <= person.hub.sent_twice() < BLOCK


def test_a_kill_in_the_middle_costs_less_than_a_block(person: Person) -> None:
    person.hub.spoil(ENCODER, Stall(5_000_000))
    with person.begin("pull", HF_HUB_DOWNLOAD_TIMEOUT="60") as process:
        eventually_blocking(
            lambda: person.part.is_file() and person.part.stat().st_size >= 5_000_000 - BLOCK, what="half the encoder"
        )
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not person.directory.exists(), "complete, or absent"
    done = person.pull().done
    person.assert_whole()
    assert 0 <= person.hub.sent_twice() < BLOCK
    assert done["fetched_bytes"] < person.hub.size() - 4_000_000


def test_an_interrupt_keeps_what_came(person: Person) -> None:
    person.hub.spoil(ENCODER, Stall(5_000_000))
    with person.begin("pull", HF_HUB_DOWNLOAD_TIMEOUT="60") as process:
        eventually_blocking(lambda: person.part.is_file() and person.part.stat().st_size >= 5_000_000 - BLOCK)
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert process.returncode == 130
    assert person.pull().exit == 0
    assert person.hub.sent_twice() < BLOCK


def test_a_hub_that_ignores_ranges_still_gives_the_right_file(person: Person) -> None:
    person.hub.spoil(ENCODER, Cut(3_000_000), Whole())
    assert person.pull().exit == 0
    person.assert_whole()


def test_a_damaged_file_is_fetched_again(person: Person) -> None:
    person.hub.spoil(ENCODER, Corrupt())
    pulled = person.pull()
    assert pulled.exit == 0
    assert f"{ENCODER} was damaged in transit; downloading it again" in pulled.waited_for
    person.assert_whole()
    assert person.hub.sent_twice() == len(person.hub.files[ENCODER])


@pytest.mark.parametrize("file", [ENCODER, "vocab.txt"])
def test_a_file_that_keeps_arriving_damaged_is_refused(person: Person, file: str) -> None:
    person.hub.spoil(file, Corrupt(), Corrupt())
    pulled = person.pull()
    assert pulled.exit == 1
    assert f"{file} of" in pulled.refusal
    assert "was damaged in transit" in pulled.refusal
    assert not person.directory.exists()


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (Status(401), "hf auth login"),
        (Status(403, {"X-Error-Code": "GatedRepo"}), "its terms must be accepted"),
        (Status(404, {"X-Error-Code": "EntryNotFound"}), "update coldvoxd, or place the model's directory by hand"),
        (Status(404, {"X-Error-Code": "RevisionNotFound"}), "at revision 01234567"),
    ],
)
def test_a_refusal_is_told_at_once_with_what_to_do(person: Person, status: Status, told: str) -> None:
    person.hub.answer("*", *[status] * 3)
    pulled = person.pull()
    assert pulled.exit == 1
    assert told in pulled.refusal
    assert len(person.hub.requests) == 1, "asking again would change nothing"


def test_a_busy_hub_is_left_alone_for_as_long_as_it_asks(person: Person) -> None:
    person.hub.answer("*", Status(429, {"Retry-After": "3"}), Status(503))
    begun_s = time.monotonic()
    pulled = person.pull()
    assert time.monotonic() - begun_s >= 3
    person.assert_whole()
    busy, unavailable = pulled.waited_for[:2]
    assert "busy (HTTP 429); retrying in 3 s" in busy
    assert "busy (HTTP 503)" in unavailable
    assert person.hub.sent_twice() == 0


def test_a_hub_that_is_busy_in_the_middle_is_waited_for(person: Person) -> None:
    person.hub.spoil(ENCODER, Cut(3_000_000))
    person.hub.answer(f"GET {ENCODER}", Status(503), Status(429, {"Retry-After": "1"}))
    pulled = person.pull()
    assert [message.partition(";")[0].partition("(")[2] for message in pulled.waited_for[:2]] == [
        "HTTP 503)",
        "HTTP 429)",
    ]
    person.assert_whole()
    assert person.hub.sent_twice() < BLOCK


def test_a_hub_that_asks_for_too_much_patience_is_given_up_for_now(person: Person) -> None:
    person.hub.answer("*", Status(429, {"Retry-After": "7200"}))
    pulled = person.pull()
    assert pulled.exit == 8
    assert "asks to wait 7200 s" in pulled.refusal


def test_a_hub_out_of_reach_ends_with_try_again_later(person: Person) -> None:
    pulled = person.pull("--tries", "2", HF_ENDPOINT=unreachable_address())
    assert pulled.exit == 8
    assert "is unreachable" in pulled.refusal
    assert len(pulled.waited_for) == 1


def test_an_unfaithful_mirror_is_refused(person: Person) -> None:
    person.hub.revision = "f" * 40
    assert "is no faithful mirror" in person.pull().refusal


def test_a_hub_that_sends_less_than_it_announced_is_given_up(person: Person) -> None:
    page = b"<html>Welcome to our network</html>" * 20_000
    person.hub.spoil(ENCODER, *[Instead(page)] * 50)
    pulled = person.pull("--tries", "3")
    assert pulled.exit == 8
    assert "another length than it reported" in pulled.refusal
    assert "log in with a browser" in pulled.refusal
    assert len(pulled.waited_for) == 2
    person.hub.spoil(ENCODER)
    assert person.pull().exit == 0
    person.assert_whole()


def test_no_more_than_the_announced_size_is_stored(person: Person) -> None:
    content = person.hub.files[ENCODER]
    person.hub.spoil(ENCODER, *[Instead(b"other" + content)] * 50)
    pulled = person.pull()
    assert pulled.exit == 1
    assert "its hash is wrong" in pulled.refusal
    sizes = [event["bytes"] for event in pulled.objects if event.get("state") == "fetching"]
    assert max(sizes) <= person.hub.size()
    person.hub.spoil(ENCODER, Instead(content + b"more"))
    person.pull()
    person.assert_whole()


@pytest.mark.parametrize(
    "status", [Status(302, {"Location": "http://127.0.0.3:9/login"}), Status(511), Status(200)], ids=str
)
def test_a_captive_portal_is_named_and_tried_again(person: Person, status: Status) -> None:
    person.hub.answer("HEAD config.json", status)
    pulled = person.pull()
    person.assert_whole()
    [waited] = pulled.waited_for
    assert "captive portal" in waited
    assert "log in with a browser" in waited


def test_a_socks_proxy_is_used(person: Person) -> None:
    with SocksProxy() as proxy:
        person.pull(NO_PROXY="", ALL_PROXY=f"socks5h://{proxy.address}")
    person.assert_whole()
    assert len(proxy.connections) >= 2
    refused = person.pull("--precision", "int8", NO_PROXY="", ALL_PROXY="gopher://me:secret@127.0.0.1:70")
    assert refused.exit == 1
    assert "names a proxy that cannot be used" in refused.refusal
    assert "secret" not in refused.err


def test_a_socks_proxy_without_its_package_is_reported(person: Person, tmp_path: Path) -> None:
    (tmp_path / "site/socksio").mkdir(parents=True)
    (tmp_path / "site/socksio/__init__.py").write_text("raise ImportError('no socksio')\n")
    refused = person.pull(NO_PROXY="", ALL_PROXY="socks5://127.0.0.1:9", PYTHONPATH=str(tmp_path / "site"))
    assert refused.exit == 1
    assert "socksio, which is needed for that, is not installed" in refused.refusal


V2 = "parakeet-tdt-0.6b-v2"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (b"{}", r"config.json of istupakov/parakeet-tdt-0.6b-v2-onnx has 2 bytes .* it should have 97"),
        (b" " * 97, r"vocab.txt of istupakov/parakeet-tdt-0.6b-v2-onnx has \d+ bytes .* it should have 9384"),
    ],
)
def test_files_of_a_known_model_must_be_the_known_ones(person: Person, config: bytes, told: str) -> None:
    person.hub.repositories[PUBLISHED[V2].repository] = PUBLISHED[V2].revision
    person.hub.files["config.json"] = config
    assert re.search(told, person.pull(V2).refusal)
    assert not person.hub.sent


def test_content_of_the_right_size_and_another_hash_is_no_known_file(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(b"12")
    git = hashlib.sha1(b"blob 2\0" + b"12").hexdigest()
    sha256 = hashlib.sha256(b"12").hexdigest()
    for etag in (git, sha256):
        assert RemoteFile("config.json", 2, etag).fits(file)
        assert RemoteFile("config.json", 2, etag, sha256[:8]).fits(file)
        assert not RemoteFile("config.json", 2, etag, "666903c7").fits(file)
        assert not RemoteFile("config.json", 2, etag[::-1]).fits(file)
        assert not RemoteFile("config.json", 3, etag).fits(file)


def test_two_pulls_at_once_fetch_once(person: Person) -> None:
    person.hub.spoil(ENCODER, Stall(3_000_000))
    with person.begin("pull", HF_HUB_DOWNLOAD_TIMEOUT="60") as first:
        eventually_blocking(lambda: person.part.is_file() and person.part.stat().st_size > 2_000_000)
        with person.begin("pull") as second:
            assert second.stdout is not None
            told = iter(second.stdout.readline, "")
            assert any("another coldvoxctl is downloading this model" in line for line in told)
            person.hub.release()
            assert first.wait(60) == 0
            out, _ = second.communicate(timeout=60)
    assert second.returncode == 0
    assert json.loads(out.splitlines()[-1])["fetched_bytes"] == 0
    person.assert_whole()
    assert person.hub.sent_twice() < BLOCK


def test_the_progress_file_tells_how_it_ends(person: Person, tmp_path: Path) -> None:
    file = tmp_path / "progress.json"
    person.pull("--progress-file", str(file))
    done = read_progress(file)
    assert done is not None
    assert (done.model, done.precision, done.state, done.fraction) == (MODEL, "fp32", "done", 1.0)
    person.ctl("remove", MODEL)
    person.hub.answer("*", Status(401))
    refusal = person.pull("--progress-file", str(file)).refusal
    failed = read_progress(file)
    assert failed is not None
    assert (failed.state, failed.message) == ("failed", refusal)


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("needs root: a small file system is mounted")
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


def test_too_full_a_disk_is_told_before_anything_is_fetched(person: Person) -> None:
    with small_disk(person.home / "cache", 40):
        pulled = person.pull()
        assert pulled.exit == 1
        size = size_text(person.hub.size())
        assert f"The disk is too full: {size} are to be downloaded and 67.1 MB kept free" in pulled.refusal
    assert not person.hub.sent


def test_a_disk_that_fills_up_meanwhile_keeps_what_came(person: Person) -> None:
    with small_disk(person.home / "cache", 100):
        filler = person.home / "cache/filler"
        person.hub.spoil(ENCODER, Stall(3_000_000))
        with person.begin("pull", HF_HUB_DOWNLOAD_TIMEOUT="60") as process:
            eventually_blocking(lambda: person.part.is_file() and person.part.stat().st_size > 2_000_000)
            with filler.open("wb") as file:
                while True:
                    try:
                        file.write(bytes(1 << 20))
                        file.flush()
                    except OSError:
                        break
            person.hub.release()
            out, err = process.communicate(timeout=60)
        full = Result(process.returncode, out, err)
        assert full.exit == 1
        assert "The disk is full" in full.refusal
        filler.unlink()
        assert person.pull().exit == 0
        person.assert_whole()
        assert person.hub.sent_twice() <= len(person.hub.files[ENCODER])


def test_what_damage_does_to_a_fetched_model_is_found_and_mended(person: Person) -> None:
    person.pull()
    encoder = person.directory / ENCODER
    content = bytearray(encoder.read_bytes())
    content[4_000_000] ^= 1
    encoder.write_bytes(content)
    verified = person.ctl("verify")
    assert verified.exit == 1
    assert verified.objects[0]["problems"] == [f"{encoder} differs from the download: its sha256 is wrong"]
    mended = person.pull().done
    assert mended["fetched_bytes"] == len(content), "only this file"
    person.assert_whole()
    assert person.ctl("verify").exit == 0


def place_by_hand(person: Person, place: str) -> Path:
    directory = person.home / place / "coldvoxd/models" / MODEL
    directory.mkdir(parents=True)
    for name in FP32:
        shutil.copy(bundled_directory() / name, directory)
    return directory


@pytest.mark.parametrize(("place", "told"), [("cache", "cache"), ("data", "data"), ("share", "system")])
def test_a_model_placed_by_hand_works_offline(person: Person, place: str, told: str) -> None:
    directory = place_by_hand(person, place)
    offline = {"HF_ENDPOINT": unreachable_address()}
    assert person.pull(**offline).done["fetched_bytes"] == 0
    assert person.ctl("path", **offline).done == {"name": MODEL, "path": str(directory)}
    verified = person.ctl("verify", **offline).done
    assert (verified["hashes_known"], verified["problems"], verified["precisions"]) == (False, [], ["fp32"])
    listed = {model["name"]: model for model in person.ctl("list", **offline).objects}
    assert listed[MODEL] == {
        "name": MODEL,
        "path": str(directory),
        "precisions": ["fp32"],
        "bytes": sum(len(person.hub.files[name]) for name in FP32),
        "location": told,
        "selected": True,
        "prepared": [],
    }
    assert listed["mini"]["location"] == "bundled"
    assert listed["parakeet-tdt-0.6b-v3"]["path"] is None


def test_a_structural_fault_is_found_without_hashes(person: Person) -> None:
    encoder = place_by_hand(person, "data") / ENCODER
    encoder.write_bytes(encoder.read_bytes()[:1_000_000])
    verified = person.ctl("verify")
    assert verified.exit == 1
    assert "is truncated" in verified.objects[0]["problems"][0]


def test_the_model_in_use_is_marked_if_the_settings_name_its_directory(person: Person, tmp_path: Path) -> None:
    listed = place_by_hand(person, "data")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(listed, elsewhere)
    for directory in (listed, elsewhere):
        found = person.ctl("list", COLDVOXD_MODEL_NAME=str(directory)).objects
        assert [model["path"] for model in found if model["selected"]] == [str(directory)]


def broken(directory: Path, fault: str) -> None:
    """Break a copy of the model so that loading refuses it, although no file is truncated."""
    match fault:
        case "configuration":
            (directory / "config.json").write_text("{")
        case "kind":
            (directory / "config.json").write_text('{"model_type": "nemo-conformer-ctc"}')
        case "swapped":
            encoder, decoder = directory / "encoder-model.onnx", directory / "decoder_joint-model.onnx"
            kept = encoder.read_bytes()
            encoder.write_bytes(decoder.read_bytes())
            decoder.write_bytes(kept)
        case "vocabulary":
            (directory / "vocab.txt").write_text("")


@pytest.mark.parametrize("fault", ["configuration", "kind", "swapped", "vocabulary"])
def test_a_model_that_loading_refuses_is_not_verified_and_not_recorded(person: Person, fault: str) -> None:
    directory = place_by_hand(person, "data")
    broken(directory, fault)
    for _ in range(2):
        verified = person.ctl("verify", str(directory))
        assert verified.exit == 1
        assert str(directory) in verified.objects[0]["problems"][0]
        assert verified.objects[0]["hashes_known"] is False


@pytest.mark.parametrize(("file", "kind"), [("model.bin", "CTranslate2"), ("model.safetensors", "PyTorch")])
def test_a_model_of_another_kind_is_named(person: Person, tmp_path: Path, file: str, kind: str) -> None:
    (tmp_path / file).write_bytes(b"weights")
    verified = person.ctl("verify", str(tmp_path))
    assert verified.exit == 1
    assert kind in verified.objects[0]["problems"][0]
    command = [sys.executable, "-m", "coldvoxd.cli.main", "model", "verify", str(tmp_path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert "coldvoxd runs offline ONNX exports of Parakeet" in printed
    assert "model pull" not in printed


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_damage_of_a_model_placed_by_hand_is_found_by_the_hashes_of_the_first_check(person: Person) -> None:
    encoder = place_by_hand(person, "share") / ENCODER
    first = person.ctl("verify").done
    assert (first["hashes_known"], first["checked"]) == (False, [])
    again = person.ctl("verify").done
    assert (again["hashes_known"], sorted(again["checked"])) == (True, sorted(FP32))
    flip(encoder)
    damaged = person.ctl("verify")
    assert damaged.exit == 1
    [problem] = damaged.objects[0]["problems"]
    assert problem.startswith(f"{encoder} differs from what was recorded of it (if you replaced it, remove ")
    assert not (encoder.parent / "coldvoxd-model.json").exists()
    Path(problem.partition("remove ")[2].partition(")")[0]).unlink()
    assert person.ctl("verify").exit == 0


def test_damage_of_the_bundled_model_is_found(person: Person, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "coldvoxd", tmp_path / "package/coldvoxd", ignore=shutil.ignore_patterns("__pycache__"))

    def verify() -> Result:
        command = [sys.executable, "-m", "coldvoxd.cli.main", "--json", "model", "verify", "mini"]
        environment = person.hub.environment(person.home)
        done = subprocess.run(
            command, cwd=tmp_path / "package", env=environment, capture_output=True, text=True, check=False
        )
        return Result(done.returncode, done.stdout, done.stderr)

    whole = verify().done
    assert whole["hashes_known"]
    assert set(whole["checked"]) == {*FP32, *INT8}
    encoder = tmp_path / "package/coldvoxd/data/mini" / ENCODER
    assert whole["path"] == str(encoder.parent)
    flip(encoder)
    damaged = verify()
    assert damaged.exit == 1
    assert damaged.objects[0]["problems"] == [f"{encoder} differs from the installed package: its sha256 is wrong"]


@pytest.mark.parametrize("action", ["remove", "verify", "path", "pull", "prepare"])
def test_an_empty_name_is_refused_and_touches_nothing(person: Person, action: str) -> None:
    place_by_hand(person, "cache")
    assert person.ctl(action, "").exit == 2
    assert (person.directory / ENCODER).is_file()


def test_a_name_is_no_pattern(person: Person) -> None:
    unfinished = person.cache / f".{MODEL}-0123456789ab.partial"
    unfinished.mkdir(parents=True)
    assert person.ctl("remove", "*").exit != 0
    assert unfinished.is_dir()


def test_only_what_was_fetched_is_removed(person: Person) -> None:
    person.pull()
    removed = person.ctl("remove", MODEL).done
    assert removed["removed"] == MODEL
    assert removed["bytes"] >= person.hub.size()
    assert not person.directory.exists()
    assert person.ctl("path").exit == 4
    by_hand = place_by_hand(person, "share")
    refused = person.ctl("remove", MODEL)
    assert refused.exit == 2
    assert "delete it yourself" in refused.refusal
    assert by_hand.is_dir()


def test_removing_takes_an_unfinished_fetch_too(person: Person) -> None:
    person.hub.spoil(ENCODER, Corrupt(), Corrupt())
    person.pull()
    assert list(person.cache.glob(".*.partial"))
    assert person.ctl("remove", MODEL).exit == 0
    assert not list(person.cache.glob(".*.partial"))


def test_a_model_that_is_being_fetched_is_not_removed_under_it(person: Person) -> None:
    person.hub.spoil(ENCODER, Stall(3_000_000))
    with person.begin("pull", HF_HUB_DOWNLOAD_TIMEOUT="60") as process:
        eventually_blocking(lambda: person.part.is_file() and person.part.stat().st_size > 2_000_000)
        assert "is being downloaded: stop that first" in person.ctl("remove", MODEL).refusal
        person.hub.release()
        process.communicate(timeout=60)
    person.assert_whole()


@pytest.mark.parametrize("name", ["mini", "../models", ".hidden", "/tmp"])
def test_what_isnt_ours_to_remove_is_refused(person: Person, name: str) -> None:
    assert person.ctl("remove", name).exit == 2
    assert (bundled_directory() / ENCODER).is_file()


def test_a_name_that_nobody_publishes_is_told_with_those_that_are(person: Person) -> None:
    pulled = person.pull("parakeet-9")
    assert pulled.exit == 1
    assert "There is no published model 'parakeet-9'; there are `parakeet-tdt-0.6b-v2`, " in pulled.refusal


def test_without_the_client_the_command_that_installs_it_is_told(person: Person, tmp_path: Path) -> None:
    blocked = tmp_path / "without"
    blocked.mkdir()
    (blocked / "huggingface_hub.py").write_text("raise ImportError('not here')")
    pulled = person.pull(PYTHONPATH=str(blocked))
    assert pulled.exit == 1
    assert "pipx inject coldvoxd" in pulled.refusal


def test_a_pulled_model_is_what_the_recognizer_takes(person: Person) -> None:
    person.pull("--precision", "int8")
    assert model_files(MODEL, person.directory, Precision.INT8).encoder.is_file()
    assert person.ctl("list").objects[0]["precisions"] == ["int8"]


def test_a_model_is_prepared_and_the_list_tells_what_that_takes(person: Person) -> None:
    shutil.copytree(bundled_directory(), person.directory)
    done = person.ctl("prepare", MODEL, "--precision", "int8").done
    assert (done["model"], done["precision"]) == (MODEL, "int8")
    form = Path(done["path"])
    assert form.is_relative_to(person.home / "cache/coldvoxd/prepared")
    listed = {model["name"]: model for model in person.ctl("list").objects}
    (told,) = listed[MODEL]["prepared"]
    assert told == {"precision": "int8", "provider": "cpu", "bytes": told["bytes"], "up_to_date": True}
    assert told["bytes"] == done["bytes"] == sum(path.stat().st_size for path in form.iterdir())
    assert listed["mini"]["prepared"] == []
    records = [json.loads(record.read_text()) for record in (person.home / "cache/coldvoxd/golden").iterdir()]
    assert {record["precision"] for record in records} == {"fp32", "int8"}, "the reference for a GPU is recorded too"
    person.ctl("remove", MODEL)
    assert not form.exists()


def test_a_precision_made_of_the_bundled_model_is_listed_beside_it_and_removed_alone(person: Person) -> None:
    made = person.ctl("prepare", "mini", "--precision", "fp16").done
    assert made["path"] == str(person.cache / "mini")
    assert [path.name for path in person.cache.iterdir() if path.is_dir()] == ["mini"]
    listed = [model for model in person.ctl("list").objects if model["name"] == "mini"]
    assert [(model["location"], model["precisions"]) for model in listed] == [
        ("cache", ["fp16"]),
        ("bundled", ["fp32", "int8"]),
    ]
    assert person.ctl("path", "mini").done["path"] == str(bundled_directory())
    assert person.ctl("verify", "mini").done["precisions"] == ["fp32", "int8"]
    assert person.ctl("remove", "mini").done["removed"] == "mini"
    assert not (person.cache / "mini").exists()
    assert "is part of coldvoxd" in person.ctl("remove", "mini").refusal


def test_what_prepared_forms_take_is_limited_by_a_setting(person: Person) -> None:
    shutil.copytree(bundled_directory(), person.directory)
    refused = person.ctl("prepare", MODEL, COLDVOXD_MODEL_PREPARED_GB="0.001")
    assert "raise `prepared_gb` under [model]" in refused.refusal
