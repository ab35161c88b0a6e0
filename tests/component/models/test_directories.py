"""Model directories are found as configured, and a problem with one is reported with its remedy."""

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from coldvoxd.core.decoding_options import DecodingOptions
from coldvoxd.core.errors import ModelInvalid, ModelMissing, SettingsError
from coldvoxd.core.languages import EUROPEAN
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import Precision
from coldvoxd.models import find_model, list_models
from coldvoxd.models.catalog import known_models, max_utterance_s
from coldvoxd.models.decoding_options import BUNDLED_TEMPERATURE, decoding_options_of
from coldvoxd.models.directories import bundled_directory
from coldvoxd.models.published_models import PUBLISHED, pull_command
from coldvoxd.onnx_graph.external_data import check_whole, external_files
from tests.support.environment import environment
from tests.support.models.tiny_graphs import write_tiny_parakeet

V2 = "parakeet-tdt-0.6b-v2"


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    """An empty home directory, and two system data directories."""
    directories = {
        "HOME": tmp_path,
        "XDG_CACHE_HOME": tmp_path / "cache",
        "XDG_DATA_HOME": tmp_path / "data",
        "XDG_DATA_DIRS": f"{tmp_path / 'local'}:{tmp_path / 'share'}",
    }
    with environment({name: str(value) for name, value in directories.items()}):
        yield tmp_path


@pytest.mark.parametrize("root", ["cache", "data", "local", "share"])
@pytest.mark.parametrize("suffix", ["", "-onnx"])
def test_a_model_is_found_by_name_wherever_it_may_be(home: Path, root: str, suffix: str) -> None:
    directory = write_tiny_parakeet(home / root / "coldvoxd/models" / f"{V2}{suffix}")
    files = find_model(V2, Precision.FP32)
    assert (files.name, files.directory, files.encoder) == (V2, directory, directory / "encoder-model.onnx")


def test_the_cache_goes_before_the_systems_directories(home: Path) -> None:
    for root in ("share", "data", "cache"):
        expected = write_tiny_parakeet(home / root / "coldvoxd/models" / V2)
    assert find_model(V2, Precision.FP32).directory == expected


def test_a_directory_without_the_precision_hides_none_that_has_it(home: Path) -> None:
    (write_tiny_parakeet(home / "cache/coldvoxd/models" / V2) / "encoder-model.onnx").unlink()
    with pytest.raises(ModelInvalid, match="lacks encoder-model"):
        find_model(V2, Precision.FP32)
    whole = write_tiny_parakeet(home / "share/coldvoxd/models" / V2)
    assert find_model(V2, Precision.FP32).directory == whole


@pytest.mark.parametrize("spelling", ["{home}/model", "~/model", "{home}/../{name}/model"])
def test_a_model_is_found_by_path(home: Path, spelling: str) -> None:
    write_tiny_parakeet(home / "model")
    files = find_model(spelling.format(home=home, name=home.name), Precision.FP32)
    assert files.name == "model"
    assert files.encoder.samefile(home / "model/encoder-model.onnx")


def test_the_bundled_model_is_found_by_its_name_alone() -> None:
    assert find_model("mini", Precision.INT8).directory == bundled_directory()
    with pytest.raises(ModelMissing):
        find_model(V2, Precision.FP32)


def test_a_model_of_ones_own_may_take_the_bundled_ones_name(home: Path) -> None:
    directory = write_tiny_parakeet(home / "cache/coldvoxd/models/mini")
    assert find_model("mini", Precision.FP32).directory == directory


def test_a_config_is_optional(home: Path) -> None:
    (write_tiny_parakeet(home / "model") / "config.json").unlink()
    assert find_model(str(home / "model"), Precision.FP32).config is None


