"""Why L-E trails L-I, and what mends it: forms of `layerwise_explicit` trained on the same seeds.

    python tests/benchmarks/test_task_tokens.py [--corpus builtin groups alike many fdu]
        [--forms L-I L-E own ...] [--seeds 8] [--layers 2] [--look]

Every form starts from the same weights and sees the same batches; a seed is also another made-up
corpus. Printed are dev scores at the best epoch and at the last, with standard errors over the
seeds, and the difference to L-I seed by seed. With `--look` a training is looked into instead: what
share of their attention words give to tokens, and how far tokens have moved from their start.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from corpora import DATA, FDU_MTL, builtin
from machine import describe, make_console
from numpy.typing import NDArray
from rich.table import Table

from mtl_core.data.config import DataConfig
from mtl_core.data.encoded import EncodedCorpus, encode
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
        "d_model": 64,
        "d_word": 50,
        "n_heads": 4,
        "d_ff": 128,
        "dropout_embedding": 0.3,
        "dropout": 0.1,
        "dropout_attention": 0.1,
        "dropout_head": 0.3,
    },
    "batches": {"batch_size": 50},
    "training": {
        "learning_rate": 1e-3,
        "word_learning_rate": 1e-3,
        "lr_schedule": "linear",
        "warmup": 0.1,
        "epochs": 6,
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


def settings(name: str, seed: int, folder: Path, n_layers: int | None = None) -> Setting:
    """Return a corpus by name; a made-up one is another one for each seed."""
    if name != "fdu":
        return Setting(builtin(folder / f"{name}-{seed}", seed=seed, **BUILTIN[name]), SMALL)
    data = DataConfig(source=str(FDU_MTL), max_words=128, min_count=2)
    corpus = encode(read_corpus(data), data, folder)
    file = DATA / "vectors" / "glove.6B.50d.top10k.txt.gz"
    vectors = vectors_for(corpus, file)
    encoder = FDU["encoder"] | ({"n_layers": n_layers} if n_layers else {})
    return Setting(corpus, FDU | {"encoder": encoder}, vectors)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", choices=[*BUILTIN, "fdu"], nargs="+", default=["builtin"])
    parser.add_argument("--forms", choices=FORMS, nargs="+", default=[*FORMS])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--layers", type=int)
    parser.add_argument("--look", action="store_true")
    given = parser.parse_args()
    console, forms = make_console(), list(dict.fromkeys(["L-I", *given.forms]))
    for name in given.corpus:
        scores: dict[str, list[list[float]]] = {form: [] for form in forms}
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(given.seeds):
                setting = settings(name, seed, Path(folder), given.layers)
                found = dev_scores(setting, forms, seed)
                for form in forms:
                    scores[form].append(found[form])
                print(
                    seed, {form: round(100 * max(of), 2) for form, of in found.items()}, flush=True
                )
        console.print(score_table(name, {f: 100 * np.array(s) for f, s in scores.items()}))
    console.print(describe())


if __name__ == "__main__":
    main()
