"""Random trials in random company come out as the slow reference says.

`reference.py` trains a trial in the obvious way, in double precision; here random trials
(`random_trials.py`) go through the library. BRANCHPOINT_EXAMPLES=300 draws so many other ones.
"""

import os

import numpy as np
import pytest
from agreement import (
    assert_best_are_kept,
    assert_ends_where_it_should,
    assert_epochs_agree,
    assert_learned_agree,
    assert_weights_agree,
)
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_trials import named_plans, trials
from reference import Reference
from schedules import Company, schedules

from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.training.models import copy_parameters
from mtl_core.training.trainer import Trainer

ASKED = int(os.environ.get("BRANCHPOINT_EXAMPLES", "0"))
LABELS = {
    "books": ("bad", "good"),
    "dvd": ("bad", "fine", "good"),
    "music": ("bad", "good"),
    "toys": ("bad", "poor", "fine", "good"),
}
ROWS = {"books": (9, 8), "dvd": (6, 7), "music": (7, 6), "toys": (4, 5)}  # train, dev
TASKS = st.tuples(st.permutations(list(LABELS)), st.sampled_from([4, 3, 2, 1])).map(
    lambda drawn: tuple(drawn[0][: drawn[1]])
)
COUNTS = st.sampled_from([4, 5, 3, 2])  # of lanes


def examples(count: int) -> settings:
    """Return settings that draw the same `count` examples in every run, unless others are asked."""
    return settings(
        max_examples=ASKED or count,
        derandomize=not ASKED,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if ASKED else [Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> EncodedCorpus:
    """Four tasks of a few texts of 1 to 6 words."""
    tasks = tuple(make_task(name, number) for number, name in enumerate(LABELS))
    corpus = Corpus(tasks=tasks, layout="builtin", source="builtin")
    return encode(corpus, DataConfig(max_words=6), tmp_path_factory.mktemp("cache"))


def make_task(name: str, number: int) -> Task:
    rng = np.random.default_rng(number)
    sizes = dict(zip(("train", "dev", "test"), (*ROWS[name], 2), strict=True))
    splits = {split: make_split(LABELS[name], size, rng) for split, size in sizes.items()}
    return Task(name=name, labels=LABELS[name], splits=splits)


def make_split(labels: tuple[str, ...], size: int, rng: np.random.Generator) -> Split:
    lengths = rng.integers(1, 7, size)
    texts = [" ".join(f"w{word}" for word in rng.integers(0, 14, n)) for n in lengths]
    chosen = [labels[at % len(labels)] for at in range(size)]
    return Split(texts=tuple(texts), labels=tuple(chosen), source="builtin")


@examples(25)
@given(data=st.data())
def test_a_trial_alone_is_the_reference(data: st.DataObject, corpus: EncodedCorpus) -> None:
    names = data.draw(TASKS)
    trial = data.draw(trials(names))
    with named_plans([trial]):
        reference = Reference(corpus.select(names), trial.config, trial.seed)
        trainer = Trainer(corpus.select(names), trial.config, seed=trial.seed)

        found = list(trainer.epochs())

        reference.advance(trainer.updater.steps_done)
        assert len(found) == len(reference.results)
        assert_epochs_agree(found, reference.results)
        assert_ends_where_it_should(found, trial.config.training)
        assert_weights_agree(copy_parameters(trainer.model), reference)


@examples(25)
@given(data=st.data())
def test_a_lane_in_any_company_is_the_reference(
    data: st.DataObject, corpus: EncodedCorpus, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = data.draw(TASKS)
    of_lanes = data.draw(COUNTS.flatmap(lambda count: st.tuples(*[trials(names)] * count)))
    events = data.draw(schedules(len(of_lanes)))
    company = Company(corpus.select(names), of_lanes, tmp_path_factory.getbasetemp())
    with named_plans(of_lanes):
        company.play(events)

        for number, member in company.members.items():
            trial = of_lanes[number]
            reference = Reference(corpus.select(names), trial.config, trial.seed)
            if member.spoiled:
                reference.finish()
            else:
                reference.advance(member.steps)
                assert_weights_agree(member.weights, reference)
                assert_learned_agree(member.learned, reference)
            assert_epochs_agree(member.results, reference.results)
            assert_ends_where_it_should(member.results, trial.config.training)
            assert_best_are_kept(member.best, member.results)
            assert not member.open or member.failed or member.results[-1].ended