@pytest.mark.parametrize(
    ("precision", "message"),
    [
        (Precision.FP32, f"There is no model '{V2}'. Download it (2.5 GB): `coldvoxctl model pull {V2}`."),
        (
            Precision.INT8,
            f"There is no model '{V2}'. Download it (661.2 MB): `coldvoxctl model pull {V2} --precision int8`.",
        ),
        (
            Precision.FP16,
            f"There is no model '{V2}'. Convert fp32 on this machine: `coldvoxctl model prepare {V2} --precision fp16`.",
        ),
    ],
)
def test_a_missing_model_is_reported_in_two_sentences_with_the_command(precision: Precision, message: str) -> None:
    with pytest.raises(ModelMissing) as missing:
        find_model(V2, precision)
    assert str(missing.value) == message


def test_an_unknown_model_is_reported_with_the_published_ones() -> None:
    with pytest.raises(ModelMissing) as missing:
        find_model("parakeet-9", Precision.FP32)
    assert str(missing.value) == (
        f"There is no model 'parakeet-9'. Published models are `{V2}`, `parakeet-tdt-0.6b-v3`, `{V2}-sherpa`, "
        "`parakeet-tdt-0.6b-v3-sherpa`; `mini` is bundled for testing."
    )


AS_IN_ONNX_ASR = {
    "tokens.txt": "vocab.txt",
    "encoder.int8.onnx": "encoder-model.onnx",
    "decoder.int8.onnx": "decoder_joint-model.onnx",
    "joiner.int8.onnx": "decoder_joint-model.onnx",
}


def test_what_is_published_makes_a_whole_model(home: Path) -> None:
    for name, model in PUBLISHED.items():
        tiny = write_tiny_parakeet(home / name)
        for precision, files in model.files.items():
            fetched = home / f"{name}-{precision}"
            fetched.mkdir()
            for file in files:
                source = tiny / AS_IN_ONNX_ASR.get(file.name, file.name.replace(".int8", ""))
                (fetched / file.name).write_bytes(source.read_bytes() if source.exists() else b"weights")
            found = find_model(str(fetched), precision)
            assert {path.name for path in (*found.graphs, found.vocabulary)} <= {file.name for file in files}
            assert files[-1].name == found.encoder.name, "examined last, so that no partial model is seen"
            assert model.size(precision) > 600_000_000


def test_the_command_names_a_precision_where_it_isnt_the_usual_one() -> None:
    assert pull_command(V2, Precision.FP32) == f"coldvoxctl model pull {V2}"
    assert pull_command(V2, Precision.INT8) == f"coldvoxctl model pull {V2} --precision int8"


OWN = """
[ours]
repository = "us/ours-onnx"
revision = "0123456789abcdef0123456789abcdef01234567"
external_data = true
precisions = ["fp32", "int8"]
"""


BY_FILES = """
[ours]
repository = "us/ours-onnx"
revision = "0123456789abcdef0123456789abcdef01234567"
"""
FILES = '["encoder.int8.onnx", "tokens.txt", "decoder.onnx", "joiner.int8.onnx"]'


def test_models_of_ones_own_can_be_listed(home: Path) -> None:
    path = home / "config/coldvoxd/models.toml"
    path.parent.mkdir(parents=True)
    path.write_text(OWN)
    with environment({"XDG_CONFIG_HOME": str(home / "config")}):
        ours = known_models()["ours"]
        assert ours.repository == "us/ours-onnx"
        assert [file.name for file in ours.files[Precision.FP32]][-2:] == [
            "encoder-model.onnx.data",
            "encoder-model.onnx",
        ]
        assert "encoder-model.int8.onnx.data" not in [file.name for file in ours.files[Precision.INT8]]
        with pytest.raises(ModelMissing, match="coldvoxctl model pull ours"):
            find_model("ours", Precision.FP32)


@pytest.mark.parametrize("external_data", ["false", "true", '["int8", "fp32"]'])
def test_the_weights_of_any_precision_can_be_listed(home: Path, external_data: str) -> None:
    path = home / "config/coldvoxd/models.toml"
    path.parent.mkdir(parents=True)
    path.write_text(OWN.replace("external_data = true", f"external_data = {external_data}"))
    with environment({"XDG_CONFIG_HOME": str(home / "config")}):
        files = known_models()["ours"].files
    has = [precision for precision, names in files.items() if any(file.name.endswith(".data") for file in names)]
    assert has == {"false": [], "true": [Precision.FP32]}.get(external_data, [Precision.FP32, Precision.INT8])


