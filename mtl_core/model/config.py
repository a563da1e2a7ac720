"""Sizes and dropouts of the encoder, and the name of the way its tasks share."""

from typing import Literal

from pydantic.dataclasses import dataclass

from mtl_core.fields import CLOSED, Count, CountOrZero, Positive, Share, Switch


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class EncoderConfig:
    """The published encoder is the default: pre-norm, ReLU, learned positions (Sun, 2019).

    Args:
        pretrained: Folder or hub name of a pretrained encoder of the BERT family, whose sizes are
            then those of this one (`pretrained.resolve`); a smaller `n_layers` takes its lowest.
        mlm_warm_up: Start from an encoder of these sizes that has learnt, on the study's own texts,
            to foretell hidden words; `data.mlm` says how.
        d_word: Width of the word vectors, which a linear layer brings to `d_model`.
        dropout_embedding: After words, positions and tokens are put together.
        dropout: After attention and inside and after the feed-forward part.
        dropout_attention: On the attention weights.
        dropout_head: On the sentence vector before the head.
        freeze_words: Keep the word vectors as they start.
        mean_over_padding: S-P averages padding too, as the published code did; for reproduction.
        norm: "pre": before attention and feed-forward part, and a final one; "post": after them
            and after the embedding, which then has no projection (BERT).
        activation: Between the two products of the feed-forward part.
        norm_eps: Added to the variance in every norm.
        n_types: Kinds of text that words are marked with; 2 tell the texts of a pair apart.
        wide: Let each head see the text's n-grams beside the sentence vector (`wide.py`).
        wide_ngrams: Words of the longest n-grams.
        wide_buckets: Rows of a bank's table, into which its n-grams are hashed.
        wide_sharing: A weight for all tasks with the same label set, one per task, or both.
        wide_class_ratio: Scale n-grams by how much they tell of the classes (`class_ratio.py`).
        dropout_wide: On whole n-grams of a text.
        precision: Type of the matrix products; "auto" is what is fast on the device
            (`precision.py`).
    """

    pretrained: str | None = None
    mlm_warm_up: Switch = False
    n_layers: Count = 4
    d_model: Count = 300
    d_word: Count = 300
    n_heads: Count = 6
    d_ff: Count = 512
    dropout_embedding: Share = 0.5
    dropout: Share = 0.1
    dropout_attention: Share = 0.1
    dropout_head: Share = 0.5
    freeze_words: Switch = False
    mean_over_padding: Switch = False
    norm: Literal["pre", "post"] = "pre"
    activation: Literal["relu", "gelu"] = "relu"
    norm_eps: Positive = 1e-5
    n_types: CountOrZero = 0
    wide: Switch = False
    wide_ngrams: Count = 2
    wide_buckets: Count = 2**18
    wide_sharing: Literal["shared", "per_task", "both"] = "both"
    wide_class_ratio: Switch = False
    dropout_wide: Share = 0.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def __post_init__(self) -> None:
        if self.d_model % self.n_heads:
            raise ValueError(
                f"d_model {self.d_model} cannot be split over n_heads {self.n_heads}; "
                f"choose a multiple of {self.n_heads}"
            )
        if self.norm == "post" and self.d_word != self.d_model:
            raise ValueError(
                f"d_word {self.d_word} differs from d_model {self.d_model}; with norm 'post' there "
                "is no projection between them, so they must be equal"
            )
        if self.pretrained is not None and self.mean_over_padding:
            raise ValueError("mean_over_padding is for the published encoder, not a pretrained one")
        if self.pretrained is not None and self.mlm_warm_up:
            raise ValueError("mlm_warm_up is for an encoder of our own, not a pretrained one")

    @property
    def brings_cls(self) -> bool:
        """Whether every text has a [CLS] of its own, put there by its tokenizer."""
        return self.pretrained is not None

    @property
    def wide_layout(self) -> tuple[int, str, bool]:
        """What decides how the weights of n-grams are laid out."""
        return self.wide_buckets, self.wide_sharing, self.wide_class_ratio

    @property
    def ngrams_seen(self) -> int:
        """Words of the longest n-grams that heads see; 0: they see none."""
        return self.wide_ngrams if self.wide else 0


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class SharingConfig:
    """Which of the structures, and the depth at which its tasks part (`structures.py`).

    Args:
        structure: A name of `structures.STRUCTURES`.
        divergence_depth: Layers that all tasks compute alike: one number, or one per task; None is
            the published form. `single_task` has none.
        token_attention: Task tokens that the words attend to in `layerwise_explicit`: those of
            "all" tasks as published, the "own", or "none".
        other_tokens: What the tokens of other tasks are to a task in `layerwise_explicit`: "free"
            as published, "detached" from its loss, or "gated" by learned gates.
    """

    structure: str = "stack_pooling"
    divergence_depth: CountOrZero | tuple[CountOrZero, ...] | None = None
    token_attention: Literal["all", "own", "none"] = "all"
    other_tokens: Literal["free", "detached", "gated"] = "free"
