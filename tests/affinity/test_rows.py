"""Rows of a measurement: labelled ones, of train and dev alone, others each time."""

from pathlib import Path

import numpy as np
import pytest
from mixed_corpus import mixed_corpus

from mtl_core.affinity.rows import LOSS_ROWS, STEP_ROWS, ProbeRows, labelled_rows
from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.task import NO_LABEL, Corpus
from mtl_core.errors import ConfigError


def test_rows_with_a_label_are_those_of_the_files(corpus: Corpus, mixed: EncodedCorpus) -> None:
    for number, task in enumerate(corpus.tasks):
        rows = labelled_rows(mixed.split(number, "train"), task.kind)

        labels = task.splits["train"].labels
        assert rows.tolist() == [at for at, label in enumerate(labels) if label != NO_LABEL]
        assert 0 < len(rows) < len(labels)


def test_steps_are_of_one_task_each_and_losses_of_all(mixed: EncodedCorpus) -> None:
    rows = ProbeRows(mixed, seed=1)

    steps, losses = rows.for_steps(1), rows.for_losses(1)

    assert [[row.task for row in step] for step in steps] == [[0], [1], [2], [3], [4]]
    assert [row.task for row in losses] == [0, 1, 2, 3, 4]
    assert all(len(row.examples) <= STEP_ROWS for step in steps for row in step)
    assert all(len(row.examples) <= LOSS_ROWS for row in losses)
    assert all(len(set(row.examples)) == len(row.examples) for row in losses)


def test_draws_follow_from_seed_and_number(
    mixed: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtl_core.affinity.rows.LOSS_ROWS", 10)

    def drawn(seed: int, number: int) -> list[int]:
        return sorted(ProbeRows(mixed, seed).for_losses(number)[0].examples.tolist())

    assert drawn(1, 1) == drawn(1, 1)
    assert drawn(1, 1) != drawn(1, 2)
    assert drawn(1, 1) != drawn(2, 1)


def test_texts_of_a_row_stand_by_length(mixed: EncodedCorpus) -> None:
    for row in ProbeRows(mixed, seed=1).for_losses(1):
        assert np.all(np.diff(mixed.split(row.task, "dev").lengths[row.examples]) >= 0)


def test_a_task_without_a_labelled_row_is_named(tmp_path: Path) -> None:
    empty = encode(mixed_corpus(missing=1.0), DataConfig(), tmp_path)

    with pytest.raises(ConfigError, match="topic: no train row has a label, so no affinity"):
        ProbeRows(empty, seed=1)
