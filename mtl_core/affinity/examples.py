"""Dev texts with what the task tokens attend to, word by word, for a reader to look at.

One text of each of the first tasks: the first labelled dev row that is neither very short nor
longer than what is shown, whatever the model makes of it. Test texts are never shown.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from tokenizers import Tokenizer

from mtl_core.affinity.rows import labelled_rows
from mtl_core.affinity.token_attention import text_attention
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Row
from mtl_core.data.task import Corpus
from mtl_core.data.tokenizer import UNKNOWN
from mtl_core.data.wide import wide_features
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.training.config import TrialConfig
from mtl_core.training.predictor import Predictor

WORDS = 40  # shown of a text
_FEWEST = 5
_TASKS = 8


@dataclass(frozen=True, kw_only=True)
class Example:
    """A dev text and its attention.

    Args:
        label, predicted: As the task's files write labels, cut as the text is.
        words: The first of the text, as they are written; or its pieces.
        tokens: The tasks whose tokens stand before the words.
        weights: What each token gives to each word, mean over heads and layers; what is missing to
            1 went to tokens, or to words that are not shown.
    """

    task: str
    label: str
    predicted: str
    words: tuple[str, ...]
    tokens: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]


def examples(
    model: MultiTaskEncoder,
    config: TrialConfig,
    corpus: Corpus,
    encoded: EncodedCorpus,
) -> Iterator[Example]:
    """Yield a dev text of each of the first tasks, for a model with task tokens, on the CPU."""
    tokenizer = Tokenizer.from_str(encoded.tokenizer_json)
    predictor = _predictor(model, config, encoded, tokenizer)
    for task, info in enumerate(encoded.tasks[:_TASKS]):
        row = _row(encoded, task)
        rows = corpus.tasks[task].splits["dev"]
        (weights,) = text_attention(model, encoded, Row(task, np.array([row])))
        tokens = [encoded.names[token] for token in model.plan.tokens_of(task)]
        shown = weights[:, len(tokens) : len(tokens) + WORDS]
        text, second = rows.texts[row], rows.seconds[row : row + 1]
        (said,) = predictor.predict(info.name, [text], list(second))
        split = encoded.split(task, "dev")
        ids = split.words[split.offsets[row] : split.offsets[row + 1]].tolist()
        yield Example(
            task=info.name,
            label=_cut(rows.labels[row]),
            predicted=_cut(said.label),
            words=tuple(_words(tokenizer, ids, " ".join((text, *second)))[:WORDS]),
            tokens=tuple(tokens),
            weights=tuple(tuple(round(w, 4) for w in of_token) for of_token in shown.tolist()),
        )


def _predictor(
    model: MultiTaskEncoder, config: TrialConfig, encoded: EncodedCorpus, tokenizer: Tokenizer
) -> Predictor:
    values = {
        "about": {},
        "config": config.as_dict(),
        "tasks": [asdict(task) for task in encoded.tasks],
        "max_words": encoded.max_words,
    }
    wide = config.encoder.wide
    ngrams = wide_features(encoded, config.encoder.wide_ngrams).ngrams if wide else None
    return Predictor(model, values, tokenizer, ngrams)


def _row(encoded: EncodedCorpus, task: int) -> int:
    """Return the dev row to show."""
    split = encoded.split(task, "dev")
    known = labelled_rows(split, encoded.tasks[task].kind)
    lengths = split.lengths[known]
    fit = known[(lengths >= _FEWEST) & (lengths <= WORDS)]
    return int(fit[0] if len(fit) else known[0])


def _words(tokenizer: Tokenizer, ids: list[int], text: str) -> list[str]:
    """Return the words of the text as they are written, where an id is a word; else its pieces."""
    written = text.split()
    if len(written) >= len(ids) and _is_word_by_word(tokenizer, ids, written):
        return written[: len(ids)]
    return [tokenizer.decode([at], skip_special_tokens=False).strip() or "·" for at in ids]


def _is_word_by_word(tokenizer: Tokenizer, ids: list[int], written: list[str]) -> bool:
    found = [tokenizer.token_to_id(word.lower()) for word in written[: len(ids)]]
    return all(at in (one, UNKNOWN) for at, one in zip(ids, found, strict=True))


def _cut(label: str) -> str:
    words = label.split(" ")
    return " ".join(words[:WORDS]) + (" ..." if len(words) > WORDS else "")
