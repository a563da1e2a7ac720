"""Where the engines of a study work: what they read, where they write, threads, device, memory."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from search.bucket import bucket_of
from search.cluster import Cluster
from search.record import StudyRecord
from search.space import Space

if TYPE_CHECKING:  # Ray is imported when a search begins
    from search.engines import Workplace

MEMORY_SHARE = 0.8  # of what is left to an engine


@dataclass(frozen=True)
class EngineFiles:
    """What engines read.

    Args:
        encoded: The encoded corpus.
        vectors: File of the word vectors to start from.
        texts: File of the texts that encoders are warmed up on.
    """

    encoded: Path
    vectors: Path | None = None
    texts: Path | None = None


def workplace_of(
    space: Space, record: StudyRecord, *, folder: Path, files: EngineFiles, cluster: Cluster
) -> "Workplace":
    """Return what all engines of a search have in common.

    Args:
        folder: The study's folder.
    """
    from search.engines import Workplace
    from search.shared_disks import offered

    search, bucket = space.search, bucket_of(folder)
    paths = {
        name: None if path is None else str(path.resolve())
        for name, path in (("vectors", files.vectors), ("texts", files.texts))
    }
    encoded = str(files.encoded.resolve())
    on_gpu = search.gpus_per_trial > 0
    share = min(1.0, search.gpus_per_trial) if on_gpu else cluster.memory_share
    return Workplace(
        encoded=encoded,
        folder=str(folder.resolve()),
        tasks=record.tasks,
        **paths,
        mlm=asdict(space.settings.mlm),
        threads=search.threads,
        gpu=on_gpu,
        memory_share=MEMORY_SHARE * share,
        contents=offered([encoded, *paths.values()]) if cluster.elastic else {},
        bucket=None if bucket is None else bucket.address,
    )
