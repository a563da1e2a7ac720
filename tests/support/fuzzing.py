"""Valid files, made a little wrong: what `tests/benchmarks/test_fuzz.py` feeds to the readers.

A mutation is drawn from the generator it is given, so the same seed and number give the same bytes.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Mutation = Callable[[random.Random, bytes], bytes]
MOST_BYTES = 100_000  # of a mutated file
_DEEP = "DEEP"  # among the odd values: lists in lists

ODD = (
    b"NaN", b"-1", b"0", b"1e999", b"1e-999", b"9" * 40, b"null", b"true", b"[]", b"{}", b'""',
    b"~", b"&a", b"*a", b"!!python/object:os.system", b"%s", b"../../x", b"\0", b"\r\n", b"\t",
    b"\xff\xfe", b"\xef\xbb\xbf", "\u202e".encode(), "\ud800".encode("utf-8", "surrogatepass"),
    b"[" * 60, b"{a: " * 60, b"-", b":", b",", b'"', b"'", b"#", b"\n", b" " * 9, b"x" * 3000,
    b"~nobody-here/x",
    b"9" * 400, b"[" * 2000, b"- " * 400, b"\xe2\x80\xa8", b"\x85", b"---\n",
    b"<<: ", b".inf", b"1_000",
)  # fmt: skip


ODD_VALUES: Sequence[Any] = (
    None, True, False, 0, -1, 1, 2, 1.5, -0.5, 1e308, float("inf"), float("nan"), 10**30, 10**400,
    10**5, 10**9, "", "x", "../x", "\0", "1", "x" * 3000, [], {}, [None], [[]], {"x": 1},
    [1, 2, 3], "stack_cls", "\ud800", _DEEP,
)  # fmt: skip
_BEGIN = (b" ", b":", b",", b"[", b"{", b"\t", b"\n", b'"')
_END = (b" ", b",", b"]", b"}", b"\t", b"\n", b'"')


def flip(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def leave_out(rng: random.Random, data: bytes) -> bytes:
    first, last = _span(rng, data)
    return data[:first] + data[last:]


def repeat(rng: random.Random, data: bytes) -> bytes:
    first, last = _span(rng, data)
    return data[:last] + data[first:last] * rng.choice((1, 1, 2, 50)) + data[last:]


def swap(rng: random.Random, data: bytes) -> bytes:
    first, last = _span(rng, data)
    other = data[slice(*_span(rng, data))]
    return data[:first] + other + data[last:]


def put_in(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(ODD) + data[at:]


def put_for_a_word(rng: random.Random, data: bytes) -> bytes:
    """Put something odd in the place of a value: what stands between two separators."""
    at = rng.randrange(len(data))
    first = max(data.rfind(mark, 0, at) for mark in _BEGIN) + 1
    ends = [end for mark in _END if (end := data.find(mark, at)) >= 0]
    return data[:first] + rng.choice(ODD) + data[min(ends, default=len(data)) :]


MUTATIONS: Sequence[Mutation] = (
    flip, cut, leave_out, repeat, swap, put_in, put_for_a_word, put_for_a_word,
)  # fmt: skip


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Return the bytes after one to four mutations; never none at all."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(MUTATIONS)(rng, data) or b"\n"
    return data[:MOST_BYTES]


def mutated_json(rng: random.Random, data: bytes) -> str:
    """Return JSON in which one or two values, at any depth, are other ones, or are missing."""
    whole = json.loads(data)
    for _ in range(rng.choice((1, 1, 2))):
        holders = list(_holders(whole))
        holder = rng.choice(holders)
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = rng.choice(keys)
        what = rng.random()
        if what < 0.15:
            del holder[key]
        elif what < 0.25 and isinstance(holder, dict):
            holder[rng.choice(("", "x", "../x", "\0", str(key) * 2))] = holder.pop(key)
        else:
            holder[key] = json.loads(json.dumps(rng.choice([*ODD_VALUES, rng.choice(holders)])))
    depth = rng.choice((50, 300, 450, 900))  # what parsers of JSON take, and what takes it apart
    return json.dumps(whole).replace(f'"{_DEEP}"', "[" * depth + "]" * depth)


def mutated_header(rng: random.Random, data: bytes) -> bytes:
    """Return a file of safetensors whose header, or the header's length, says something else."""
    end = 8 + int.from_bytes(data[:8], "little")
    if rng.random() < 0.2:
        length = rng.choice((0, 1, end, 2**31, 2**63, 2**64 - 1))
        return length.to_bytes(8, "little") + data[8:]
    header = mutated_json(rng, data[8:end]).encode()
    return len(header).to_bytes(8, "little") + header + data[end:]


def _holders(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)) and value:
        yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from _holders(part)


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    first = rng.randrange(len(data))
    return first, min(len(data), first + 1 + int(rng.expovariate(0.05)))
