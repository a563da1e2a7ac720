"""The published ways to share (Sun, 2019), as sharing plans.

Each function returns the plan of one structure: which bank of weights a task uses at each layer,
which tokens stand before the words, and where the sentence vector is read. `divergence_depth` is
the number of layers that all tasks compute alike: one number, or one per task. The encoder that
runs the plans is in `encoder.py`.

A task that tags words reads the vector of each word at the top, under every structure: with S-P and
S-C words of all tasks look alike up to the divergence depth (the CLS token is no more than one more
thing to attend to), and with L-I and L-E the task's token, which the words attend to, is what makes
them look different to each task. Of a pair, S-P takes the mean of each text; tokens read both.
Shapes: L layers, K tasks.
"""

from collections.abc import Callable, Sequence

from mtl_core.errors import ConfigError, check_names
from mtl_core.model.config import SharingConfig
from mtl_core.model.plan import SharingPlan
from mtl_core.model.reads import OtherTokens, Readout, TokenAttention, Tokens

Depth = int | Sequence[int] | None


def single_task(n_tasks: int, n_layers: int, divergence_depth: Depth = None) -> SharingPlan:
    """Nothing is shared, not even the embedding; a `<cls>` word is read at the top.

    It has no depth: any `divergence_depth` is refused.
    """
    if divergence_depth is not None:
        raise ConfigError(
            f"sharing.divergence_depth: found {divergence_depth}, but single_task shares no layer; "
            "leave it out"
        )
    private = tuple(range(n_tasks))
    groups = (private,) * (1 + n_layers)
    return SharingPlan(groups, tokens=Tokens.CLS_WORD, readout=Readout.FIRST)


def stack_pooling(n_tasks: int, n_layers: int, divergence_depth: Depth = None) -> SharingPlan:
    """S-P: tasks share the layers up to `divergence_depth`; the sentence is the mean of its words.

    At `divergence_depth = n_layers`, the default, only the heads are private (hard sharing); at 0
    only the embedding is shared.
    """
    depths = _depths("stack_pooling", n_tasks, n_layers, divergence_depth)
    return SharingPlan(_parting(depths, n_layers), tokens=Tokens.NONE, readout=Readout.MEAN)


def stack_cls(
    n_tasks: int, n_layers: int, divergence_depth: Depth = None, *, text_cls: bool = False
) -> SharingPlan:
    """S-C: as S-P, but one CLS token before the words is read; it enters before the first layer.

    Args:
        text_cls: Texts have a [CLS] of their own, which is read then; no other is put before them.
    """
    depths = _depths("stack_cls", n_tasks, n_layers, divergence_depth)
    if text_cls:
        groups = _parting(depths, n_layers)
        return SharingPlan(groups, tokens=Tokens.CLS_WORD, readout=Readout.FIRST)
    return SharingPlan(_parting(depths, n_layers), tokens=Tokens.CLS, readout=Readout.TOKEN)


def layerwise_implicit(n_tasks: int, n_layers: int, divergence_depth: Depth = None) -> SharingPlan:
    """L-I: all layers are shared; the task's own token enters after `divergence_depth` layers.

    From there on each layer forms the task's own view of the words; at 0, the default, all layers.
    """
    depths = _depths("layerwise_implicit", n_tasks, n_layers, divergence_depth)
    groups = ((0,) * n_tasks,) * (1 + n_layers)
    return SharingPlan(groups, tokens=Tokens.OWN, readout=Readout.TOKEN, token_depth=depths)


def layerwise_explicit(
    n_tasks: int,
    n_layers: int,
    divergence_depth: Depth = None,
    *,
    token_attention: TokenAttention = TokenAttention.ALL,
    other_tokens: OtherTokens = OtherTokens.FREE,
) -> SharingPlan:
    """L-E: as L-I, but the tokens of all tasks enter, and a task reads its own.

    Its token can attend to the others', so tasks see what the others would look for. As published
    it trails L-I, since words of all tasks attend to the same tokens; with `other_tokens` gated it
    keeps up, while masks (`token_attention`) did not help (`tests/benchmarks/README.md`).
    """
    depths = _depths("layerwise_explicit", n_tasks, n_layers, divergence_depth)
    groups = ((0,) * n_tasks,) * (1 + n_layers)
    return SharingPlan(
        groups,
        tokens=Tokens.ALL,
        readout=Readout.TOKEN,
        token_depth=depths,
        token_attention=token_attention,
        other_tokens=other_tokens,
    )


