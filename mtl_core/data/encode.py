"""A corpus becomes the file of `encoded.py`: texts as word ids, labels as targets, once for all.

The file's name is a hash of all that went into it, so it is made once; `cache.py` says where it is
kept.
"""

import json
import zlib
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tokenizers import Tokenizer

from mtl_core.data.cache import keep
from mtl_core.data.config import DataConfig
from mtl_core.data.duplicates import seen_in_train
from mtl_core.data.encoded import FORMAT, SCHEMA, EncodedCorpus, EncodedSplit, TaskInfo, hash_of
from mtl_core.data.pretrained_tokenizer import tokenizer_hash
from mtl_core.data.targets import encode_targets, unread_tag, value_scale
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.data.tokenizer import build_tokenizer, is_pretrained
from mtl_core.data.word_ids import encode_rows


def encode(corpus: Corpus, config: DataConfig, cache: Path | None = None) -> EncodedCorpus:
    """Return the encoded corpus, from the cache where it has been encoded before.

    Args:
        cache: Folder of the file; $BRANCHPOINT_CACHE or ~/.cache/branchpoint when None.
    """
    name = tokenizer_hash(config) if is_pretrained(config) else config.tokenizer
    settings = (name, config.vocabulary_size, config.min_count, config.max_words)
    fingerprint = hash_of(FORMAT, corpus.content_hash(), *settings)

    def write(path: Path) -> None:
        _write(path, corpus, config, fingerprint)

    return EncodedCorpus(keep(f"{fingerprint}.arrow", write, _is_intact, cache))


def _write(path: Path, corpus: Corpus, config: DataConfig, fingerprint: str) -> None:
    train = (task.splits["train"] for task in corpus.tasks)
    texts = chain.from_iterable((*split.texts, *split.seconds) for split in train)
    tokenizer = build_tokenizer(texts, config)
    seen = seen_in_train(corpus)
    keys = [(task, split) for task in corpus.tasks for split in task.splits]
    splits = [
        _encode_split(
            tokenizer, task, task.splits[split], config.max_words, seen.get((task.name, split))
        )
        for task, split in keys
    ]
    about = {
        "fingerprint": fingerprint,
        "max_words": config.max_words,
        "vocabulary_size": 1 + max(tokenizer.get_vocab().values()),  # ids may have gaps
        "tasks": [asdict(_info(task)) for task in corpus.tasks],
        "splits": [(task.name, split) for task, split in keys],
        "checksums": [split.checksum() for split in splits],
    }
    metadata = {"branchpoint": json.dumps(about), "tokenizer": tokenizer.to_str()}
    metadata["checksum"] = str(zlib.crc32("".join(metadata.values()).encode()))
    schema = SCHEMA.with_metadata(metadata)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as file:
        for split in splits:
            file.write_batch(split.record_batch(schema))


def _encode_split(
    tokenizer: Tokenizer,
    task: Task,
    rows: Split,
    max_words: int,
    seen: NDArray[np.bool_] | None,
) -> EncodedSplit:
    found = encode_rows(tokenizer, rows, task.kind, max_words)
    targets = encode_targets(task, rows, found.starts)
    lengths = np.fromiter(map(len, found.ids), dtype=np.int64, count=len(rows))
    return EncodedSplit(
        words=np.fromiter(chain.from_iterable(found.ids), dtype=np.int32, count=int(lengths.sum())),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        seconds=np.array(found.seconds, dtype=np.int32),
        targets=targets.values,
        target_offsets=targets.offsets,
        seen_in_train=np.zeros(len(rows), dtype=np.bool_) if seen is None else seen,
    )


def _info(task: Task) -> TaskInfo:
    mean, spread = value_scale(task)
    return TaskInfo(
        task.name,
        task.kind,
        task.metric,
        task.labels,
        task.of_pairs,
        mean=mean,
        spread=spread,
        unread_tag=unread_tag(task),
    )


def _is_intact(path: Path) -> bool:
    try:
        return EncodedCorpus(path).is_whole()
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return False  # cut short, overwritten, or no such file: it is written anew
