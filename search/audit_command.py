"""`branchpoint audit`: what is in the task files, and what is wrong with them."""

import json
from collections.abc import Sequence

from rich.console import Console

from mtl_core.data.audit import audit
from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.readers import read_corpus
from search.space import parse_space


def print_audit(source: str, *, overrides: Sequence[str] = (), as_json: bool = False) -> None:
    """Print the audit of the tasks in the folder `source`, or of the built-in corpus.

    Args:
        overrides: `KEY=VALUE` for keys of `data`, such as `data.max_words=200`.

    Raises:
        ConfigError: The folder or its files are at fault.
    """
    config = parse_space("name: audit\n", source="audit", overrides=overrides, data=source).data
    corpus = read_corpus(config)
    found = audit(corpus, None if _counts_alike(config) else encode(corpus, config), config)
    if as_json:
        print(json.dumps(found.as_dict(), indent=1))
        return
    console = Console()
    for table in found.tables():
        console.print(table)


def _counts_alike(config: DataConfig) -> bool:
    """Say whether the texts tell all that their code does: every word has an id of its own."""
    every_word = config.vocabulary_size is None and config.min_count == 1
    return config.tokenizer == "word" and every_word
