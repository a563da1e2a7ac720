"""Known defects of Ray Tune 2.60 and Optuna 5, and the tests that show that ours has none of them.

Each entry says what goes wrong there, where that was reported (or "seen", by running them), and
which tests hold it here; a test without a file is one of this file.

Restarting
  a restored search is random or fresh: ray#30861, #14667; the storage is in memory: ray#48500
    test_proposer.py::test_a_search_killed_at_any_event_proposes_what_the_undisturbed_one_does
    test_tuner.py::test_a_search_whose_driver_was_killed_goes_on_where_it_was
  restore with a persistent storage dies, its snapshot being older than the database: seen
    test_searcher.py::test_a_search_killed_at_any_event_ends_as_the_undisturbed_one
    test_searcher.py::test_nothing_is_saved_beside_the_journal
  the rungs of ASHA are lost on restore: seen, warprec#126
    test_scheduler.py::test_rungs_rebuilt_at_any_event_decide_as_the_undisturbed_ones
  the time attribute begins again on restore: warprec#126
    test_tuner.py::test_the_time_limit_counts_what_earlier_runs_have_used
    test_engine_loop.py::test_a_trial_that_lost_its_engine_goes_on_after_its_last_epoch_in_another
  a finished search takes no more trials: ray#20886, #30223
    test_proposer.py::test_a_continued_search_may_have_more_trials
    test_study.py::test_the_same_call_adds_nothing_and_more_trials_are_added_to_what_is_there
  finished trials cannot be trained longer: ray#4755 (nor can ours: it is another question)
    test_another_number_of_epochs_is_another_study
    test_place.py::test_another_question_is_refused_and_told_apart
  after fail_fast nothing can be restored: ray#30584
    test_a_search_that_was_given_up_goes_on_with_the_trials_it_left
  a state file lies where nobody looks for it: ray#40491
    test_study.py::test_the_folder_holds_the_question_the_journal_and_the_answer
  a setting or object cannot be handed on: plugboard#162
    test_what_tune_hands_to_a_worker_is_plain_json

What the sampler is told
  stopped trials are told as COMPLETE: seen, ray#5459, #5651, #15283
    test_sampling.py::test_every_end_of_a_trial_is_told_as_what_it_is
    test_stopped_trials_are_told_as_pruned_by_the_objective_of_the_study
    test_a_stopped_trial_is_never_the_best_of_the_view
  a NaN leaves trials RUNNING, or ends the search: seen, stimulus-py#4
    test_optuna_view.py::test_score_that_is_no_number_is_shown_and_never_the_best
    test_a_trial_that_is_stopped_for_want_of_a_score_does_not_stay_running
  trials that nobody trains count as bad ones for ever: seen
    test_searcher.py::test_unfinished_trials_are_handed_out_first_as_their_next_attempt
    test_sampling.py::test_nothing_stays_running_once_it_has_ended
  early stopping by one metric only, none for several: optuna#3450, #5268, #5662, #4902, ray#18027
    test_scheduler.py::test_trials_are_stopped_by_the_study_s_objective
    test_record.py::test_leaders_are_kept_for_the_average_each_task_and_each_structure
  TPE fails on pruned trials: optuna#5260
    test_tpe_learns_although_every_trial_was_stopped
  results of conditional spaces cannot be told: evaluated_rewards, seen, ray#18587, #18625
    test_space.py::test_every_value_can_be_told_to_optuna_as_a_finished_trial
    test_sampling.py::test_values_are_told_as_optuna_would_have_them
  conditional keys are drawn independently, `group=False`: seen
    test_conditional_keys_are_drawn_together
  ten random trials are too few for eight workers: seen
    test_proposer.py::test_startup_trials_are_as_given_or_by_the_number_of_workers
  ASHA lets the first trials pass each rung: ray#32634, #44256, #4401 (ours too, but few and fixed)
    test_only_one_trial_less_than_the_factor_passes_a_rung_unjudged

The space
  configurations are repeated: seen, optuna#2021, #2915, #551, #2880
    test_proposer.py::test_a_finite_space_is_tried_whole_and_nothing_twice
    test_no_configuration_is_tried_twice_by_eight_trials_at_a_time
  domains inside a choice are not drawn; others end in an error of another place: seen
    test_a_domain_that_cannot_be_drawn_from_is_refused_with_its_line
  conditions need a function: ray#28646
    test_space.py::test_only_active_keys_have_values
  points are ignored for constants: ray#35319
    test_points.py::test_a_point_that_is_not_of_the_space_is_told
  known-good settings cannot be given beforehand: seen, ray#18847
    test_proposer.py::test_points_come_first_and_are_whole_configurations

Growth
  proposing is slow, and one at a time: ray#46965, optuna#5611
    test_eight_trials_of_tpe_are_in_flight_soon
  the whole state is written again and again: ray#11233, #7718, #7608, #5283
    test_what_is_written_of_a_trial_does_not_grow_with_the_study
    ../benchmarks/test_trial_overhead.py::test_a_thousand_trials_that_train_nothing_cost_little
  the driver grows by 39 KB a trial: seen, ray#64231, #12208
    test_memory_and_open_files_of_a_long_search_hardly_grow
    test_callback.py::test_ended_trials_are_taken_from_tunes_list
    ../benchmarks/test_soak.py::test_a_search_of_small_trials_does_not_grow
  too many open files: ray#12227
    test_memory_and_open_files_of_a_long_search_hardly_grow
  files for each trial: ray#23451; pickles in the study folder: seen
    test_a_study_holds_neither_pickles_nor_files_of_single_trials
    test_hostile_files.py::test_a_pickle_is_never_opened_whatever_it_is_called
  logs fill /tmp/ray: ray#15695
    test_the_logs_of_ray_are_gone_after_the_search
  the page and its Pareto set take for ever: optuna-dashboard#957, #956, #410
    test_the_pareto_set_of_three_thousand_trials_takes_seconds
    report/html/test_scale.py::test_the_page_is_written_in_time_and_memory_and_can_be_sent

Workers
  a lost node fails trials, also those of others: seen, ray#50187
    test_a_lost_worker_costs_no_trial_by_default
    test_lost_nodes.py::test_all_trials_finish_whatever_is_killed_and_a_machine_that_joins_is_used
  memory is not given back when a trial is stopped: ray#23971, #30414, #32698
    test_engines.py::test_a_stopped_trial_frees_its_lane
  parts of a GPU are counted and not measured: ray#5902, #13680, #20563
    test_engine_loop.py::test_a_trial_without_room_waits_for_the_lane_of_one_that_ends
  trials wait for ever without a word: ray#24259, #25239, #47439, #30265
    test_rooms.py::test_a_trial_that_fits_on_no_machine_is_named_with_what_there_is
    test_engine_pool.py::test_an_engine_that_never_comes_up_is_not_followed_at_once_by_the_next
    test_engines.py::test_a_trial_that_hangs_is_given_up_and_its_neighbours_go_on
  what Ray Train has is an error inside Tune: ray#49454, #57810
    test_nothing_of_ray_train_is_imported

Files that several use
  broken lines of a shared journal: optuna#5138
    test_journal.py::test_every_cut_of_the_last_line_drops_that_line_alone
    test_journal.py::test_two_journals_on_one_file_are_refused
  the lock of a killed driver holds off all others: optuna#5921
    test_study_lock.py::test_the_lock_of_a_dead_driver_is_taken_over_and_said
  a heartbeat that comes too late ends the process: optuna#5470
    test_a_heartbeat_that_cannot_be_written_ends_nothing
  databases are locked: optuna#6036, #815, #820, #1499
    test_the_view_is_written_while_a_dashboard_reads_it

What a user sees
  output beside one's own, tables repeated: ray#36355, #33847, #26967
    test_tuner.py::test_a_trial_whose_worker_is_killed_starts_again_until_its_retries_are_used_up
    test_progress.py::test_a_file_gets_plain_lines_and_a_terminal_the_live_display
  nothing of Tune is in the dashboard: seen, ray#11641, #8148, #7903
    test_watch.py::test_the_report_follows_a_study_from_before_it_begins
  the dashboard cannot start with ray[tune] alone: seen
    test_what_the_dashboard_of_ray_needs_is_installed
  whoever reaches a port runs programs: CVE-2023-48022, CVE-2025-62593
    test_local_ray.py::test_nothing_of_a_local_search_listens_beyond_this_machine
    test_joined.py::test_a_cluster_without_a_token_is_joined_only_if_that_is_said
    test_watch.py::test_a_page_of_elsewhere_that_calls_itself_this_machine_is_refused
"""

