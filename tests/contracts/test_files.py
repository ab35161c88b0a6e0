"""Files that users write or that outlive an upgrade: the current code reads those of every release."""

import dataclasses
import json
import tomllib
from pathlib import Path

from coldvoxd import settings_file
from coldvoxd.core.spool_format import _Kind, _records, read
from coldvoxd.core.values import Precision
from coldvoxd.golden import verdict_cache
from coldvoxd.models import manifest, precision_store, prepared_store
from coldvoxd.models.catalog import known_models
from coldvoxd.models.directories import find_model
from coldvoxd.typist import settings as typing_settings
from tests.contracts.conftest import Frozen
from tests.support.environment import environment
from tests.support.sound.speech import mini


def test_every_setting_of_the_file_is_loaded(frozen: Frozen) -> None:
    loaded = dataclasses.asdict(settings_file.load(frozen.directory / "coldvoxd.toml", environment={}))
    written = tomllib.loads(frozen.text("coldvoxd.toml"))
    assert {section: {key: loaded[section][key] for key in keys} for section, keys in written.items()} == written
    assert {f"{section}.{key}" for section, keys in written.items() for key in keys} == {*frozen.table("settings.json")}


def test_every_setting_is_loaded_from_its_environment_variable(frozen: Frozen) -> None:
    written = tomllib.loads(frozen.text("coldvoxd.toml"))
    known = frozen.table("settings.json")
    variables = {
        known[f"{section}.{key}"]["variable"]: str(value)
        for section, keys in written.items()
        for key, value in keys.items()
    }
    from_file = settings_file.load(frozen.directory / "coldvoxd.toml", environment={})
    assert settings_file.load(Path("/dev/null"), environment=variables) == from_file


def test_every_setting_of_coldvox_type_is_loaded(frozen: Frozen) -> None:
    loaded = typing_settings.load(frozen.directory / "type.toml")
    written = tomllib.loads(frozen.text("type.toml"))
    [(application, rule)] = written.pop("applications").items()
    for found, wanted in ((loaded.rule, written), (loaded.rule_for(application), rule)):
        assert {key: getattr(found, key) for key in wanted} == wanted


def test_a_list_of_models_is_read(frozen: Frozen, tmp_path: Path) -> None:
    (tmp_path / "coldvoxd").mkdir()
    (tmp_path / "coldvoxd/models.toml").write_text(frozen.text("models.toml"))
    with environment({"XDG_CONFIG_HOME": str(tmp_path)}):
        models = known_models()
    for name, written in tomllib.loads(frozen.text("models.toml")).items():
        model = models[name]
        assert (model.repository, model.revision) == (written["repository"], written["revision"])
        assert sorted(map(str, model.files)) == sorted(written["precisions"])
        names = {file.name for file in model.files[Precision.FP32]}
        assert ("encoder-model.onnx.data" in names) == written["external_data"]


def test_the_manifest_of_a_fetched_model_is_read(frozen: Frozen, tmp_path: Path) -> None:
    written = _copied(frozen, "coldvoxd-model.json", tmp_path)
    found = manifest.read_manifest(tmp_path)
    assert found is not None
    assert json.loads(json.dumps(dataclasses.asdict(found))) == written


def test_the_record_of_a_converted_model_is_read(frozen: Frozen, tmp_path: Path) -> None:
    written = _copied(frozen, "coldvoxd-int8.json", tmp_path)
    found = precision_store.read_provenance(tmp_path, Precision.INT8)
    assert found is not None
    assert [dataclasses.asdict(source) for source in found] == written["sources"]


def test_the_manifest_of_a_prepared_model_is_read(frozen: Frozen, tmp_path: Path) -> None:
    """The fingerprints are those of other files: a form is bound to the processor that it was made for."""
    record = frozen.table("form.json")
    with environment({"XDG_CACHE_HOME": str(tmp_path)}):
        files = find_model(str(mini()), Precision.FP32)
        directory = prepared_store.form_path(files)
        directory.mkdir(parents=True)
        for name in record["files"]:
            (directory / name).write_text(name)
            record["files"][name] = prepared_store.fingerprint(directory / name)
        (directory / "form.json").write_text(json.dumps(record | {"directory": str(mini())}))
        form = prepared_store.find_form(files)
        assert form is not None
        found = {
            key: getattr(form, key) for key in ("encoder", "weights", "decoder", "threads", "decoder_threads", "masks")
        }
        found |= {key: [path.name for path in found[key]] for key in ("encoder", "decoder")} | {
            "weights": form.weights.name
        }
        assert found == {key: record[key] for key in found}
        [stored] = prepared_store.stored_forms()
        assert (stored.model, stored.precision, stored.provider) == (
            record["model"],
            record["precision"],
            record["provider"],
        )
        assert stored.fits


def test_the_record_of_the_golden_clip_is_read(frozen: Frozen, tmp_path: Path) -> None:
    with environment({"XDG_CACHE_HOME": str(tmp_path)}):
        files = find_model(str(mini()), Precision.FP32)
        record = verdict_cache.verdict_path(files)
        record.parent.mkdir(parents=True)
        record.write_text(frozen.text("golden.json"))
        assert verdict_cache.recorded(files) == frozen.table("golden.json")["text"] != ""


def test_the_spool_holds_an_utterance_that_waits_for_its_text_and_one_that_is_being_spoken(frozen: Frozen) -> None:
    """Without both, recovering this spool would prove little."""
    contents = [path.read_bytes() for path in sorted((frozen.directory / "spool").iterdir())]
    kinds = [{kind for kind, _, _ in _records(content)} for content in contents]
    waiting, spoken = (read(content) for content in contents)
    assert kinds[0] >= {_Kind.HEAD, _Kind.HEARD, _Kind.CUT, _Kind.ATTEMPT}
    assert (len(waiting.cuts), len(waiting.unnumbered())) == (1, 0)
    assert (len(spoken.cuts), len(spoken.unnumbered())) == (0, 1)


def _copied(frozen: Frozen, name: str, directory: Path) -> dict[str, object]:
    (directory / name).write_text(frozen.text(name), "utf-8")
    found = frozen.table(name)
    assert isinstance(found, dict)
    return found
