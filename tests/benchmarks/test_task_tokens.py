"""Why L-E trails L-I, and what mends it: forms of `layerwise_explicit` trained on the same seeds.

    python tests/benchmarks/test_task_tokens.py [--corpus builtin groups alike many fdu]
        [--forms L-I L-E own ...] [--seeds 0 1 2] [--words 40] [--look]

Every form starts from the same weights and sees the same batches; a seed is also another made-up
corpus. Printed are dev scores at the best epoch and at the last, with standard errors over the
seeds, and the difference to L-I seed by seed. With `--look` trainings are looked into instead:
what share of their attention words and tokens give to tokens at the end, and how large the gradient
of the tokens of the others is beside that of the own.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import DATA, FDU_MTL, builtin
from machine import describe, make_console
from numpy.typing import NDArray
from rich.table import Table
from token_use import by_layer, gates_of, token_use

from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.readers import read_corpus
from mtl_core.data.vectors import vectors_for
from mtl_core.training.config import TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.models import WordVectors

FORMS: dict[str, dict[str, Any]] = {
    "S-C": {"structure": "stack_cls"},
    "L-I": {"structure": "layerwise_implicit"},
    "L-E": {"structure": "layerwise_explicit"},
    "own": {"token_attention": "own"},
    "none": {"token_attention": "none"},
    "detached": {"other_tokens": "detached"},
    "gated": {"other_tokens": "gated"},
    "own, detached": {"token_attention": "own", "other_tokens": "detached"},
    "own, gated": {"token_attention": "own", "other_tokens": "gated"},
    "none, detached": {"token_attention": "none", "other_tokens": "detached"},
    "none, gated": {"token_attention": "none", "other_tokens": "gated"},
}
BUILTIN: dict[str, dict[str, int]] = {
    "builtin": {},
    "groups": {"n_groups": 4},
    "alike": {"n_groups": 1},
    "many": {"n_tasks": 16, "n_groups": 4},
}
SMALL = {  # that of spaces/layerwise.yaml
    "encoder": {
        "n_layers": 3,
        "d_model": 32,
        "d_word": 32,
        "n_heads": 2,
        "d_ff": 64,
        "dropout_embedding": 0.1,
        "dropout": 0.0,
        "dropout_attention": 0.0,
        "dropout_head": 0.1,
    },
    "batches": {"batch_size": 32},
    "training": {
        "learning_rate": 2e-3,
        "word_learning_rate": 3e-3,
        "lr_schedule": "linear",
        "warmup": 0.1,
        "epochs": 10,
    },
}
FDU = {
    "encoder": {
        "n_layers": 2,
        "d_model": 32,
        "d_word": 50,
        "n_heads": 2,
        "d_ff": 64,
        "dropout_embedding": 0.3,
        "dropout": 0.0,
        "dropout_attention": 0.0,
        "dropout_head": 0.3,
    },
    "batches": {"batch_size": 50},
    "training": {
        "learning_rate": 2e-3,
        "word_learning_rate": 1e-3,
        "lr_schedule": "linear",
        "warmup": 0.1,
        "epochs": 3,
    },
}


@dataclass(frozen=True)
class Setting:
    """A corpus of a seed, and what is trained on it."""

    corpus: EncodedCorpus
    values: dict[str, Any]
    vectors: WordVectors | None = None

    def config(self, form: str) -> TrialConfig:
        sharing = {"structure": "layerwise_explicit"} | FORMS[form]
        return TrialConfig.from_dict(self.values | {"sharing": sharing})


def settings(name: str, seed: int, folder: Path, max_words: int = 40) -> Setting:
    """Return a corpus by name; a made-up one is another one for each seed."""
    if name != "fdu":
        return Setting(builtin(folder / f"{name}-{seed}", seed=seed, **BUILTIN[name]), SMALL)
    data = DataConfig(source=str(FDU_MTL), max_words=max_words, min_count=2)
    corpus = encode(read_corpus(data), data, folder)
    file = DATA / "vectors" / "glove.6B.50d.top10k.txt.gz"
    vectors = vectors_for(corpus, file)
    return Setting(corpus, FDU, vectors)


def dev_scores(setting: Setting, forms: Sequence[str], seed: int) -> dict[str, list[float]]:
    """Return the mean dev score of the tasks after each epoch, by form; all train side by side."""
    engine = Engine(setting.corpus, vectors=setting.vectors)
    lanes = {engine.open(setting.config(form), seed, keep_best=False): form for form in forms}
    scores: dict[str, list[float]] = {form: [] for form in forms}
    while engine.lanes:
        engine.step()
        for lane, result in engine.results():
            if isinstance(result, Exception):
                raise result
            scores[lanes[lane]].append(result.average)
            if result.ended:
                engine.close(lane)
    return scores


def score_table(name: str, scores: dict[str, NDArray[np.float64]]) -> Table:
    """Return a row for each form.

    Args:
        scores: In percent, (seeds, epochs).
    """
    seeds = len(next(iter(scores.values())))
    table = Table(title=f"{name}: dev score in percent, {seeds} seeds, mean (standard error)")
    for column in ("form", "best epoch", "minus L-I", "last epoch", "minus L-I"):
        table.add_column(column, justify="left" if column == "form" else "right")
    for form, found in scores.items():
        cells = []
        for of_seeds, base in zip(_two(found), _two(scores["L-I"]), strict=True):
            cells += [with_error(of_seeds), with_error(of_seeds - base) if form != "L-I" else ""]
        table.add_row(form, *cells)
    return table


def _two(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return scores.max(1), scores[:, -1]


def with_error(values: NDArray[np.float64]) -> str:
    """Return mean and standard error of one number for each seed."""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():.2f} ({error:.2f})"


def looked_into(setting: Setting, forms: Sequence[str], seed: int) -> Table:
    """Train each form, and return what its words and tokens attend to at the end, by layer."""
    table = Table(title="attention on dev texts in percent, layer by layer")
    for column in ("form", "words to own", "words to others", "own to others", "own to words"):
        table.add_column(column)
    for column in ("gradient of others / own", "gates"):
        table.add_column(column, justify="right")
    for form in forms:
        engine = Engine(setting.corpus, vectors=setting.vectors)
        lane = engine.open(setting.config(form), seed, keep_best=False)
        while lane.ended is None:
            engine.step()
            engine.results()
        use = token_use(lane.model, engine.around.dev)
        shares = (use.words_to_own, use.words_to_others, use.own_to_others, use.own_to_words)
        ratio = f"{np.mean(use.gradient):.3f}" if use.gradient else ""
        table.add_row(form, *map(by_layer, shares), ratio, gates_of(lane.model))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", choices=[*BUILTIN, "fdu"], nargs="+", default=["builtin"])
    parser.add_argument("--forms", choices=FORMS, nargs="+", default=[*FORMS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--words", type=int, default=40, help="of a text of FDU-MTL, at most")
    parser.add_argument("--look", action="store_true")
    given = parser.parse_args()
    console, forms = make_console(), list(dict.fromkeys(["L-I", *given.forms]))
    for name in given.corpus:
        scores: dict[str, list[list[float]]] = {form: [] for form in forms}
        with tempfile.TemporaryDirectory() as folder:
            for seed in given.seeds:
                setting = settings(name, seed, Path(folder), given.words)
                if given.look:
                    console.print(looked_into(setting, forms, seed))
                    continue
                found = dev_scores(setting, forms, seed)
                for form in forms:
                    scores[form].append(found[form])
                points = {
                    form: np.round(100 * np.array(of), 2).tolist() for form, of in found.items()
                }
                print(f"{name}, seed {seed}: {points}", flush=True)
        if not given.look:
            console.print(score_table(name, {f: 100 * np.array(s) for f, s in scores.items()}))
    console.print(describe())


def test_every_form_trains_and_can_be_looked_into(tmp_path: Path) -> None:
    sizes = {"n_tasks": 4, "rows": 12, "dev_rows": 6, "test_rows": 2}
    training = SMALL["training"] | {"epochs": 1}
    setting = Setting(builtin(tmp_path, **sizes), SMALL | {"training": training})

    scores = dev_scores(setting, [*FORMS], seed=0)
    table = looked_into(setting, ["L-I", "L-E", "own", "gated"], seed=0)

    assert {len(of_form) for of_form in scores.values()} == {1}
    to_own, to_others = (list(table.columns[at].cells) for at in (1, 2))
    assert all(float(cell.split(",")[0]) > 0 for cell in to_own)
    first = [float(cell.split(",")[0]) for cell in to_others]
    assert [share > 5 for share in first] == [False, True, False, False]  # own hides, gates shut


@pytest.mark.slow
def test_with_gates_layerwise_explicit_keeps_up_with_layerwise_implicit(tmp_path: Path) -> None:
    found = [
        dev_scores(settings("builtin", seed, tmp_path), ["L-I", "L-E", "gated"], seed)
        for seed in range(4, 10)
    ]

    best = {form: np.mean([max(of_seed[form]) for of_seed in found]) for form in found[0]}

    print(best)
    assert best["gated"] > best["L-E"]
    assert best["gated"] > best["L-I"] - 0.02


if __name__ == "__main__":
    main()
