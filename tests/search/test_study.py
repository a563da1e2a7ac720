"""A whole study by one function call: what it leaves, what it answers, how it goes on."""

import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import optuna
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

import search
from mtl_core.errors import ConfigError
from search.cluster import joined
from search.costs import costs_of
from search.journal import read_events
from search.progress import live_progress
from search.run import app
from search.selection import select
from search.space import load_space
from search.study import Study, open_study

pytestmark = pytest.mark.cluster

SANITY = Path(__file__).resolve().parents[2] / "spaces" / "sanity.yaml"
ONE = "search.workers=1"  # each is two processes that import for seconds
TRIALS = [ONE, "search.trials=4"]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def study(out: Path) -> Iterator[Study]:
    with joined(None, load_space(SANITY).search):
        yield search.run_search(SANITY, out=out, overrides=TRIALS)


def test_the_folder_holds_the_question_the_journal_and_the_answer(study: Study) -> None:
    names = {path.name for path in study.folder.iterdir()}

    assert names >= {
        "space.yaml", "environment.json", "audit.json", "planted_truth.json", "journal.jsonl",
        "trials.parquet", "curves.parquet", "confirmed.parquet", "predictions.parquet",
        "optuna.db", "report.md", "report.html", "best",
    }  # fmt: skip
    assert {path.name for path in (study.folder / "best").iterdir()} == {
        "average", "worst_task", "alba_1", "bora_1", "alba_2",
    }  # fmt: skip
    assert study.report().startswith("# sanity: how should 3 tasks share one Transformer?")
    assert load_space(study.folder / "space.yaml").digest() == load_space(SANITY).digest()


def test_the_best_is_that_of_the_confirmed_runs(study: Study) -> None:
    runs = study.confirmed()
    dev = runs.groupby("trial")["dev"].mean()
    best = study.best()

    assert best.score == pytest.approx(dev.max())
    assert (best.trial, best.runs) == (dev.idxmax(), 2)
    mine = runs[(runs.trial == study.best("bora_1").trial) & (runs.task == "bora_1")]
    assert study.best("bora_1").score == pytest.approx(mine["dev"].mean())
    assert study.best("bora_1").config["encoder"]["n_layers"] == 2
    worst = study.best("worst_task")
    mine = runs[runs.trial == worst.trial].groupby("task")["dev"].mean()
    assert worst.score == pytest.approx(mine.min())
    with pytest.raises(ConfigError, match=r"'bora_2', did you mean 'bora_1'"):
        study.best("bora_2")


def test_only_confirmed_runs_were_tested_and_the_winners_are_exported(study: Study) -> None:
    assert count(study)["tested"] == 0
    assert count(study)["confirmed"] == len(study.record.confirmed) > 0
    for name in ("average", "worst_task", *study.record.tasks):
        about = json.loads((study.folder / "best" / name / "config.json").read_text())["about"]
        run = study.record.confirmation.runs[about["run"]]
        assert run.trial == study.best(None if name == "average" else name).trial
        assert (about["epoch"], about["test"]) == (run.epoch, run.found and run.found["scores"])


def test_the_tables_are_those_on_disk_one_row_per_trial_epoch_and_task(study: Study) -> None:
    trials, curves = study.trials(), study.curves()
    epochs = int(trials["epochs"].sum())

    assert len(trials) == 4
    assert len(curves) == 3 * epochs
    assert pq.read_table(study.folder / "trials.parquet").equals(study.trials_arrow())
    assert pq.read_table(study.folder / "curves.parquet").equals(study.curves_arrow())


def test_optuna_reads_its_view_and_nothing_is_left_running(study: Study) -> None:
    loaded = optuna.load_study(
        study_name="sanity", storage=f"sqlite:///{study.folder / 'optuna.db'}"
    )

    assert len(loaded.trials) == 4
    assert all(trial.state.is_finished() for trial in loaded.trials)


def test_the_best_model_answers_by_function_and_by_command(study: Study) -> None:
    (prediction,) = study.load("alba_1").predict("alba_1", ["some text"])

    result = CliRunner().invoke(
        app,
        ["predict", "--model", str(study.folder / "best/alba_1"), "--task", "alba_1"],
        input="some text\n\nanother\n",
    )

    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[0] == prediction.label
    assert len(result.stdout.splitlines()) == 3


