"""The built-in corpus is the same everywhere, and its planted truth is in it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtl_core.data.config import CorpusConfig
from mtl_core.data.made_up_words import make_words
from mtl_core.data.synthetic import PART, PlantedTruth, generate, planted_truth, write_folders
from mtl_core.data.task import Corpus
from mtl_core.seeding import stream

CLEAN = CorpusConfig(rows=200, dev_rows=40, test_rows=300, label_noise=0.0)

Reader = Callable[[str, str], list[str]]  # (task name, text) -> the words it looks at


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate(CLEAN)


@pytest.fixture(scope="module")
def truth() -> PlantedTruth:
    return planted_truth(CLEAN)


def part_read(truth: PlantedTruth) -> Reader:
    def words(task: str, text: str) -> list[str]:
        start = PART * truth.reads[task]
        return text.split()[start : start + PART]

    return words


def accuracy(corpus: Corpus, leanings: Callable[[str], dict[str, int]], words: Reader) -> float:
    """Accuracy on test of adding up leanings of cues, where they say anything half right if not."""
    scores = []
    for task in corpus.tasks:
        rows, lean = task.splits["test"], leanings(task.name)
        for text, label in zip(rows.texts, rows.labels, strict=True):
            total = sum(lean.get(word, 0) for word in words(task.name, text))
            scores.append(0.5 if total == 0 else float((total > 0) == (label == "pos")))
    return float(np.mean(scores))


def leanings_of(truth: PlantedTruth, group: int) -> dict[str, int]:
    contradicting = {cue: ways[group] for cue, ways in truth.contradicting_cues.items()}
    return truth.shared_cues | contradicting


def group_of(truth: PlantedTruth, task: str) -> int:
    return next(at for at, names in enumerate(truth.groups) if task in names)


def test_tasks_rows_and_names_are_those_of_the_configuration(corpus: Corpus) -> None:
    assert len(corpus.names) == len(set(corpus.names)) == 8
    assert {len(task.splits["train"]) for task in corpus.tasks} == {200, 50}
    assert {len(task.splits["dev"]) for task in corpus.tasks} == {40}
    assert {len(task.splits["test"]) for task in corpus.tasks} == {300}
    assert corpus.layout == "builtin"


@pytest.mark.parametrize("n_groups", [1, 2, 3, 5, 9])
def test_any_number_of_tasks_and_groups_works(n_groups: int) -> None:
    config = CorpusConfig(n_tasks=5, n_groups=n_groups, rows=12, dev_rows=4, test_rows=4)

    truth = planted_truth(config)

    assert sorted(name for names in truth.groups for name in names) == sorted(
        generate(config).names
    )
    assert bool(truth.contradicting_cues) == (n_groups > 1)
    assert all(len(set(ways)) == 2 for ways in truth.contradicting_cues.values())


def test_splits_are_balanced_before_the_noise(corpus: Corpus) -> None:
    for task in corpus.tasks:
        for rows in task.splits.values():
            assert rows.labels.count("pos") == rows.labels.count("neg")


def test_no_text_occurs_twice_in_the_whole_corpus(corpus: Corpus) -> None:
    texts = [text for task in corpus.tasks for rows in task.splits.values() for text in rows.texts]

    assert len(texts) == len(set(texts))


def test_texts_are_short_and_of_plain_letters(corpus: Corpus) -> None:
    texts = corpus.tasks[0].splits["train"].texts

    assert all(13 <= len(text.split()) <= 15 for text in texts)
    assert all(word.isascii() and word.isalpha() for text in texts for word in text.split())


def test_the_right_cues_in_the_right_part_decide_every_label(
    corpus: Corpus, truth: PlantedTruth
) -> None:
    right = accuracy(corpus, lambda t: leanings_of(truth, group_of(truth, t)), part_read(truth))

    assert right == 1.0


def test_without_knowing_the_part_a_third_of_the_labels_is_missed(
    corpus: Corpus, truth: PlantedTruth
) -> None:
    score = accuracy(
        corpus, lambda t: leanings_of(truth, group_of(truth, t)), lambda _, text: text.split()
    )

    assert 0.62 < score < 0.75


def test_the_other_groups_cues_are_little_better_than_chance(
    corpus: Corpus, truth: PlantedTruth
) -> None:
    score = accuracy(corpus, lambda t: leanings_of(truth, 1 - group_of(truth, t)), part_read(truth))

    assert score < 0.65


def test_cues_that_contradict_are_worth_nothing_to_one_lexicon_for_all_tasks(
    corpus: Corpus, truth: PlantedTruth
) -> None:
    one = {cue: ways[0] for cue, ways in truth.contradicting_cues.items()}
    own = [{cue: w[g] for cue, w in truth.contradicting_cues.items()} for g in range(2)]

    pooled = accuracy(corpus, lambda _: one, part_read(truth))
    per_group = accuracy(corpus, lambda task: own[group_of(truth, task)], part_read(truth))

    assert abs(pooled - 0.5) < 0.05
    assert per_group > 0.7


def test_small_tasks_see_a_cue_in_their_part_a_few_times_only(truth: PlantedTruth) -> None:
    corpus = generate(CorpusConfig())
    small = min(corpus.tasks, key=lambda task: len(task.splits["train"]))
    words = [w for text in small.splits["train"].texts for w in part_read(truth)(small.name, text)]

    n_cues = len(truth.shared_cues) + len(truth.contradicting_cues)
    seen = sum(word in leanings_of(truth, 0) for word in words)

    assert seen / n_cues < 7


def test_label_noise_turns_round_its_share_of_labels() -> None:
    config = CorpusConfig(rows=500, label_noise=0.2, test_rows=500)
    noisy, truth = generate(config), planted_truth(config)

    right = accuracy(noisy, lambda t: leanings_of(truth, group_of(truth, t)), part_read(truth))

    assert abs(right - 0.8) < 0.02


def test_another_seed_is_another_corpus_of_the_same_kind() -> None:
    first, second = (generate(CorpusConfig(rows=20, test_rows=4, seed=seed)) for seed in (0, 1))

    assert first.names == second.names
    assert first.content_hash() != second.content_hash()


def test_more_rows_keep_the_rows_there_were() -> None:
    few, more = (generate(CorpusConfig(rows=rows, n_tasks=1)) for rows in (20, 30))

    assert more.tasks[0].splits["train"].texts[:20] == few.tasks[0].splits["train"].texts


def test_the_corpus_is_that_of_other_machines() -> None:
    program = (
        "from mtl_core.data.config import CorpusConfig\n"
        "from mtl_core.data.synthetic import generate\n"
        "print(generate(CorpusConfig()).content_hash())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert run.stdout.strip() == generate(CorpusConfig()).content_hash()
    assert run.stdout[:16] == "e43dbc11b187fa99"


def test_folders_are_those_a_user_would_have(
    corpus: Corpus, truth: PlantedTruth, tmp_path: Path
) -> None:
    write_folders(corpus, truth, tmp_path)

    task = corpus.tasks[0]
    lines = (tmp_path / task.name / "dev.tsv").read_text(encoding="utf-8").splitlines()
    rows = task.splits["dev"]
    assert lines[0] == "text\tlabel"
    assert lines[1:] == [f"{x}\t{y}" for x, y in zip(rows.texts, rows.labels, strict=True)]
    written = json.loads((tmp_path / "planted_truth.json").read_text())
    assert written["reads"] == truth.reads
    assert written["structure"] == "layerwise_implicit"


def test_made_up_words_are_different_and_can_be_spoken() -> None:
    words = make_words(5000, stream(0, "words"))

    assert len(set(words)) == 5000
    assert all(vowel in "aeiou" for word in words for vowel in word[1::2])
    assert make_words(10, stream(0, "words")) == words[:10]
