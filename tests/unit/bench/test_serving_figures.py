"""What is computed from the windows of `make bench-serving`, and that its tables fit together."""

from pathlib import Path

import pytest

from bench.serving import __main__ as command
from bench.serving import loads, measure, models, peers, results, tables, targets
from serin_local import errors
from support import report

SIXTEEN = loads.SIXTEEN


def make_window(peer: str, dialect: str = "HTTP JSON", load: loads.Load = SIXTEEN, **figures: float) -> measure.Window:
    given = {"cpu": 100.0, "p50": 1.0, "p99": 2.0, "p999": 3.0, "per_second": 1000.0, "memory": 100.0} | figures
    return measure.Window(
        peer, dialect, "xgboost", load.name, requests=10, errors=0, error="", generator=0.1, waiting=0, **given
    )


def find(words: str) -> targets.Target:
    return next(target for target in targets.TARGETS if words in target.what)


@pytest.mark.parametrize(
    ("words", "windows", "measured", "met"),
    [
        pytest.param(
            "per HTTP request as a share of BentoML's",
            [make_window("Serin", cpu=50), make_window("BentoML", cpu=1000)],
            "1/20.0",
            True,
            id="a smaller share than asked is met",
        ),
        pytest.param(
            "per HTTP request as a share of BentoML's",
            [make_window("Serin", cpu=100), make_window("BentoML", cpu=1000)],
            "1/10.0",
            False,
            id="a larger share than asked is not met",
        ),
        pytest.param(
            "per HTTP request as a share of BentoML's",
            [make_window("Serin")],
            "not measured",
            None,
            id="without the peer there is no verdict",
        ),
        pytest.param(
            "HTTP p99 against the best peer's",
            [make_window("Serin", p99=2), make_window("FastAPI", p99=3), make_window("BentoML", p99=1)],
            "2.00 x",
            False,
            id="the tail is held against the best of the peers",
        ),
        pytest.param(
            "per HTTP request as a share of FastAPI's",
            [make_window("Serin", cpu=cpu) for cpu in (10, 20, 900)] + [make_window("FastAPI", cpu=100)],
            "1/5.0",
            True,
            id="one slow round does not count",
        ),
        pytest.param(
            "the control, open loop at half capacity",
            [make_window("control", load=loads.HALF, p99=4)],
            "4.00 ms",
            None,
            id="a figure to read others by has no verdict",
        ),
    ],
)
def test_a_target_is_computed_from_the_windows(
    words: str, windows: list[measure.Window], measured: str, met: bool | None
) -> None:
    figure = find(words).figure(results.Results(windows))
    assert (figure.measured, figure.met) == (measured, met)


def test_a_share_of_the_bare_call_is_the_median_of_all_turns() -> None:
    seen = results.Results(shares={"Serin, gRPC/xgboost": [0.5, 0.74, 0.72, 0.9, 0.71]})
    figure = find("1,024 rows by gRPC").figure(seen)
    assert (figure.measured, figure.met) == ("72 %", True)


CALM = [3.0, 5.0, 4.0, 7.0, 2.0, 4.0, 3.0, 6.0]


@pytest.mark.parametrize(
    ("latencies", "met"),
    [
        pytest.param([90.0, 50.0, 20.0, 9.0, *CALM], True, id="a rough beginning and noise are no growth"),
        pytest.param([*CALM[:4], 3.0, 80.0, 4.0, 3.0, 5.0, 90.0, 3.0, 4.0], True, id="nor are a few slow windows"),
        pytest.param([3.0] * 4 + [3.0, 3.4, 3.7, 4.2, 4.4, 4.9, 5.3, 5.6], False, id="a steady rise is growth"),
        pytest.param(CALM, None, id="a soak that is too short says nothing"),
    ],
)
def test_latency_has_grown_where_its_trend_is_certain(latencies: list[float], met: bool | None) -> None:
    seen = results.Results(soak=[make_window("Serin", p99=value) for value in latencies])
    assert find("rise of p99").figure(seen).met is met


@pytest.mark.parametrize(
    ("memory", "met"),
    [
        pytest.param([90, 120, 130, 130, 130, 130, 130, 130, 131], True, id="pools that fill at first are no leak"),
        pytest.param([100, 110, 120, 130, 140, 150, 160, 170, 180], False, id="a steady rise is one"),
        pytest.param([100, 110], None, id="a soak that is too short says nothing"),
    ],
)
def test_a_leak_is_growth_after_the_first_third(memory: list[float], met: bool | None) -> None:
    seen = results.Results(soak=[make_window("Serin", memory=size) for size in memory])
    assert find("growth of memory").figure(seen).met is met