def test_the_files_of_any_layout_can_be_listed(home: Path) -> None:
    path = home / "config/coldvoxd/models.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f"{BY_FILES}files = {{ int8 = {FILES} }}\n")
    with environment({"XDG_CONFIG_HOME": str(home / "config")}):
        ours = known_models()["ours"]
        assert [file.name for file in ours.files[Precision.INT8]] == [
            "tokens.txt",
            "decoder.onnx",
            "joiner.int8.onnx",
            "encoder.int8.onnx",
        ]
        assert ours.usual_precision is Precision.INT8
        with pytest.raises(ModelMissing, match="coldvoxctl model pull ours --precision int8"):
            find_model("ours", Precision.INT8)


def test_a_listed_model_cant_take_the_name_of_a_known_one(home: Path) -> None:
    path = home / "config/coldvoxd/models.toml"
    path.parent.mkdir(parents=True)
    path.write_text(OWN.replace("[ours]", f'["{V2}"]'))
    with environment({"XDG_CONFIG_HOME": str(home / "config")}):
        assert known_models()[V2] == PUBLISHED[V2]


def test_the_longest_utterance_depends_on_the_models_precision(home: Path) -> None:
    path = home / "config/coldvoxd/models.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f"{OWN}max_utterance_s = {{ int8 = 12.5 }}\n")
    with environment({"XDG_CONFIG_HOME": str(home / "config")}):
        assert max_utterance_s("ours", Precision.INT8) == 12.5
        assert max_utterance_s("ours", Precision.FP32) == math.inf
        assert max_utterance_s(V2, Precision.INT8) == 15
        assert max_utterance_s(V2, Precision.FP32) == max_utterance_s("mini", Precision.INT8) == math.inf
        path.write_text("[ours")
        assert max_utterance_s("ours", Precision.INT8) == math.inf


def test_the_temperature_is_that_of_the_settings_otherwise_of_the_model(home: Path) -> None:
    path = home / "config/coldvoxd/models.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f"{OWN}temperature = 1.5\n")
    with environment({"XDG_CONFIG_HOME": str(home / "config")}):
        assert decoding_options_of(ModelSettings(name="ours", beam_size=4)) == DecodingOptions(4, 1.5)
        assert decoding_options_of(ModelSettings(name="ours", temperature=0.5)) == DecodingOptions(1, 0.5)
        assert decoding_options_of(ModelSettings(name=V2)) == DecodingOptions(1, 1.0)
        assert decoding_options_of(ModelSettings(name="mini")) == DecodingOptions(1, BUNDLED_TEMPERATURE)
        assert decoding_options_of(ModelSettings(name="/a/directory")) == DecodingOptions(1, 1.0)
        path.write_text("[ours")
        assert decoding_options_of(ModelSettings(name="ours")) == DecodingOptions(1, 1.0)