import ast
import importlib.util
import inspect
import json
import os
import re
import sqlite3
import time
import tomllib
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.trial import TrialState
from ray.tune.schedulers import TrialScheduler

import search
from mtl_core.errors import ConfigError
from search import study_lock
from search.cluster import joined
from search.config import EarlyStoppingConfig, SearchConfig
from search.journal import Journal
from search.lanes import Lanes
from search.optuna_view import write_optuna_view
from search.pareto import undominated
from search.proposer import Proposer
from search.record import FORMAT, StudyRecord
from search.sampling import TpeSampling
from search.scheduler import Asha, JournalScheduler
from search.searcher import JournalSearcher
from search.space import Space, parse_space
from search.study_lock import LOCK, StudyLock

HERE, ROOT = Path(__file__), Path(__file__).resolve().parents[2]
TASKS = ("a", "b")
OBJECTIVES = ["mean", "worst_task", "task:b", "{a: 1, b: 3}"]
SPACE = """
name: conditional
search: {trials: 100, startup_trials: 10, early_stopping: {grace_period_epochs: 1}}
data: {source: builtin}
encoder: {n_layers: 9}
sharing:
  structure: {choice: [single_task, stack_pooling, stack_cls]}
  divergence_depth: {int: [0, n_layers], when: {structure: [stack_pooling, stack_cls]}}
training: {epochs: {int: [1, 5]}}
"""
N_CONFIGURATIONS = (1 + 9 + 1 + 9) * 5 + 5