STRUCTURES: dict[str, Callable[..., SharingPlan]] = {
    "single_task": single_task,
    "stack_pooling": stack_pooling,
    "stack_cls": stack_cls,
    "layerwise_implicit": layerwise_implicit,
    "layerwise_explicit": layerwise_explicit,
}


def build_plan(
    sharing: SharingConfig, n_tasks: int, n_layers: int, *, text_cls: bool = False
) -> SharingPlan:
    """Return the plan that a configuration names; raises `ConfigError` with what would be right.

    Args:
        text_cls: `EncoderConfig.brings_cls`.
    """
    check_names([sharing.structure], STRUCTURES, where="sharing.structure")
    options = token_options(sharing)
    if options and sharing.structure != "layerwise_explicit":
        raise ConfigError(
            [
                f"sharing.{name}: found {value.value!r}, but only layerwise_explicit has the "
                f"tokens of all tasks, not {sharing.structure}; leave it out"
                for name, value in options.items()
            ]
        )
    if text_cls and sharing.structure == "stack_cls":
        return stack_cls(n_tasks, n_layers, sharing.divergence_depth, text_cls=True)
    return STRUCTURES[sharing.structure](n_tasks, n_layers, sharing.divergence_depth, **options)


def token_options(sharing: SharingConfig) -> dict[str, TokenAttention | OtherTokens]:
    """Return how far tokens reach, where that is not as published."""
    attention = TokenAttention(sharing.token_attention)
    others = OtherTokens(sharing.other_tokens)
    options: dict[str, TokenAttention | OtherTokens] = {}
    if attention is not TokenAttention.ALL:
        options["token_attention"] = attention
    if others is not OtherTokens.FREE:
        options["other_tokens"] = others
    return options


def deepest(structure: str, n_layers: int) -> int | None:
    """Return the largest `divergence_depth` of a structure; None: it has no depth.

    Task tokens must pass at least one layer, so the layerwise structures end at `n_layers - 1`.
    """
    check_names([structure], STRUCTURES, where="sharing.structure")
    if structure == "single_task":
        return None
    return n_layers - 1 if structure.startswith("layerwise_") else n_layers


def published_depth(structure: str, n_layers: int) -> int | None:
    """Return the `divergence_depth` of the published form; None: it has no depth."""
    return 0 if structure.startswith("layerwise_") else deepest(structure, n_layers)


def _depths(structure: str, n_tasks: int, n_layers: int, depth: Depth) -> tuple[int, ...]:
    """Return one depth per task, or raise a `ConfigError` with every fault of `depth`."""
    if depth is None:
        depth = published_depth(structure, n_layers)
        assert depth is not None, structure
    high = deepest(structure, n_layers)
    assert high is not None, structure
    depths = (depth,) * n_tasks if isinstance(depth, int) else tuple(depth)
    where = "sharing.divergence_depth"
    if len(depths) != n_tasks:
        raise ConfigError(
            f"{where}: found {len(depths)} depths, must be one number or one for each of "
            f"{n_tasks} tasks"
        )
    right = f"{structure} with {n_layers} layers takes 0 to {high}"
    wrong = sorted({d for d in depths if not 0 <= d <= high})
    if wrong:
        raise ConfigError([f"{where}: found {d}, {right}" for d in wrong])
    return depths


def _parting(depths: tuple[int, ...], n_layers: int) -> tuple[tuple[int, ...], ...]:
    """Return the table in which a task shares bank 0 up to its depth and is alone above it."""
    rows = range(1 + n_layers)
    return tuple(tuple(0 if row <= d else 1 + k for k, d in enumerate(depths)) for row in rows)
