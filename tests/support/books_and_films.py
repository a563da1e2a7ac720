"""Corpora that are written down in a line a task: texts that are bad, and others."""

from mtl_core.data.task import Corpus, Split, Task


def books_and_films() -> Corpus:
    """Return two tasks; some texts of dev and test stand in train, of their own task or not."""
    books = make_task(
        "books", "A good book/a bad  book", dev="a book", test="A  GOOD BOOK/a new one"
    )
    films = make_task("films", "bad film/good film good", dev="film", test="a bad book/film film")
    return make_corpus(books, films)


def make_task(name: str, train: str, dev: str = "x", test: str = "x") -> Task:
    """A task of `text label` pairs, rows split at "/"."""
    splits = {}
    for split, rows in {"train": train, "dev": dev, "test": test}.items():
        texts = tuple(rows.split("/"))
        labels = tuple("neg" if "bad" in text else "pos" for text in texts)
        splits[split] = Split(texts=texts, labels=labels, source=f"{name}/{split}.tsv")
    return Task(name=name, labels=("neg", "pos"), splits=splits)


def make_corpus(*tasks: Task) -> Corpus:
    return Corpus(tasks=tasks, layout="folders", source="here")
