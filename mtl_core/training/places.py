"""Which lanes train side by side where memory has run out; until it does, all of them.

Each time it does, the number of places is halved. Where a lane then does not fit even alone, the
others were not at fault, and have their places again. Lanes without a place are parked: on a GPU
their tensors go to the computer's memory, on a CPU they are only passed over. A lane keeps its
place until it has ended, has failed or is held by its caller, and then the next one takes it.
"""

import sys
from collections.abc import Sequence

import torch

from mtl_core.training.device_memory import is_memory_error
from mtl_core.training.lane import Lane

_HOST = torch.device("cpu")


class Places:
    """The places of an engine on `device`."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._most: int | None = None
        self._before: int | None = None  # `_most` when this step began

    def free(self, lanes: Sequence[Lane]) -> int:
        """Return how many more lanes may be opened; ever so many while memory has not run out."""
        if self._most is None:
            return sys.maxsize
        return max(0, self._most - sum(lane.is_going for lane in lanes))

    def choose(self, lanes: Sequence[Lane]) -> list[Lane]:
        """Return the lanes that this step moves, and park and bring back those it takes."""
        wanted = [lane for lane in lanes if lane.wanted]
        self._before = self._most
        most = len(wanted) if self._most is None else self._most
        chosen = [lane for lane in wanted if not lane.parked]
        for lane in chosen[most:]:
            self._park(lane)
        chosen = chosen[:most]
        waiting = [lane for lane in wanted if lane.parked and lane not in chosen]
        for lane in waiting[: most - len(chosen)]:
            self._make_place(lanes, chosen)
            if not self._bring_back(lane):
                break
            chosen.append(lane)
        return chosen

    def halve(self, lanes: Sequence[Lane], together: Sequence[Lane]) -> tuple[int, int] | None:
        """Park half of the lanes that are under way; return how many there were and are.

        Returns None where that would help nothing: one lane is left, all others are parked.

        Args:
            together: Those in whose pass memory ran out.
        """
        others = [
            lane for lane in lanes if lane.wanted and not lane.parked and lane not in together
        ]
        before = len(together) + len(others)
        if before == 1:
            return None
        staying = max(1, len(together) // 2)
        self._most = before // 2
        order = [*together[:staying], *others, *together[staying:]]
        for lane in order[self._most :]:
            self._park(lane)
        return before, self._most

    def unhalve(self) -> bool:
        """Have as many places as when the step began; return whether any were lost."""
        lost = self._most != self._before
        self._most = self._before
        return lost

    def _park(self, lane: Lane) -> None:
        lane.parked = True
        if self._device.type != "cpu":
            lane.move(_HOST)

    def _make_place(self, lanes: Sequence[Lane], chosen: Sequence[Lane]) -> None:
        """Take the place of a lane that has one without being under way, if all are taken."""
        with_place = [lane for lane in lanes if not lane.parked]
        idle = [lane for lane in with_place if lane not in chosen]
        if idle and self._most is not None and len(with_place) >= self._most:
            self._park(idle[0])

    def _bring_back(self, lane: Lane) -> bool:
        try:
            if self._device.type != "cpu":
                lane.move(self._device)
        except Exception as error:
            if not is_memory_error(error):
                raise
            lane.move(_HOST)
            return False
        lane.parked = False
        return True