def test_the_report_is_written_anew_from_the_journal(study: Study) -> None:
    before = study.report()
    (study.folder / "report.md").unlink()

    result = CliRunner().invoke(app, ["report", str(study.folder)])

    assert result.exit_code == 0, result.stderr
    assert "Best on average" in result.stdout or "No difference is seen" in result.stdout
    for name in ("report.md", "report.html"):
        assert f"report: {study.folder / name}" in result.stdout
    assert open_study(study.folder).report() == before


def test_the_same_call_adds_nothing_and_more_trials_are_added_to_what_is_there(
    study: Study, out: Path
) -> None:
    search.run_search(SANITY, out=out, overrides=TRIALS)
    again = count(study)
    search.run_search(SANITY, out=out, overrides=[ONE, "search.trials=5"])
    more = count(study)

    assert (again["proposed"], again["study"]) == (4, 1)
    assert (more["proposed"], more["study"]) == (5, 1)
    keys = [str(e["values"]) for e in read_events(study.folder / "journal.jsonl")
            if e["event"] == "proposed"]  # fmt: skip
    assert len(set(keys)) == 5


@pytest.mark.usefixtures("study")  # its cluster
def test_a_search_with_and_without_a_warm_up_makes_one_for_each_choice_of_sizes(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRANCHPOINT_CACHE", str(tmp_path))
    searched = ["mlm_warm_up={choice: [true, false]}", "encoder.n_layers={choice: [1, 2]}"]
    shape = ["structure=stack_cls", "method=equal", "points=[]", "divergence_depth=1"]
    grid = ["name=warm", "sampler=grid", "early_stopping=null", "epochs=1", "data.mlm={steps: 5}"]

    found = search.run_search(SANITY, out=out, overrides=[ONE, *searched, *shape, *grid])

    trials = found.record.trials.values()
    assert [trial.state for trial in trials] == ["finished"] * 4
    assert len({trial.reports[0].loss for trial in trials}) == 4
    assert len(list(tmp_path.glob("*.texts.arrow"))) == 1
    assert len(list(tmp_path.glob("*.mlm.arrow"))) == 2


@pytest.mark.usefixtures("study")  # its cluster
def test_a_space_that_is_used_up_ends_the_search_and_is_said(out: Path) -> None:
    said = io.StringIO()
    space = [ONE, "search.trials=40", "sharing.structure=single_task", "name=used_up", "epochs=1"]

    found = search.run_search(
        SANITY, out=out, overrides=space, progress=live_progress(Console(file=said))
    )

    assert "every configuration of the space has been tried" in said.getvalue()
    assert len(found.trials()) == 2
    assert "every configuration of the space has been" in " ".join(found.report().split())


def count(study: Study) -> Counter[str]:
    return Counter(event["event"] for event in read_events(study.folder / "journal.jsonl"))


def test_a_comparison_gives_every_arm_as_many_whole_trainings_by_the_objective(
    out: Path,
) -> None:
    """The whole of it: space, engines, journal, selection, and going on with more trials."""
    changes = [ONE, "mode=compare", "objective=worst_task", "name=compared"]
    first = search.run_search(SANITY, out=out, overrides=[*changes, "trials=3"])
    more = search.run_search(SANITY, out=out, overrides=[*changes, "trials=6"])

    trials = list(more.record.trials.values())
    structures = Counter(trial.structure for trial in trials)
    assert structures == {"single_task": 2, "stack_pooling": 2, "layerwise_implicit": 2}
    assert [t.structure for t in trials[:3]] == [t.structure for t in first.record.trials.values()]
    assert {(t.state, len(t.reports)) for t in trials} == {("finished", 2)}
    found = select(more.record)
    assert found.objective == "worst_task"
    assert found.shortlist()[0].roles[0] == "worst_task"
    roles = {role for one in found.shortlist() for role in one.roles}
    assert {f"structure:{name}" for name in structures} | {"single_task", "average"} < roles
    assert set(costs_of(more.record, json.loads((more.folder / "audit.json").read_text()))) == {
        trial.id for trial in trials
    }


def test_a_search_is_imported_without_the_heavy_libraries_that_it_needs_later() -> None:
    heavy = ["torch", "scipy", "sklearn", "torchmetrics", "gensim", "datasets", "transformers"]
    imports = "import sys, search.end_to_end, search.tuner"
    code = f"{imports}; print([m for m in {heavy} if m in sys.modules])"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
