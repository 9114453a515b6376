"""Damage to the bytes of a file, whatever they mean: what disks, networks and text editors do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Mutation = Callable[[bytes, np.random.Generator], bytes]
"""``mutation(content, rng)``: the content with one kind of damage; the same generator gives the same damage."""

TOKENS = (
    b"\x00",
    b"\x00" * 4096,
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\x1b[31m\x1b]0;title\x07",
    b"\r\n",
    b"\n\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b"\\u",
    b",",
    b":",
    b"-",
    b"NaN",
    b"Infinity",
    b"1e400",
    b"9" * 5000,
    b"null",
    b'{"a":' * 3000,
    b"[" * 100_000,
    b"//comment\n",
    b"PK\x03\x04",
    b"\x93NUMPY\x01\x00",
    b"\x1f\x8b\x08\x00",
    b"\x80\x04\x95",
    b"<<<<<<< HEAD\n",
)
"""Bytes that some reader of JSON, text, NumPy or zip files might stumble over."""

LARGE = 21_000_000
"""Length to which a file is padded now and then [bytes], beyond what readers of levels take."""


def mutate_bytes(content: bytes, rng: np.random.Generator) -> tuple[bytes, list[str]]:
    """``content`` with one to three kinds of damage, and their names."""
    names: list[str] = []
    for _ in range(1 + int(rng.integers(3))):
        name = str(rng.choice(list(BYTE_MUTATIONS), p=_SHARES))
        content = BYTE_MUTATIONS[name](content, rng)
        names.append(name)
    return content, names


def _flip(content: bytes, rng: np.random.Generator) -> bytes:
    found = bytearray(content)
    for _ in range(int(rng.integers(1, 9)) if found else 0):
        found[int(rng.integers(len(found)))] ^= 1 << int(rng.integers(8))
    return bytes(found)


def _overwrite(content: bytes, rng: np.random.Generator) -> bytes:
    begin, end = _slice(content, rng, most=64)
    return content[:begin] + rng.bytes(end - begin) + content[end:]


def _truncate(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content) + 1))]


def _behead(content: bytes, rng: np.random.Generator) -> bytes:
    return content[int(rng.integers(len(content) + 1)) :]


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    begin, end = _slice(content, rng)
    return content[:begin] + content[end:]


def _repeat(content: bytes, rng: np.random.Generator) -> bytes:
    begin, end = _slice(content, rng)
    return content[:end] + content[begin:end] * int(rng.integers(1, 4)) + content[end:]


def _swap(content: bytes, rng: np.random.Generator) -> bytes:
    a, b, c, d = sorted(int(place) for place in rng.integers(len(content) + 1, size=4))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def _insert(content: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(len(content) + 1))
    return content[:place] + TOKENS[int(rng.integers(len(TOKENS)))] + content[place:]


def _blank(content: bytes, rng: np.random.Generator) -> bytes:
    begin, end = _slice(content, rng)
    return content[:begin] + b"\x00" * (end - begin) + content[end:]


def _twice(content: bytes, rng: np.random.Generator) -> bytes:
    return content + content


def _empty(content: bytes, rng: np.random.Generator) -> bytes:
    return b""


def _noise(content: bytes, rng: np.random.Generator) -> bytes:
    return rng.bytes(int(rng.integers(1, 4096)))


def _encoded(content: bytes, rng: np.random.Generator) -> bytes:
    """The same text in another encoding."""
    name = str(rng.choice(["utf-16", "utf-32", "utf-8-sig", "utf-7"]))
    return content.decode("utf-8", "replace").encode(name)


def _padded(content: bytes, rng: np.random.Generator) -> bytes:
    return content + b" " * max(0, LARGE - len(content))


def _slice(content: bytes, rng: np.random.Generator, most: int | None = None) -> tuple[int, int]:
    begin = int(rng.integers(len(content) + 1))
    rest = len(content) - begin
    return begin, begin + int(rng.integers(min(rest, most or rest) + 1))


BYTE_MUTATIONS: dict[str, Mutation] = {
    "flipped bits": _flip,
    "overwritten": _overwrite,
    "truncated": _truncate,
    "beheaded": _behead,
    "cut": _cut,
    "repeated": _repeat,
    "swapped": _swap,
    "inserted": _insert,
    "zeroed": _blank,
    "written twice": _twice,
    "emptied": _empty,
    "noise": _noise,
    "re-encoded": _encoded,
    "padded": _padded,
}
"""Kinds of damage by name."""

_RARE = {"emptied": 0.1, "noise": 0.2, "written twice": 0.3, "padded": 0.03}
"""How often a kind is drawn, where not as often as the others: one case of it says all, or it takes long."""

_WEIGHTS = np.array([_RARE.get(name, 1.0) for name in BYTE_MUTATIONS])
_SHARES = _WEIGHTS / _WEIGHTS.sum()
