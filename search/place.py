"""Where a study lies on disk: found fit before anything is written, put aside, opened.

A study is never overwritten silently: the folder of another question is refused, and `--fresh`
renames what is there.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mtl_core.data.encoded import FORMAT as ENCODING
from mtl_core.data.task import Corpus
from mtl_core.errors import ConfigError
from mtl_core.foreign import check_inside, path_of
from search.bucket import bucket_of, copy_of, fetch_study, is_address
from search.bucket_files import LANES, MODELS
from search.bucket_sync import handed_on
from search.compare import arm_keys
from search.given_files import hashes_of_files
from search.journal import JOURNAL
from search.question import difference
from search.record import FORMAT, StudyRecord
from search.space import Space, load_space
from search.study_lock import StudyLock

Existing = Literal["continue", "resume", "fresh"]
SPACE = "space.yaml"
WRITTEN = (JOURNAL, SPACE, "best", LANES, "lock.json", MODELS)  # and others beside them


def study_folder(out: str | Path, name: str) -> Path:
    """Return where the study of that name lies; of one at an address where its copy does."""
    return path_of(copy_of(str(out)) if is_address(out) else Path(out), name)


@dataclass(frozen=True)
class Place:
    """The folder of one study, and the question that it is to hold.

    Args:
        folder: `<out>/<name>`.
        existing: What to do about a study that is there: "continue" it, insist on that with
            "resume", or begin "fresh".
    """

    folder: Path
    existing: Existing
    space: Space
    corpus: Corpus

    def check(self) -> None:
        """Raise a `ConfigError` where the study cannot be written or continued here."""
        journal = self.folder / JOURNAL
        fetch_study(self.folder)
        _check_writable(self.folder)
        check_inside(self.folder, WRITTEN)
        StudyLock(self.folder).check()
        if self.existing == "fresh":
            return
        if journal.is_file():
            self._check_same(StudyRecord.load(journal))
        elif self.existing == "resume":
            raise ConfigError(
                f"{self.folder}: --resume found no study here; leave it out to begin one"
            )

    @contextmanager
    def opened(self, say: Callable[[str], None]) -> Iterator[StudyRecord]:
        """Hand out the record, open for writing.

        A study that a fault of the caller ends before its first trial leaves nothing behind, and
        what was put aside for it stands where it was.
        """
        aside = self._put_aside() if self.existing == "fresh" else None
        if aside is not None:
            say(f"the study that was here is now in {aside}")
        is_new = not (self.folder / JOURNAL).exists()
        is_only = not self.folder.parent.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        with StudyLock(self.folder, say), handed_on(self.folder, say):
            record = StudyRecord.open(self.folder / JOURNAL)
            if record.dropped_lines:
                say(f"{self.folder / JOURNAL}: its last line was half written, and is dropped")
            try:
                self._begin(record)
                yield record
            except ConfigError:
                record.close()
                if is_new and not record.trials:
                    self._take_back(aside)
                    if is_only and bucket_of(self.folder) is None:
                        self.folder.parent.rmdir()
                raise
            finally:
                record.close()

    def _begin(self, record: StudyRecord) -> None:
        if record.header:
            record.append("continued")
            return
        record.append(
            "study",
            format=FORMAT,
            name=self.space.name,
            space_digest=self.space.digest(),
            data_fingerprint=self.corpus.content_hash(),
            encoding=ENCODING,
            files=hashes_of_files(self.space),
            seed=self.space.search.seed,
            scale=self.space.search.scale,
            objective=self.space.search.objective,
            mode=self.space.search.mode,
            arms=list(arm_keys(self.space.search)),
            tasks=list(self.corpus.names),
        )

    def _take_back(self, aside: Path | None) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        if aside is not None:
            _move(aside, self.folder)

    def _check_same(self, record: StudyRecord) -> None:
        faults = []
        if record.header.get("space_digest") != self.space.digest():
            faults.append(
                f"{self.folder}: holds the study of another space{self._difference()}; "
                "--fresh puts it aside and begins anew, --out or --set name=NAME keeps both"
            )
        elif record.header.get("data_fingerprint") != self.corpus.content_hash():
            faults.append(
                f"{self.folder}: holds a study of other data (its files have changed, or "
                f"{self.corpus.source} is another folder); --fresh puts it aside and begins anew"
            )
        elif record.header.get("encoding") != ENCODING:
            faults.append(
                f"{self.folder}: holds a study whose rows were encoded by another version of this "
                "program, so its scores and models are not those of this one; --fresh puts it "
                "aside and begins anew"
            )
        else:
            faults += self._changed_files(record.header.get("files", {}))
        if record.header and faults:
            raise ConfigError(faults)

    def _changed_files(self, kept: Mapping[str, str]) -> Iterator[str]:
        """Yield which files are others than at the study's beginning, as far as it kept hashes."""
        now = hashes_of_files(self.space) if kept else {}
        for key in now.keys() & kept.keys():
            if now[key] != kept[key]:
                yield (
                    f"{self.folder}: holds a study with another {key} (its files have changed); "
                    "--fresh puts it aside and begins anew"
                )

    def _difference(self) -> str:
        try:
            found = difference(load_space(self.folder / SPACE), self.space)
        except ConfigError:
            return ""  # it is damaged, or another version wrote it
        return f" ({found})" if found else ""

    def _put_aside(self) -> Path | None:
        if not self.folder.exists():
            return None
        moment = time.strftime("%Y%m%d-%H%M%S")
        aside = self.folder.with_name(f"{self.folder.name}-until-{moment}")
        _move(self.folder, aside)
        return aside


def _move(folder: Path, to: Path) -> None:
    folder.rename(to)
    bucket = bucket_of(to)
    if bucket is not None:
        bucket.move(folder, to)


def _check_writable(folder: Path) -> None:
    """Raise a `ConfigError` unless `folder` is, or can be made, a folder to write to."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise ConfigError(f"--out: {nearest} is a file; a folder for the results would be right")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f"--out: {nearest} may not be written to; choose another folder")
