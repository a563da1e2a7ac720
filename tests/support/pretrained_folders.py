"""Tiny pretrained encoders of each family, random and as `transformers` saves them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.task import Corpus, Split, Task

FAMILIES = ("bert", "roberta", "distilbert", "minilm")
WORDS = [f"w{number}" for number in range(20)]
D, L, T = 12, 3, 16  # width, layers, positions of a text
_SPECIAL = {  # in the order of their ids
    "bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]"],
    "roberta": ["<s>", "<pad>", "</s>", "<unk>"],
}


def make_folder(folder: Path, family: str, **changes: Any) -> Path:
    """Write config, weights and tokenizer of a random encoder; norms are random too."""
    model = _model(family, changes)
    with torch.no_grad():
        for name, table in model.named_parameters():
            around = 1.0 if name.endswith("LayerNorm.weight") or "norm.weight" in name else 0.0
            table.normal_(around, 0.3)
    model.save_pretrained(folder)
    tokenizer(family).save(str(folder / "tokenizer.json"))
    return folder


def load_with_transformers(folder: Path) -> Any:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    return transformers.AutoModel.from_pretrained(folder).eval()


def tokenizer(family: str) -> Tokenizer:
    """Return a tokenizer of whole words with the special words of the family."""
    special = _SPECIAL["roberta" if family == "roberta" else "bert"]
    ids = {word: at for at, word in enumerate([*special, *WORDS])}
    first, last, unknown = (
        ("<s>", "</s>", "<unk>") if family == "roberta" else ("[CLS]", "[SEP]", "[UNK]")
    )
    made = Tokenizer(models.WordLevel(ids, unk_token=unknown))
    made.add_special_tokens(special)
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(first, ids[first]), (last, ids[last])],
    )
    return made


def encode_with(folder: Path, cache: Path, *, pairs: bool = False) -> EncodedCorpus:
    """Return two tasks, of as many classes as the encoder is wide, encoded for the encoder.

    Some words occur in dev only, or in train of one task only.
    """
    labels = tuple(f"{number:02}" for number in range(D))
    tasks = []
    for at, name in enumerate(("books", "music")):
        train = _split(WORDS[4 * at : 4 * at + 12], labels, 24, pairs=pairs)
        dev = _split(WORDS, labels, 12, pairs=pairs)
        tasks.append(
            Task(name=name, labels=labels, splits={"train": train, "dev": dev, "test": dev})
        )
    corpus = Corpus(tasks=tuple(tasks), layout="builtin", source="builtin")
    return encode(corpus, DataConfig(tokenizer=str(folder), max_words=10), cache)


def _split(words: list[str], labels: tuple[str, ...], rows: int, *, pairs: bool) -> Split:
    texts = [
        " ".join(words[(row + at) % len(words)] for at in range(row % 9)) for row in range(rows)
    ]
    chosen = [labels[row % len(labels)] for row in range(rows)]
    seconds = tuple(text[: len(text) // 2].strip() for text in texts[::-1]) if pairs else ()
    return Split(texts=tuple(texts), labels=tuple(chosen), source="builtin", seconds=seconds)


def _model(family: str, changes: dict[str, Any]) -> Any:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    n_words = len(WORDS) + 4
    if family == "distilbert":
        config = transformers.DistilBertConfig(
            vocab_size=n_words,
            dim=D,
            n_layers=L,
            n_heads=2,
            hidden_dim=20,
            max_position_embeddings=T,
            **changes,
        )
        return transformers.DistilBertModel(config)
    sizes = {
        "vocab_size": n_words,
        "hidden_size": D,
        "num_hidden_layers": L,
        "num_attention_heads": 4 if family == "minilm" else 2,
        "intermediate_size": 4 * D if family == "minilm" else 20,
        "max_position_embeddings": T,
    }
    if family == "roberta":
        sizes |= {"max_position_embeddings": T + 2, "type_vocab_size": 1, "pad_token_id": 1}
        config = transformers.RobertaConfig(**(sizes | {"layer_norm_eps": 1e-5} | changes))
        return transformers.RobertaModel(config)
    return transformers.BertModel(transformers.BertConfig(**(sizes | changes)))
