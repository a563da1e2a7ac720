"""A small corpus with a task of every kind, each of which can be learnt from single words."""

import random

from mtl_core.data.task import NO_LABEL, Corpus, Split, Task

WORDS = [f"w{number}" for number in range(12)]
LABELS = {
    "topic": ("a", "b", "c"),
    "same": ("no", "yes"),
    "marks": ("m", "n"),
    "value": (),
    "tags": ("B-X", "I-X", "O"),
}
KINDS = {"marks": "multilabel", "value": "regression", "tags": "tagging"}
METRICS = {"marks": "micro_f1", "value": "pearson", "tags": "entity_f1"}


def mixed_corpus(*, rows: int = 60, missing: float = 0.0, seed: int = 0) -> Corpus:
    """Return tasks of classes, pairs, several labels, values and tags.

    Args:
        missing: Share of the train rows without a label.
    """
    rng = random.Random(seed)
    tasks = []
    for name, labels in LABELS.items():
        counts = {"train": rows, "dev": rows // 2, "test": rows // 2}
        splits = {
            split: _split(name, count, rng, missing if split == "train" else 0.0)
            for split, count in counts.items()
        }
        kind = KINDS.get(name, "classification")
        metric = METRICS.get(name, "accuracy")
        tasks.append(Task(name=name, kind=kind, metric=metric, labels=labels, splits=splits))
    return Corpus(tasks=tuple(tasks), layout="folders", source="here")


def _split(name: str, rows: int, rng: random.Random, missing: float) -> Split:
    made = [_row(name, rng) for _ in range(rows)]
    labels = [NO_LABEL if rng.random() < missing else label for _, _, label in made]
    return Split(
        texts=tuple(text for text, _, _ in made),
        seconds=tuple(second for _, second, _ in made) if name == "same" else (),
        labels=tuple(labels),
        source=f"{name}.tsv",
    )


def _row(name: str, rng: random.Random) -> tuple[str, str, str]:
    words = rng.choices(WORDS, k=rng.randint(2, 8))
    text, second = " ".join(words), ""
    if name == "topic":
        at = rng.randrange(3)
        return f"{WORDS[at]} {' '.join(rng.choices(WORDS[3:], k=4))}", second, "abc"[at]
    if name == "same":
        second = rng.choice(WORDS[:2])
        first = rng.choice(WORDS[:2])
        return first, second, "yes" if first == second else "no"
    if name == "marks":
        holding = [mark for mark, word in (("m", "w0"), ("n", "w1")) if word in words]
        return text, second, "|".join(holding) or "|"
    if name == "value":
        return text, second, str(10 + 2 * words.count("w0") - 3 * words.count("w1"))
    tags = []
    for word in words:
        inside = bool(tags) and tags[-1] != "O" and word == "w1"
        tags.append("I-X" if inside else "B-X" if word in ("w0", "w1") else "O")
    return text, second, " ".join(tags)