def make_space(*overrides: str) -> Space:
    return parse_space(SPACE, overrides=overrides)


def make_record(folder: Path, space: Space) -> StudyRecord:
    record = StudyRecord(Journal(folder / "journal.jsonl"))
    objective = space.search.objective
    record.append("study", format=FORMAT, name=space.name, tasks=TASKS, objective=objective)
    return record


def result(epoch: int, a: float, b: float) -> dict[str, Any]:
    scores, losses = {"a": a, "b": b}, {"a": 1.0, "b": 1.0}
    speed = {"loss": 1.0, "tokens_per_second": 1.0, "seconds": 1.0}
    return {"epoch": epoch, "average": (a + b) / 2, "scores": scores, "losses": losses, **speed}


class TuneInSmall:
    """The calls that Tune makes, for as many trials at a time as there are engines."""

    def __init__(self, space: Space, record: StudyRecord, engines: int = 1) -> None:
        self.record = record
        lanes = Lanes([f"engine{n}" for n in range(engines)])
        self.searcher = JournalSearcher(Proposer(space, record, workers=engines), lanes=lanes)
        self.scheduler = JournalScheduler(record, space.search.early_stopping)
        self.in_flight: dict[str, Any] = {}
        self.n_begun = 0

    def begin(self) -> str | None:
        """Begin a trial and return its name, if there is one, and room for it."""
        config = self.searcher.suggest(name := f"tune{self.n_begun}")
        if not isinstance(config, dict):
            return None
        self.n_begun += 1
        self.in_flight[name] = SimpleNamespace(config=config, status="RUNNING")
        trial, attempt = config["trial"], config["attempt"]
        self.record.append("started", trial=trial, attempt=attempt, worker="w")
        return str(trial)

    def end(self, *scores: tuple[float, float]) -> str:
        """End the trial that has been in flight longest, with these scores of its epochs."""
        name, trial = next(iter(self.in_flight.items()))
        decision = str(TrialScheduler.CONTINUE)
        for epoch, (a, b) in enumerate(scores, start=1):
            decision = self.scheduler.on_trial_result(None, trial, result(epoch, a, b))
            if decision == TrialScheduler.STOP:
                break
        else:
            ours = trial.config["trial"]
            self.record.append("finished", trial=ours, epochs=len(scores), reason="epochs")
        self.searcher.on_trial_complete(name)
        del self.in_flight[name]
        return decision

    def run(self, most: int) -> int:
        """Run until so many have begun; return how many were in flight at a time."""
        rng, at_a_time = np.random.default_rng(self.n_begun), 0
        while self.n_begun < most or self.in_flight:
            while self.n_begun < most and self.begin():
                at_a_time = max(at_a_time, len(self.in_flight))
            self.end(*rng.random((3, 2)).tolist())
        return at_a_time


