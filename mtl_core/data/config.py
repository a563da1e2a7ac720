"""What a study reads and how texts become batches: `DataConfig` and `BatchConfig`.

`DataConfig` holds for a whole study (all its trials see the same encoded rows); `BatchConfig` may
differ from trial to trial and so may be searched.
"""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from mtl_core.fields import CLOSED, Count, CountOrZero, Factor, Positive, Share, Switch

OWN = "own"  # in place of the path of a file with vectors


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class CorpusConfig:
    """The built-in corpus: tasks with a planted truth about which of them share (`synthetic.py`).

    Args:
        seed: Another seed is another corpus of the same kind.
        n_tasks: Tasks, laid out in `n_groups` groups of tasks that share their cues.
        rows: Train rows of a large task; small tasks have `rows * small_share`.
        label_noise: Share of labels turned round, in every split.
    """

    seed: CountOrZero = 0
    n_tasks: Count = 8
    n_groups: Count = 2
    rows: Count = 600
    small_share: Positive = 0.25
    dev_rows: Count = 200
    test_rows: Count = 400
    label_noise: Share = 0.05


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class OwnVectorsConfig:
    """Word vectors that are trained on the study's own texts (`own_vectors.py`).

    Args:
        dimension: Width of the vectors, which `encoder.d_word` must be.
        window: Words to either side that a word is to foretell.
        min_count: Occurrences below which a word gets no vector.
    """

    dimension: Count = 128
    epochs: Count = 5
    window: Count = 5
    min_count: Count = 2
    seed: Annotated[int, Field(strict=True, ge=0, le=2**32 - 1)] = 0  # as gensim takes it


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class MlmConfig:
    """How encoders are warmed up on the study's own texts (`encoder.mlm_warm_up`).

    Args:
        steps: Updates; what a warm-up costs.
        batch_size: Texts of an update.
        learning_rate: It rises over the first tenth of the steps, then falls to 0.
        dropout: In the embedding, the layers and the attention alike.
        mask_share: Share of the words that are hidden.
        words: So many of the most frequent words are hidden and foretold.
    """

    steps: Count = 2000
    batch_size: Count = 64
    learning_rate: Positive = 1e-3
    dropout: Share = 0.1
    mask_share: Factor = 0.15
    words: Count = 10_000
    seed: CountOrZero = 0


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class DataConfig:
    """Where the tasks are and how their texts become numbers.

    Args:
        source: "builtin", a task file in YAML, or a folder: FDU-MTL's, GLUE's or CoNLL's files, or
            one folder per task.
        tasks: Names of the tasks to use, in this order; all of them when empty.
        tokenizer: "word" (lower-cased, split at white space), "bpe", or a folder or hub name with
            a tokenizer.json: its words, and its special ones around each text.
        vocabulary_size: Most frequent words kept (word) or merges learnt up to (bpe); None: all.
        min_count: Occurrences in train below which a word is unknown.
        max_words: Texts are cut after this many words, special ones counted.
        dev_share, test_share: Taken from train where a user's folder has no such file.
        split_seed: Seed of those splits.
        exclude_overlap: Leave out the train rows whose texts are in dev or test of any task.
        vectors: GloVe or word2vec text file (plain or .gz) to start the word vectors from, or
            "own": vectors trained on the train texts and on texts without labels beside them.
        own_vectors: How these are trained.
        mlm: How encoders are warmed up on the same texts, where `encoder.mlm_warm_up` asks for it.
    """

    source: str = "builtin"
    builtin: CorpusConfig = Field(default_factory=CorpusConfig)
    tasks: tuple[str, ...] = ()
    tokenizer: str = "word"
    vocabulary_size: Count | None = None
    min_count: Count = 1
    max_words: Count = 400
    dev_share: Share = 0.1
    test_share: Share = 0.2
    split_seed: CountOrZero = 0
    exclude_overlap: Switch = False
    vectors: str | None = None
    own_vectors: OwnVectorsConfig = Field(default_factory=OwnVectorsConfig)
    mlm: MlmConfig = Field(default_factory=MlmConfig)


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class BatchConfig:
    """How the rows of one epoch are put into steps (`batches.py`).

    Args:
        regime: "alternating" (one task a step) or "joint" (one batch of every task a step).
        sampling: Share of a task in an epoch: by its rows, the same for all, or rows^(1/T).
        sampling_temperature: T of "temperature"; 1 is proportional, large is uniform.
        epoch_examples: Examples of all tasks in an epoch, at least one of each; None: as many as
            there are train rows. Epochs of one length make budgets of studies comparable.
        batch_size: Texts of one task in a step, where `token_budget` is None.
        token_budget: Words (padding counted) of one task in a step, in place of `batch_size`.
        bucketing: Put texts of like length together; off, batches are random as published.
    """

    regime: Literal["alternating", "joint"] = "alternating"
    sampling: Literal["proportional", "uniform", "temperature"] = "proportional"
    sampling_temperature: Positive = 2.0
    epoch_examples: Count | None = None
    batch_size: Count = 50
    token_budget: Count | None = None
    bucketing: Switch = True
