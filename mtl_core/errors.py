"""The one exception for the caller's input, and how its messages are put together.

A message says where (file, line or key), what was found and what would be right. All faults of one
input are reported at once, one a line.
"""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

_NEAR = 0.65  # share of the letters of both that they have in common; at 0.6 `metric` is `retries`


class ConfigError(ValueError):
    """The caller's input is at fault; the message holds one fault a line.

    Args:
        faults: One message, or several that are reported together.
    """

    def __init__(self, faults: str | Iterable[str]) -> None:
        self.faults: tuple[str, ...] = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(self.faults))

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[tuple[str, ...]]]:
        return ConfigError, (self.faults,)  # crosses process borders with its faults apart


def suggest(name: str, known: Collection[str]) -> str:
    """Return ", did you mean 'x'?" for the nearest of `known`, or "" when none is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=_NEAR)
    return f", did you mean {near[0]!r}?" if near else ""


def check_names(names: Iterable[str], known: Collection[str], where: str) -> None:
    """Raise one `ConfigError` for all `names` not in `known`, each with its nearest neighbour."""
    faults = [f"{where}: unknown {n!r}{suggest(n, known)}" for n in names if n not in known]
    if faults:
        raise ConfigError([*faults, f"known: {', '.join(sorted(known))}"])