def test_a_model_has_the_languages_that_are_known_or_listed(home: Path) -> None:
    path = home / "config/coldvoxd/models.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f'{OWN}languages = ["en", "de", "en"]\n')
    assert find_model("mini", Precision.FP32).languages == ("en",)
    assert (PUBLISHED[V2].languages, PUBLISHED["parakeet-tdt-0.6b-v3"].languages) == (("en",), EUROPEAN)
    named = {"ours": ("de", "en"), "another": None, "parakeet-tdt-0.6b-v3-onnx": EUROPEAN}
    with environment({"XDG_CONFIG_HOME": str(home / "config")}):
        for name, languages in named.items():
            shutil.copytree(bundled_directory(), home / "models" / name)
            assert find_model(str(home / "models" / name), Precision.FP32).languages == languages
        path.write_text(OWN)
        assert known_models()["ours"].languages is None
        path.write_text("[ours")
        assert find_model(str(home / "models/ours"), Precision.FP32).languages is None


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        *(
            (f"{OWN}languages = {value}", "`languages` must list codes of two letters")
            for value in ('"de"', "[]", "[1]", '["german"]')
        ),
        ("[ours]\nrepository = 'us'", "`repository` must be a string such as `owner/name`"),
        (OWN.replace("0123456789abcdef0123456789abcdef01234567", "main"), "the 40 hex digits of a commit"),
        (OWN + "weights = 1", "there is no weights"),
        (OWN.replace("= true", "= 1"), "`external_data` must be true, false or a list of precisions"),
        (OWN.replace("= true", "= ['int4']"), "`external_data` must list some of fp32"),
        (OWN + f"files = {{ int8 = {FILES} }}", "`files` stands in place of `external_data`, `precisions`"),
        (BY_FILES + "files = ['vocab.txt']", "`files` must list names by precision"),
        (BY_FILES + "files = { int4 = ['vocab.txt'] }", "`files` must list some of fp32"),
        (BY_FILES + "files = { int8 = ['../vocab.txt'] }", "`files` must list names of files, without folders"),
        (BY_FILES + "files = { int8 = ['vocab.txt', 'encoder.onnx'] }", "`files` lists no whole model in int8"),
        (OWN + "max_utterance_s = 15", "`max_utterance_s` must give seconds by precision"),
        (OWN + "max_utterance_s = { int4 = 15 }", "`max_utterance_s` must give seconds by precision"),
        (OWN + "max_utterance_s = { int8 = 1 }", "`max_utterance_s` must have seconds from 3 to 120"),
        *(
            (f"{OWN}temperature = {value}", "`temperature` must be a number from 0.01 to 10")
            for value in ("0", "11", "true", "'1'")
        ),
        (OWN.replace('"int8"', '"int4"'), "`precisions` must list some of"),
        ("ours = 1", "write .ours. on a line of its own"),
        ("['../ours']", "a model's name has letters"),
        ("[ours", "is not TOML"),
        ("ours = " + "[" * 20_000, "cannot be used: it is nested more than 32 levels deep"),
    ],
)
def test_a_wrong_list_is_named_with_what_is_wrong(home: Path, wrong: str, told: str) -> None:
    path = home / "config/coldvoxd/models.toml"
    path.parent.mkdir(parents=True)
    path.write_text(wrong)
    with environment({"XDG_CONFIG_HOME": str(home / "config")}), pytest.raises(SettingsError, match=told) as fault:
        known_models()
    assert str(path) in str(fault.value)


def test_a_model_that_nobody_publishes_has_no_command() -> None:
    with pytest.raises(ModelMissing, match="Published models are `parakeet"):
        find_model("parakeet-9", Precision.FP32)


def test_a_path_without_a_directory_is_told(home: Path) -> None:
    with pytest.raises(ModelMissing, match=r"There is no model directory .*check the path"):
        find_model(str(home / "nowhere"), Precision.FP32)


@pytest.mark.parametrize("file", ["encoder-model.onnx", "decoder_joint-model.onnx", "vocab.txt"])
def test_a_missing_file_is_named(home: Path, file: str) -> None:
    (write_tiny_parakeet(home / "model") / file).unlink()
    with pytest.raises(ModelInvalid, match=f"lacks {file}"):
        find_model(str(home / "model"), Precision.FP32)


def test_a_missing_precision_is_told_with_those_there_are(home: Path) -> None:
    write_tiny_parakeet(home / "model")
    with pytest.raises(ModelInvalid, match=r"lacks encoder-model\.int8\.onnx.*it has precision fp32, set `precision`"):
        find_model(str(home / "model"), Precision.INT8)


@pytest.mark.parametrize("size", [0, 1, 100, 1000, 100_000, 1_500_000])
@pytest.mark.parametrize("file", ["encoder-model.onnx", "decoder_joint-model.onnx"])
def test_a_graph_that_is_cut_off_is_named(home: Path, file: str, size: int) -> None:
    shutil.copytree(bundled_directory(), home / "model")
    graph = home / "model" / file
    graph.write_bytes(graph.read_bytes()[:size])
    with pytest.raises(ModelInvalid, match=rf"{file} (is empty|is truncated|has no graph)"):
        find_model(str(home / "model"), Precision.FP32)


