"""How many engines there is room for, on which machines, and what is said of the rest."""

import math
import sys

from mtl_core.errors import ConfigError
from search.config import SearchConfig
from search.local_ray import local_cpus

RAY_DIGITS = 4  # of the parts of CPUs and GPUs


def local_engines(config: SearchConfig) -> int:
    """Return how many engines run on this machine, as far as CPUs decide."""
    room = max(1, math.floor(local_cpus() / config.cpus_per_trial))
    return min(config.workers or room, room)


def check_local(config: SearchConfig) -> None:
    """Check that an engine has room on this machine, before anything is written or started.

    Raises:
        ConfigError: It takes more CPUs than there are; its threads would wait for each other. A
            cluster that this process has joined may have them.
    """
    ray = sys.modules.get("ray")
    if config.cpus_per_trial > local_cpus() and not (ray and ray.is_initialized()):
        raise ConfigError(
            f"search.cpus_per_trial: found {config.cpus_per_trial:g}, this machine has "
            f"{local_cpus()} CPUs; at most that many would be right"
        )


def engines_on_cluster(config: SearchConfig) -> int:
    """Return how many engines there should be by now, where machines come and go."""
    return wanted(config, sum(rooms_on(config, machines())), elastic=True)


def wanted(config: SearchConfig, room: int, *, elastic: bool) -> int:
    """Return how many engines there should be where there is room for so many.

    Where machines come as they are asked for, those that `workers` trials at a time need are asked
    for, whether there is room or not.
    """
    if config.workers is None:
        return room
    needed = math.ceil(config.workers / (config.lanes or 1))
    return needed if elastic else min(needed, room)


def machines() -> list[dict[str, float]]:
    """Return the resources of each machine of the cluster."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def rooms_on(config: SearchConfig, nodes: list[dict[str, float]]) -> list[int]:
    """Return how many engines fit on each machine."""
    need = _need(config)
    rooms = [math.floor(node.get("CPU", 0) / need["CPU"]) for node in nodes]
    if not need["GPU"]:
        return rooms
    each = math.floor(1 / need["GPU"])  # of one GPU: an engine gets no parts of two
    of_gpus = [each * math.floor(node.get("GPU", 0)) for node in nodes]
    return list(map(min, rooms, of_gpus))


def machines_in_words(config: SearchConfig, nodes: list[dict[str, float]], rooms: list[int]) -> str:
    """Return the CPUs and GPUs that there are, and which of these get no engine.

    Ray gives one GPU to engines until it is full before it takes the next.
    """
    cpus, gpus = (int(sum(node.get(kind, 0) for node in nodes)) for kind in ("CPU", "GPU"))
    words = f"{cpus} CPUs" + (f", {gpus} GPUs" if gpus else "")
    part = _need(config)["GPU"]
    taken = sum(math.ceil(room / math.floor(1 / part)) for room in rooms) if part else 0
    if taken == gpus:
        return words
    why = "cpus_per_trial leaves no CPUs for an engine there" if part else "gpus_per_trial is 0"
    return f"{words} ({gpus - taken} idle: search.{why})"


def no_room(config: SearchConfig, nodes: list[dict[str, float]]) -> list[str]:
    """Say what is in the way of an engine where there is room for none."""
    faults = []
    for kind, count in _need(config).items():
        most = max((node.get(kind, 0) for node in nodes), default=0)
        if count > most:
            key = f"search.{kind.lower()}s_per_trial"
            right = "at most that many would be right" if most else f"--set {key}=0 does without"
            faults.append(
                f"{key}: found {count:g}, the largest machine has {most:g} {kind}s; {right}"
            )
    return faults or ["search: no machine has the CPUs and GPUs of one trial together"]


def _need(config: SearchConfig) -> dict[str, float]:
    """Return what Ray is asked for, which it rounds."""
    asked = {"CPU": config.cpus_per_trial, "GPU": config.gpus_per_trial}
    return {kind: round(count, RAY_DIGITS) for kind, count in asked.items()}