@contextmanager
def view_of(record: StudyRecord, space: Space, path: Path) -> Iterator[optuna.Study]:
    """Optuna's own reading of the view of a study."""
    write_optuna_view(record, space, path)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    try:
        yield optuna.load_study(study_name=space.name, storage=storage)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def told(record: StudyRecord, space: Space) -> TpeSampling:
    tpe = TpeSampling(space)
    tpe.tell(record)
    return tpe


def test_every_test_of_the_table_exists_and_none_is_missing() -> None:
    entries = re.findall(r"^ {4}(?:(\S+\.py)::)?(test_\w+)$", __doc__ or "", re.MULTILINE)
    elsewhere = {(file, test) for file, test in entries if file}
    own = {test for file, test in entries if not file}

    assert len(entries) == sum(line.startswith("    ") for line in (__doc__ or "").splitlines())
    assert {
        entry for entry in elsewhere if entry[1] not in names_of_tests(HERE.parent / entry[0])
    } == set()
    here = inspect.currentframe()
    assert here is not None
    assert own == names_of_tests(HERE) - {here.f_code.co_name}


def names_of_tests(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_another_number_of_epochs_is_another_study() -> None:
    """ray#4755: a study never holds trials of the same name that were trained for longer."""
    assert make_space("epochs=5").digest() != make_space("epochs=6").digest()
    assert make_space("trials=5").digest() == make_space("trials=6").digest()


def test_a_search_that_was_given_up_goes_on_with_the_trials_it_left(tmp_path: Path) -> None:
    """ray#30584: fail_fast ends all trials, and nothing is left to restore."""
    space = make_space()
    record = make_record(tmp_path, space)
    tune = TuneInSmall(space, record, engines=3)
    for _ in range(3):
        tune.begin()
    record.append("failed", trial="t0001", kind="error", reason="r", traceback=None)
    record.append("ended", reason="failures")
    record.close()

    record = StudyRecord.open(tmp_path / "journal.jsonl")
    record.append("continued")
    again = TuneInSmall(space, record, engines=3)

    assert [again.begin() for _ in range(4)] == ["t0002", "t0003", "t0004", None]
    assert [record.trials[name].attempt for name in ("t0002", "t0003", "t0004")] == [2, 2, 1]
    record.close()


def test_what_tune_hands_to_a_worker_is_plain_json(tmp_path: Path) -> None:
    """plugboard#162: an object of a storage or a sampler does not survive the way."""
    space = make_space("objective={a: 1, b: 3}")
    tune = TuneInSmall(space, make_record(tmp_path, space))
    tune.run(2)

    config = tune.searcher.suggest("last")

    assert json.loads(json.dumps(config)) == config


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_stopped_trials_are_told_as_pruned_by_the_objective_of_the_study(
    objective: str, tmp_path: Path
) -> None:
    """Ray tells 24 of 24 as COMPLETE; Optuna's `report` raises for several (optuna#3450)."""
    space = make_space(f"objective={objective}", "early_stopping.reduction_factor=2")
    tune = TuneInSmall(space, make_record(tmp_path, space))
    for scores in ((0.9, 0.6), (0.7, 0.4)):
        tune.begin()
        tune.end(scores, scores)

    finished, stopped = told(tune.record, space).trials()

    assert (finished.state, stopped.state) == (TrialState.COMPLETE, TrialState.PRUNED)
    best = {"mean": 0.75, "worst_task": 0.6, "task:b": 0.6}.get(objective, 0.25 * 0.9 + 0.75 * 0.6)
    assert finished.value == pytest.approx(best)
    assert stopped.value is None
    assert stopped.intermediate_values == {1: pytest.approx(best - 0.2)}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_stopped_trial_is_never_the_best_of_the_view(objective: str, tmp_path: Path) -> None:
    """ray#5459: half-trained scores stand among the others in all that Optuna draws."""
    space = make_space(f"objective={objective}")
    tune = TuneInSmall(space, make_record(tmp_path, space))
    tune.begin()
    tune.end((0.3, 0.3), (0.4, 0.4))
    lucky = tune.begin()
    tune.record.append("reported", trial=lucky, **result(1, 0.9, 0.9))
    tune.record.append("stopped", trial=lucky, epoch=1, rung=1)

    with view_of(tune.record, space, tmp_path / "optuna.db") as study:
        assert study.best_trial.number == 0
        assert study.best_value == pytest.approx(0.4)
        assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED"]
        assert study.trials[1].value is None


def test_a_trial_that_is_stopped_for_want_of_a_score_does_not_stay_running(tmp_path: Path) -> None:
    """Three of three stay RUNNING with Ray and Optuna where the metric is NaN."""
    space = make_space()
    tune = TuneInSmall(space, make_record(tmp_path, space))
    tune.begin()

    assert tune.end((np.nan, 0.5)) == TrialScheduler.STOP

    [trial] = told(tune.record, space).trials()
    with view_of(tune.record, space, tmp_path / "optuna.db") as study:
        assert study.trials[0].state.is_finished()
    assert trial.state == TrialState.FAIL


def test_tpe_learns_although_every_trial_was_stopped(tmp_path: Path) -> None:
    """optuna#5260: TPE failed on pruned trials."""
    space = make_space("objective=worst_task")
    tune = TuneInSmall(space, make_record(tmp_path, space), engines=40)
    while trial := tune.begin():
        good = tune.record.trials[trial].values["training.epochs"] == 5
        scores = (0.9, 0.8) if good else (0.9, tune.n_begun / 1000)
        tune.record.append("reported", trial=trial, **result(1, *scores))
        tune.record.append("stopped", trial=trial, epoch=1, rung=1)

    tpe = told(tune.record, space)

    assert {trial.state for trial in tpe.trials()} == {TrialState.PRUNED}
    assert [tpe.draw(seed)["training.epochs"] for seed in range(30)].count(5) > 20


def test_conditional_keys_are_drawn_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Optuna 5's default a key that does not always apply is drawn by itself."""
    space = make_space()
    tune = TuneInSmall(space, make_record(tmp_path, space))
    tune.run(40)
    tpe = told(tune.record, space)

    def alone(_self: Any, _study: Any, _trial: Any, name: str, _distribution: Any) -> None:
        raise AssertionError(f"{name} is drawn by itself")

    monkeypatch.setattr(TPESampler, "sample_independent", alone)
    drawn = [tpe.draw(seed) for seed in range(20)]

    assert any("sharing.divergence_depth" in values for values in drawn)


def test_only_one_trial_less_than_the_factor_passes_a_rung_unjudged() -> None:
    """ray#32634: the first pass all rungs. As here (`Asha` says so), but no others."""
    asha = Asha(EarlyStoppingConfig(grace_period_epochs=1, reduction_factor=4))

    for rung in (1, 4, 16):
        passed = [asha.report(f"t{number}", rung, 1 - number / 100) for number in range(50)]
        assert passed == [True] * 3 + [False] * 47


@dataclass(frozen=True)
class Busy:
    """A search by eight trials at a time, and what it took."""

    record: StudyRecord
    space: Space
    at_a_time: int
    seconds: float


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Busy:
    space = make_space()
    tune = TuneInSmall(space, make_record(tmp_path_factory.mktemp("busy"), space), engines=8)
    began = time.process_time()
    at_a_time = tune.run(100)
    return Busy(tune.record, space, at_a_time, time.process_time() - began)


def test_no_configuration_is_tried_twice_by_eight_trials_at_a_time(busy: Busy) -> None:
    """42 of 100 are repeated by Optuna 5 in a conditional space of 105, by 4.x 67 (optuna#2021)."""
    trials = busy.record.trials.values()

    assert busy.space.size() == N_CONFIGURATIONS
    assert sum(trial.source == "tpe" for trial in trials) > 10  # the others were drawn already
    assert len({busy.space.key(trial.values) for trial in trials}) == len(trials) == 100


def test_eight_trials_of_tpe_are_in_flight_soon(busy: Busy) -> None:
    """ray#46965: 100 trials take 41 s instead of 9, one after the other."""
    assert busy.at_a_time == 8
    assert busy.seconds < 20  # of a core; 2 at first


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("learning_rate", "{choice: [{float: [0.1, 0.2]}, 0.3]}", "found {float: [0.1, 0.2]}"),
        ("weights", "{choice: [{a: {float: [0.1, 1]}}, {a: 2}]}", "found {float: [0.1, 1]}"),
        ("d_ff", "{int: [8, 64], log: true, step: 8}", "found log and step together"),
        ("learning_rate", "{randn: [0, 1]}", "found 'randn' in a domain"),
        ("learning_rate", "{sample_from: x}", "found 'sample_from' in a domain"),
    ],
)
def test_a_domain_that_cannot_be_drawn_from_is_refused_with_its_line(
    key: str, value: str, found: str
) -> None:
    """OptunaSearch draws nothing in a choice of mappings: a search that is silently wrong."""
    section = {"learning_rate": "training", "weights": "weighting", "d_ff": "encoder"}[key]

    with pytest.raises(ConfigError, match=rf":2: {section}\.{key}.*{re.escape(found)}"):
        parse_space(f"name: x\n{section}: {{{key}: {value}}}\n")


