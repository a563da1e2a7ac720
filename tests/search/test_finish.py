"""The end of a study on a tiny corpus: tested once, exported, continued where it was cut off."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from confirmations import begun
from safetensors import SafetensorError
from trained_trials import train_trial

import mtl_core
from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.own_texts import texts_path
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.errors import ConfigError
from mtl_core.training.config import TrialConfig
from mtl_core.training.mlm import WarmUp
from mtl_core.training.trainer import Trainer
from search import best_models, scored, study_files
from search import finish as module
from search.finish import finish
from search.journal import read_events
from search.per_task import PerTask
from search.record import StudyRecord
from search.space import Space, parse_space

SPACE = """
name: tiny
search: {trials: 2, confirm: {seeds: 0}}
encoder: {n_layers: 1, d_model: 8, d_word: 8, n_heads: 2, d_ff: 8}
sharing:
  structure: {choice: [single_task, stack_pooling]}
training: {learning_rate: 0.01, epochs: 2}
batches: {batch_size: 8}
"""
WORDS = {"books": ("fine", "dull"), "films": ("great", "poor")}


def make_split(task: str, n_rows: int, start: int) -> Split:
    rows = [(f"w{start + i} {WORDS[task][i % 2]} w{i % 3}", "pn"[i % 2]) for i in range(n_rows)]
    return Split(texts=tuple(r[0] for r in rows), labels=tuple(r[1] for r in rows), source=task)


def make_task(name: str) -> Task:
    sizes = {"train": (24, 0), "dev": (10, 100), "test": (12, 18)}  # six test rows are in train
    splits = {split: make_split(name, *size) for split, size in sizes.items()}
    return Task(name=name, labels=("n", "p"), splits=splits)


@dataclass
class Setting:
    space: Space
    corpus: Corpus
    encoded: EncodedCorpus
    folder: Path
    record: StudyRecord

    def finish(self) -> None:
        finish(self.space, self.record, self.corpus, self.encoded, self.folder)

    def events(self, kind: str) -> list[dict[str, Any]]:
        events = read_events(self.folder / "journal.jsonl")
        return [event for event in events if event["event"] == kind]

    def run_trial(self, structure: str, *, keep: bool = True) -> None:
        """Train one trial as the search would: reports in the journal, weights beside it."""
        texts = texts_path(self.corpus, self.encoded)
        warm_up = WarmUp(self.encoded, texts, self.space.data.mlm)
        train_trial(
            self.record, self.space, self.encoded, self.folder, structure,
            keep=keep, warm_up=warm_up,
        )  # fmt: skip

    def confirm(self, trial: str, seeds: Sequence[int]) -> None:
        """Train a trial anew as a confirmation would, without keeping the weights."""
        config = TrialConfig.from_dict(self.record.trials[trial].config)
        roles = ["average", *(f"task:{task}" for task in WORDS)]
        self.record.append("shortlisted", trials=1, subjects=[{"trial": trial, "roles": roles}])
        for number, seed in enumerate(seeds, start=1):
            self.record.append(**begun(trial, number, seed=seed))
            trainer = Trainer(self.encoded, config, seed=seed)
            for result in trainer.epochs():
                last = result
            found = scored.scored(trainer.model, self.encoded, "cpu")
            self.record.append(
                "confirmed", run=f"{trial}c{number}", trial=trial, epoch=last.epoch,
                epochs=last.epoch, seconds=1.0, reported=last.scores, **found,
            )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, EncodedCorpus]:
    tasks = tuple(make_task(name) for name in WORDS)
    corpus = Corpus(tasks=tasks, layout="folders", source="hand-made")
    return corpus, encode(corpus, DataConfig(), tmp_path_factory.mktemp("cache"))


@pytest.fixture
def setting(tmp_path: Path, data: tuple[Corpus, EncodedCorpus]) -> Iterator[Setting]:
    record = StudyRecord.open(tmp_path / "journal.jsonl")
    record.append(
        "study", format=1, name="tiny", space_digest="", data_fingerprint="", seed=0,
        tasks=list(WORDS),
    )  # fmt: skip
    yield Setting(parse_space(SPACE), *data, folder=tmp_path, record=record)
    record.close()


def test_leaders_are_tested_and_the_folder_is_whole(setting: Setting) -> None:
    setting.run_trial("single_task")
    setting.run_trial("stack_pooling")
    setting.record.append("ended", reason="trials")

    setting.finish()

    assert set(setting.record.tested) == {
        "average", "task:books", "task:films", "structure:single_task", "structure:stack_pooling",
    }  # fmt: skip
    assert set(setting.record.baselines) == {"majority", "tfidf", "tfidf_pooled"}
    names = {path.name for path in setting.folder.iterdir()}
    written = {"trials.parquet", "curves.parquet", "predictions.parquet", "optuna.db", "report.md"}
    written |= {"report.html"}
    assert written <= names
    assert {path.name for path in (setting.folder / "best").iterdir()} == {"average", *WORDS}


def test_dev_scores_are_those_of_the_search(setting: Setting) -> None:
    setting.run_trial("stack_pooling")

    setting.finish()

    leader = setting.record.leaders()["average"]
    tested = setting.record.tested["average"]
    assert np.mean(list(tested["dev"].values())) == pytest.approx(leader.score, abs=1e-12)
    assert "Warning" not in (setting.folder / "report.md").read_text()


def test_scores_are_counted_plain_and_on_unseen_rows(setting: Setting) -> None:
    setting.run_trial("stack_pooling")

    setting.finish()

    scores = setting.record.tested["average"]["scores"]["books"]
    rows = pq.read_table(setting.folder / "predictions.parquet").to_pandas()
    mine = rows[(rows["model"] == "average") & (rows["task"] == "books")]
    assert (scores["rows"], scores["rows_unseen"]) == (12, 6)
    assert scores["accuracy"] == pytest.approx(mine["correct"].mean())
    unseen = mine[~mine["seen_in_train"]]
    assert scores["accuracy_unseen"] == pytest.approx(unseen["correct"].mean())


def test_second_run_touches_the_test_rows_no_more(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.run_trial("single_task")
    setting.finish()
    before = (setting.folder / "journal.jsonl").read_bytes()

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("tested, trained or exported a second time")

    monkeypatch.setattr(scored, "evaluate", forbidden)
    monkeypatch.setattr(module, "baselines", forbidden)
    monkeypatch.setattr(best_models, "export", forbidden)
    for name in ("read_tensors", "Trainer"):
        monkeypatch.setattr(study_files, name, forbidden)
    (setting.folder / "report.md").unlink()
    setting.finish()

    assert (setting.folder / "journal.jsonl").read_bytes() == before
    assert (setting.folder / "report.md").exists()


def test_one_epoch_that_leads_twice_is_evaluated_once(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.run_trial("single_task")
    calls = []
    evaluate = scored.evaluate

    def counted(model: Any, corpus: Any, split: str, device: str) -> Any:
        calls.append(split)
        return evaluate(model, corpus, split, device)

    monkeypatch.setattr(scored, "evaluate", counted)

    setting.finish()

    epochs = {(leader.trial, leader.epoch) for leader in setting.record.leaders().values()}
    assert calls.count("test") == len(epochs) < len(setting.record.tested)


def test_lost_weights_are_trained_again_to_the_same_scores(setting: Setting) -> None:
    setting.run_trial("stack_pooling", keep=False)

    setting.finish()

    trial = setting.record.trials["t0001"]
    for event in setting.record.tested.values():
        assert event["dev"] == trial.reports[event["epoch"] - 1].scores


def test_lost_weights_of_a_warmed_up_encoder_are_trained_again_to_the_same_scores(
    setting: Setting,
) -> None:
    overrides = ["encoder.mlm_warm_up=true", "data.mlm={steps: 3}"]
    setting.space = parse_space(SPACE, overrides=overrides)
    setting.run_trial("stack_pooling", keep=False)
    for path in setting.encoded.path.parent.glob("*.mlm.arrow"):
        path.unlink()

    setting.finish()

    trial = setting.record.trials["t0001"]
    assert trial.config["encoder"]["mlm_warm_up"]
    for event in setting.record.tested.values():
        assert event["dev"] == trial.reports[event["epoch"] - 1].scores


def test_damaged_weights_are_trained_again(setting: Setting) -> None:
    setting.run_trial("stack_pooling")
    for path in (setting.folder / "models").iterdir():
        path.write_bytes(b"half a file")

    setting.finish()

    assert "average" in setting.record.tested


def test_interrupted_study_does_not_train_again(setting: Setting) -> None:
    setting.run_trial("stack_pooling", keep=False)
    setting.record.append("ended", reason="interrupted")

    setting.finish()

    assert setting.record.tested == {}
    assert "Not tested yet" in (setting.folder / "report.md").read_text()


def test_cut_off_in_the_middle_it_goes_on_where_it_was(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.run_trial("single_task")
    setting.run_trial("stack_pooling")

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "baselines", cut_off)
        with pytest.raises(KeyboardInterrupt):
            setting.finish()
    tested = len(setting.events("tested"))
    setting.finish()

    assert len(setting.events("tested")) == tested == len(setting.record.tested)
    assert len(setting.events("baseline")) == 3


def test_new_leader_replaces_the_exported_model(setting: Setting) -> None:
    setting.run_trial("single_task")
    setting.finish()
    first = json.loads((setting.folder / "best/average/config.json").read_text())["about"]
    setting.record.append("continued")
    setting.run_trial("stack_pooling")
    better = setting.record.trials["t0002"]
    perfect = {"scores": PerTask(dict.fromkeys(WORDS, 1.0)), "average": 1.1, "value": 1.1}
    better.reports[-1] = replace(better.reports[-1], **perfect)
    better._best = better._leader = None
    setting.record._let_lead(better, setting.record._leaders_of_ended)

    setting.finish()

    about = json.loads((setting.folder / "best/average/config.json").read_text())["about"]
    assert (first["trial"], about["trial"]) == ("t0001", "t0002")
    assert setting.record.tested["average"]["trial"] == "t0002"


def test_exported_best_predicts_what_was_tested(setting: Setting) -> None:
    setting.run_trial("stack_pooling")
    setting.finish()

    test = setting.corpus.tasks[0].splits["test"]
    found = mtl_core.load(setting.folder / "best/average").predict("books", list(test.texts))

    right = [
        prediction.label == label for prediction, label in zip(found, test.labels, strict=True)
    ]
    score = setting.record.tested["average"]["scores"]["books"]["accuracy"]
    assert np.mean(right) == pytest.approx(score)


def test_study_without_a_score_still_gets_baselines_and_a_report(setting: Setting) -> None:
    setting.record.append("ended", reason="interrupted")

    setting.finish()

    report = (setting.folder / "report.md").read_text()
    assert "No answer: no trial has a dev score" in report
    assert "TF-IDF" in report
    assert not (setting.folder / "best").exists()


def test_with_a_confirmation_leaders_are_exported_untested_until_it_is_there(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.space = parse_space(SPACE, overrides=["confirm.seeds=2"])
    setting.run_trial("stack_pooling")
    setting.record.append("ended", reason="interrupted", confirmation="interrupted")

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("test was touched")

    monkeypatch.setattr(scored, "evaluate", forbidden)
    setting.finish()

    about = json.loads((setting.folder / "best/average/config.json").read_text())["about"]
    assert setting.record.tested == {}
    assert (about["trial"], about["run"], about["test"]) == ("t0001", None, None)
    assert "Not tested yet" in (setting.folder / "report.md").read_text()


def test_a_leader_that_is_not_confirmed_is_not_trained_again_to_be_exported(
    setting: Setting,
) -> None:
    setting.space = parse_space(SPACE, overrides=["confirm.seeds=2"])
    setting.run_trial("stack_pooling", keep=False)
    setting.record.append("ended", reason="minutes", confirmation="minutes")

    setting.finish()

    assert not (setting.folder / "best").exists()
    assert "Not tested yet" in (setting.folder / "report.md").read_text()


def test_the_confirmed_run_that_is_best_on_dev_replaces_the_leader(setting: Setting) -> None:
    setting.space = parse_space(SPACE, overrides=["confirm.seeds=2"])
    setting.run_trial("stack_pooling")
    setting.finish()
    setting.record.append("continued")
    setting.confirm("t0001", seeds=(11, 12))
    setting.record.append("ended", reason="trials", confirmation="done")

    setting.finish()

    best = max(setting.record.confirmed, key=lambda run: run.dev_average)
    about = json.loads((setting.folder / "best/average/config.json").read_text())["about"]
    assert (about["run"], about["seed"], about["epoch"]) == (best.id, best.seed, best.epoch)
    test = setting.corpus.tasks[0].splits["test"]
    found = mtl_core.load(setting.folder / "best/average").predict("books", list(test.texts))
    right = [one.label == label for one, label in zip(found, test.labels, strict=True)]
    assert np.mean(right) == pytest.approx(about["test"]["books"]["accuracy"])


def test_full_disk_at_export_is_one_message_and_the_next_run_goes_on(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.run_trial("stack_pooling")

    def full(*_: object, **__: object) -> None:
        raise SafetensorError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(best_models, "export", full)
        with pytest.raises(ConfigError, match=r"best/.*: cannot be written: No space left"):
            setting.finish()
    tested = len(setting.events("tested"))
    setting.finish()

    assert (setting.folder / "best/average/config.json").exists()
    assert len(setting.events("tested")) == max(tested, len(setting.record.tested))