def test_results_are_read_as_they_were_saved(tmp_path: Path) -> None:
    seen = results.Results([make_window("Serin")], ready={"Serin/xgboost": [1.5]}, soak=[make_window("Serin")])
    seen.save(tmp_path / "kept.json")
    assert results.load(tmp_path / "kept.json") == seen


def test_a_part_that_is_measured_again_replaces_its_own_figures_alone() -> None:
    seen = results.Results(
        [make_window("Serin"), make_window("Serin", load=loads.OVERLOAD)],
        ready={"Serin/xgboost": [1.5], "Serin/lightgbm": [1.0]},
        library={"xgboost": {}, "lightgbm": {}},
        soak=[make_window("Serin")],
        images={"xgboost: runtime, MB": 200.0},
        plans={"xgboost": "then", "stress": "then"},
    )

    seen.forget("xgboost")
    assert [window.load for window in seen.windows] == [loads.OVERLOAD.name]
    assert (seen.ready, seen.library, seen.plans) == ({"Serin/lightgbm": [1.0]}, {"lightgbm": {}}, {"stress": "then"})

    seen.forget("stress")
    assert (seen.windows, seen.soak, seen.images) == ([], [], {"xgboost: runtime, MB": 200.0})


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home and a page of its own."""
    monkeypatch.setattr(report, "PAGE", tmp_path / "benchmarks.md")
    monkeypatch.setenv("SERIN_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("words", [["--quick"], ["--peers=fastapi"]])
def test_a_trial_is_shown_and_neither_written_nor_read_as_the_measurement(
    home: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    whole, trial = home / "bench" / "serving.json", home / "bench" / "serving-trial.json"
    results.Results([make_window("Serin", memory=100)]).save(whole)
    results.Results([make_window("Serin", memory=200)]).save(trial)

    command.main(["--again", *words])
    assert "200 MB" in capsys.readouterr().out
    assert not report.PAGE.exists()

    command.main(["--again"])
    assert "| 100 MB |" in report.PAGE.read_text()


@pytest.mark.usefixtures("home")
def test_what_was_never_measured_cannot_be_shown_again() -> None:
    with pytest.raises(SystemExit, match=r"there is no .*serving-trial\.json"):
        command.main(["--again", "--quick"])


def test_what_was_measured_stays_until_it_is_measured_again(tmp_path: Path) -> None:
    seen, kept = results.Results([make_window("Serin")]), tmp_path / "kept.json"
    seen.save(kept)
    assert command.recall(kept, command.PARTS) == command.recall(kept, ["stress"]) == seen


def test_results_of_another_version_are_not_mixed_with_this_ones(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text('{"windows": [], "soak": [], "plan": "3 rounds"}')
    with pytest.raises(errors.ClusterError, match="another version's"):
        command.recall(kept, ["stress"])
    assert command.recall(kept, command.PARTS) == results.Results()


def test_what_batches_gain_is_the_median_of_all_turns() -> None:
    seen = results.Results(gains={"Serin, HTTP OIP binary/perceptron": [1.9, 2.4, 2.2, 1.1, 2.3]})
    figure = find("wide perceptron, 64 connections").figure(seen)
    assert (figure.measured, figure.met) == ("2.20 x", True)


def test_a_table_shows_how_many_times_as_much_a_peer_takes() -> None:
    seen = results.Results([make_window("Serin", cpu=50), make_window("MLServer", "HTTP OIP JSON", cpu=400)])
    main, _ = tables.of_model(models.KINDS[0], seen)
    assert [row[:4] for row in main.rows] == [
        ["Serin", "HTTP JSON", "50", "1.0 x"],
        ["MLServer", "HTTP OIP JSON", "400", "8.0 x"],
    ]


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.name)
def test_every_text_of_a_peer_can_be_filled_in(peer: peers.Peer, tmp_path: Path) -> None:
    for kind in models.KINDS:
        model = models.Model(kind, tmp_path, tmp_path)
        for text in (*peer.command, *peer.settings.values(), *peer.files.values()):
            filled = peers.fill(text, model, peers.Ports(1, 2, 3), tmp_path, tmp_path)
            assert "$" not in filled