def test_what_is_written_of_a_trial_does_not_grow_with_the_study(tmp_path: Path) -> None:
    """ray#11233: of 1,000 trials Tune writes 13 MB at every snapshot."""
    space = make_space("trials=1000", "sampler=random", "epochs={int: [1, 5000]}")
    tune = TuneInSmall(space, make_record(tmp_path, space))
    sizes = []
    for most in (50, 250, 300):
        tune.run(most)
        sizes.append((tmp_path / "journal.jsonl").stat().st_size)

    assert sizes[2] - sizes[1] < 1.1 * sizes[0]
    assert [path.name for path in tmp_path.iterdir()] == ["journal.jsonl"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are read in /proc")
def test_memory_and_open_files_of_a_long_search_hardly_grow(tmp_path: Path) -> None:
    """ray#64231 grows by 39 KB a trial until memory ends; ray#12227: too many open files."""
    space = make_space("trials=1000", "sampler=random", "epochs={int: [1, 5000]}")
    tune = TuneInSmall(space, make_record(tmp_path, space))
    tune.run(50)
    write_optuna_view(tune.record, space, tmp_path / "optuna.db")
    open_files = len(os.listdir("/proc/self/fd"))
    tracemalloc.start()
    tune.run(250)
    grown = tracemalloc.get_traced_memory()[0] / 200
    tracemalloc.stop()
    write_optuna_view(tune.record, space, tmp_path / "optuna.db")

    assert grown < 10_000  # bytes a trial
    # What else the process has at work may open some; one for each trial would be 200.
    assert len(os.listdir("/proc/self/fd")) < open_files + 20


@pytest.mark.cluster
def test_a_study_holds_neither_pickles_nor_files_of_single_trials(tmp_path: Path) -> None:
    """ray#23451: five files a trial; Tune's state, CMA-ES and Optuna's snapshots are pickles."""
    space = ROOT / "spaces" / "sanity.yaml"
    quick = ["search.trials=6", "search.confirm.seeds=0", "search.affinity.epochs=0"]
    quick += ["search.workers=1"]
    study = search.run_search(space, out=tmp_path, overrides=quick)
    files = {path for path in study.folder.rglob("*") if path.is_file()}
    weights = set((study.folder / "models").iterdir())
    named = {path for path in files if re.search(r"t\d{4}", path.name)}

    assert len(study.record.ended()) == 6
    assert named == weights  # of the leaders
    assert len(weights) <= len(study.record.leaders())
    assert {path for path in files if is_pickle(path)} == set()


def is_pickle(path: Path) -> bool:
    """Whether it is one, of any protocol since 2, or one as `torch.save` writes it."""
    return path.suffix == ".pkl" or path.read_bytes()[:1] == b"\x80" or zipfile.is_zipfile(path)


@pytest.mark.cluster
def test_the_logs_of_ray_are_gone_after_the_search() -> None:
    """ray#15695: 400 GB in /tmp/ray."""
    import ray

    with joined(None, SearchConfig()):
        session = Path(ray.get_runtime_context().worker.node.get_session_dir_path())
        assert list(session.glob("logs/*"))

    assert not session.exists()


def test_the_pareto_set_of_three_thousand_trials_takes_seconds() -> None:
    """optuna-dashboard#410: with more than 1,000 trials the page never comes."""
    values = np.random.default_rng(0).random((3000, 4))
    began = time.process_time()

    kept = undominated(values)

    assert time.process_time() - began < 10
    assert 0 < kept.sum() < 1000


def test_a_lost_worker_costs_no_trial_by_default() -> None:
    """With Tune's default of no failure two of six trials are lost with their node (ray#50187)."""
    assert SearchConfig().retries > 0


def test_nothing_of_ray_train_is_imported() -> None:
    """ray#49454: what it has is an error inside Tune since Train V2."""
    files = list((ROOT / "search").rglob("*.py"))
    trees = [ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for path in files]
    nodes = [node for tree in trees for node in tree]
    imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    imported |= {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    imported |= {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}

    assert "ray.tune.experiment" in imported
    assert [name for name in imported if re.match(r"ray\.(train|air)\b", name)] == []


def test_a_heartbeat_that_cannot_be_written_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """optuna#5470: the whole process is ended, not only what was late."""
    monkeypatch.setattr(study_lock, "TOUCH_SECONDS", 0.01)
    with StudyLock(tmp_path):
        text = (tmp_path / LOCK).read_text(encoding="utf-8")
        (tmp_path / LOCK).unlink()
        time.sleep(0.1)
        (tmp_path / LOCK).write_text(text, encoding="utf-8")
        os.utime(tmp_path / LOCK, (0, 0))
        deadline = time.monotonic() + 20
        while (tmp_path / LOCK).stat().st_mtime < 1:
            assert time.monotonic() < deadline, "the lock is touched no more"
            time.sleep(0.01)

    assert list(tmp_path.iterdir()) == []


def test_the_view_is_written_while_a_dashboard_reads_it(tmp_path: Path) -> None:
    """optuna#6036: a database that several use is locked for some of them."""
    space, path = make_space(), tmp_path / "optuna.db"
    tune = TuneInSmall(space, make_record(tmp_path, space))
    tune.run(1)
    count = "SELECT COUNT(*) FROM trials"
    write_optuna_view(tune.record, space, path)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN EXCLUSIVE")
        tune.run(2)

        with view_of(tune.record, space, path) as study:
            assert len(study.trials) == 2
        assert reader.execute(count).fetchone() == (1,)


def test_what_the_dashboard_of_ray_needs_is_installed() -> None:
    """`ray[tune]` alone cannot start it: aiohttp and others are missing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [ray] = [word for word in project["dependencies"] if word.startswith("ray[")]

    assert "default" in ray.partition("[")[2].partition("]")[0].split(",")
    assert importlib.util.find_spec("aiohttp") is not None
    assert importlib.util.find_spec("opencensus") is not None