def test_a_file_that_is_no_graph_is_named(home: Path) -> None:
    (write_tiny_parakeet(home / "model") / "encoder-model.onnx").write_text("<html>404 Not Found</html>")
    with pytest.raises(ModelInvalid, match=r"encoder-model\.onnx (is|has).*not an ONNX file|is truncated"):
        find_model(str(home / "model"), Precision.FP32)


@pytest.fixture
def outside(home: Path) -> Path:
    """A model whose encoder keeps its weights in a separate file, like the published fp32 models."""
    directory = write_tiny_parakeet(home / "model")
    graph = onnx.load(directory / "encoder-model.onnx")
    weights = [numpy_helper.from_array(np.ones(1000, np.float32), f"weights{index}") for index in range(3)]
    graph.graph.initializer.extend(weights)
    onnx.save(graph, directory / "encoder-model.onnx", save_as_external_data=True, location="encoder-model.onnx.data")
    return directory


def test_weights_beside_the_graph_are_known_with_their_size(outside: Path) -> None:
    weights = outside / "encoder-model.onnx.data"
    assert external_files(outside / "encoder-model.onnx") == {weights.name: weights.stat().st_size}
    assert find_model(str(outside), Precision.FP32).directory == outside


def test_missing_weights_beside_the_graph_are_named(outside: Path) -> None:
    (outside / "encoder-model.onnx.data").unlink()
    with pytest.raises(ModelInvalid, match=r"encoder-model\.onnx\.data is missing, which holds the weights"):
        find_model(str(outside), Precision.FP32)


def test_weights_beside_the_graph_that_are_cut_off_are_named(outside: Path) -> None:
    weights = outside / "encoder-model.onnx.data"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelInvalid, match=r"encoder-model\.onnx\.data is truncated: \d+ of at least \d+ bytes"):
        find_model(str(outside), Precision.FP32)


def test_whole_graphs_of_any_kind_pass(home: Path) -> None:
    identity = helper.make_node("Identity", ["x"], ["y"])
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    onnx.save(helper.make_model(helper.make_graph([identity], "g", value[:1], value[1:])), home / "identity.onnx")
    for path in (home / "identity.onnx", *bundled_directory().glob("*.onnx")):
        check_whole(path)
        assert external_files(path) == {}


def test_models_are_listed_with_what_they_hold(home: Path) -> None:
    write_tiny_parakeet(home / "cache/coldvoxd/models" / f"{V2}-onnx")
    (home / "share/coldvoxd/models/half-fetched").mkdir(parents=True)
    (home / f"cache/coldvoxd/models/.{V2}-0bbb45a33658.partial").mkdir()
    listed = {model.name: model for model in list_models()}
    assert list(listed) == [V2, "half-fetched", "mini"]
    assert listed[V2].precisions == (Precision.FP32,)
    assert listed["half-fetched"].precisions == ()
    assert listed["mini"].directory == bundled_directory()


def test_a_model_is_listed_again_for_what_only_another_directory_of_its_name_holds(home: Path) -> None:
    """A precision may have been converted into the cache because the model's directory is read-only."""
    theirs = write_tiny_parakeet(home / "share/coldvoxd/models" / V2)
    made = home / "cache/coldvoxd/models" / V2
    shutil.copytree(theirs, made)
    for graph in made.glob("*.onnx"):
        graph.rename(graph.with_suffix(".int8.onnx"))
    shutil.copytree(theirs, home / "local/coldvoxd/models" / V2)
    (home / "data/coldvoxd/models/mini").mkdir(parents=True)
    assert [(model.name, model.directory, model.precisions) for model in list_models()] == [
        (V2, made, (Precision.INT8,)),
        ("mini", home / "data/coldvoxd/models/mini", ()),
        (V2, home / "local/coldvoxd/models" / V2, (Precision.FP32,)),
        ("mini", bundled_directory(), (Precision.FP32, Precision.INT8)),
    ]
    for precision in Precision.FP32, Precision.INT8:
        assert find_model("mini", precision).directory == bundled_directory()
    assert find_model(V2, Precision.INT8).directory == made
