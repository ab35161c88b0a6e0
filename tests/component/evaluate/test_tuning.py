"""Settings are proposed by figures; the lines for the settings file can be loaded."""

from pathlib import Path

import pytest

from coldvoxd import settings_file
from coldvoxd.core.seams import SeamMethod, SeamRules
from coldvoxd.core.settings import EndpointSettings, Settings
from coldvoxd.evaluate import tuning_report
from coldvoxd.evaluate.bootstrap import Bootstrap, Unit
from coldvoxd.evaluate.engines import open_recognizer
from coldvoxd.evaluate.normalization import Normalization, normalizer
from coldvoxd.evaluate.scoring import Counts, scorer
from coldvoxd.evaluate.tuning import DITHERS_DB, HANGOVERS_MS, Row, Tuner, Tuning, marks_between, propose
from coldvoxd.evaluate.variants import changed
from coldvoxd.vad.silero import SileroDetector
from tests.support.sound.speech import samples

BOOTSTRAP = Bootstrap(Unit.UTTERANCES, 50)
NAMES = {"model": "mini", "precision": "fp32", "provider": "cpu", "normalization": "english"}


def row(errors: int, marks: int = 0, seam_s: float = 0.0) -> Row:
    """Return a row over 1,000 words, of which 5 are equal to none."""
    return Row((Counts(500, errors, 0, 0), Counts(500, 0, 0, 0)), marks, 4, 1.0, seam_s)


def tuning(
    hangovers: dict[int, Row] | None = None,
    seams: dict[SeamMethod, Row] | None = None,
    dithers: dict[int, Row] | None = None,
) -> Tuning:
    return Tuning(
        3,
        8,
        hangovers or {value: row(20) for value in HANGOVERS_MS},
        seams or {method: row(20) for method in SeamMethod},
        dithers or {level: row(20) for level in DITHERS_DB},
    )


def test_the_shortest_hangover_that_is_as_good_as_the_best() -> None:
    figures = {200: row(30, 9), 300: row(20, 7), 400: row(20, 5), 500: row(20, 1), 800: row(21)}
    assert propose(tuning(figures), "auto", SeamMethod.WINDOW).hangover_ms == 400
    figures[300] = row(20, 6)
    assert propose(tuning(figures), "auto", SeamMethod.WINDOW).hangover_ms == 300


@pytest.mark.parametrize(
    ("off", "window", "state", "setting", "chosen"),
    [
        (row(20, 90), row(20, 5, 2.0), row(20, 7, 0.1), "auto", "auto"),
        (row(20, 90), row(20, 5, 2.0), row(20, 7, 0.1), "state", "state"),
        (row(20, 90), row(20, 5, 2.0), row(20, 7, 0.1), "off", "state"),
        (row(20, 90), row(20, 5, 2.0), row(20, 30, 0.1), "off", "auto"),
        (row(20, 90), row(20, 50, 2.0), row(20, 7, 0.1), "auto", "state"),
        (row(20, 5), row(40, 5, 2.0), row(40, 7, 0.1), "auto", "off"),
    ],
)
def test_the_seams(off: Row, window: Row, state: Row, setting: str, chosen: str) -> None:
    figures = {SeamMethod.OFF: off, SeamMethod.WINDOW: window, SeamMethod.STATE: state}
    assert propose(tuning(seams=figures), setting, SeamMethod.WINDOW).seam == chosen


def test_dither_is_proposed_only_if_it_helps() -> None:
    assert propose(tuning(), "auto", SeamMethod.WINDOW).dither_db == 0
    helping = {0: row(20), -100: row(19), -90: row(10), -80: row(9)}
    assert propose(tuning(dithers=helping), "auto", SeamMethod.WINDOW).dither_db == -80


def test_marks_are_words_with_the_right_letters() -> None:
    assert marks_between("Open the file. And close it.", "Open the file and close it.") == 2
    assert marks_between("Open the file and close it.", "Open the file and close it.") == 0
    assert marks_between("Open a file", "Open the file") == 0


@pytest.mark.parametrize("helps", [True, False])
def test_the_lines_can_be_loaded_as_settings(tmp_path: Path, helps: bool) -> None:
    figures = tuning(
        {value: row(20 if value > 300 or not helps else 40) for value in HANGOVERS_MS},
        {method: row(20, 0 if method is SeamMethod.STATE or not helps else 50) for method in SeamMethod},
        {level: row(10 if level == -90 and helps else 20) for level in DITHERS_DB},
    )
    settings = changed(Settings(), {"endpoint.hangover_ms": "500" if helps else "200"})
    proposal = propose(figures, "auto", SeamMethod.WINDOW)
    found = tuning_report.document(figures, proposal, settings, SeamMethod.WINDOW, bootstrap=BOOTSTRAP, names=NAMES)
    file = tmp_path / "coldvoxd.toml"
    file.write_text(tuning_report.snippet(found))
    loaded = settings_file.load(file, {})
    if helps:
        assert (loaded.endpoint.hangover_ms, loaded.dictation.seam) == (400, "state")
        assert "# each text comes 100 ms earlier" in file.read_text()
        assert "# 500 ms: 20 errors, 0 marks in 1000 words" in file.read_text()
        assert "# dither: 10 errors with noise at -90 dBFS, 20 without." in file.read_text()
    else:
        assert loaded == Settings()
        assert "# hangover_ms = 200 (as now)" in file.read_text()
        assert '# seam = "auto" (as now)' in file.read_text()
        assert "# dither: none, as now" in file.read_text()


def test_all_values_are_measured_on_real_speech() -> None:
    recognizer = open_recognizer(changed(Settings(), {"model": "mini", "threads": "1"}).model)
    shown: list[tuple[str, float]] = []
    tuner = Tuner(
        recognizer,
        SileroDetector(),
        scorer(normalizer(Normalization.BASIC)),
        endpoint=EndpointSettings(hangover_ms=450),
        rules=SeamRules(SeamMethod.WINDOW),
        progress=lambda what, share: shown.append((what, share)),
    )
    spoken = [tuner.listen(sample.wave(), sample.said) for sample in samples()[6:12:5]]
    found = tuner.measure(spoken)
    recognizer.close()
    words = sum(len(sample.said.split()) for sample in samples()[6:12:5])
    assert (found.recordings, found.sessions) == (2, 4)
    assert list(found.hangovers) == [200, 300, 400, 450, 500, 800]
    assert set(found.seams) == set(SeamMethod)
    assert all(one.total.words == 4 * words for one in (*found.hangovers.values(), *found.seams.values()))
    assert found.hangovers[200].utterances > found.hangovers[800].utterances
    assert found.hangovers[450].counts == found.seams[SeamMethod.WINDOW].counts
    assert found.seams[SeamMethod.OFF].marks > found.seams[SeamMethod.WINDOW].marks
    assert found.dithers[0].total.errors == 0
    assert [share for _, share in shown] == sorted(share for _, share in shown)
