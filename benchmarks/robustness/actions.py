"""Recorded actions: arrays in .npy and .npz files, and damage to them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np

from .byte_mutations import mutate_bytes

HEADERS = (
    "{'descr': '<i4', 'fortran_order': False, 'shape': (1099511627776, 6), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (4000000, 6), }",
    "{'descr': '<i4', 'fortran_order': False, 'shape': (-1, 6), }",
    "{'descr': '<i4', 'fortran_order': False, 'shape': (24, 6.0), }",
    "{'descr': '<i4', 'fortran_order': True, 'shape': (24, 6), }",
    "{'descr': '<i4', 'fortran_order': False, 'shape': 24, }",
    "{'descr': '<i4', 'fortran_order': False, 'shape': (24, '6'), }",
    "{'descr': '<i4', 'fortran_order': False, 'shape': (99999999999999999999999, 6), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (24, 6), }",
    "{'descr': '|V1000000000', 'fortran_order': False, 'shape': (24,), }",
    "{'descr': [('a', '<i4'), ('b', '<f4')], 'fortran_order': False, 'shape': (24,), }",
    "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (24, 6), }",
    "{'descr': '<c16', 'fortran_order': False, 'shape': (24, 6), }",
    "{'descr': '<U6', 'fortran_order': False, 'shape': (24, 6), }",
    "{'descr': 'nonsense', 'fortran_order': False, 'shape': (24, 6), }",
    "{'descr': '<i4', 'fortran_order': 'no', 'shape': (24, 6), }",
    "{'descr': '<i4', 'shape': (24, 6), }",
    "{" * 500,
    "(" * 3000,
    "[]",
    "1",
    "__import__('os').getpid()",
    "{'descr': '<i4', 'fortran_order': False, 'shape': (24, 6), 'extra': 1}",
    "{'descr': '<i4', 'fortran_order': False, 'shape': (24, 6), } # \xff",
    "",
)
"""Headers of .npy files that say something unexpected."""


def actions_corpus(steps: int) -> dict[str, bytes]:
    """Files of recorded actions by name: each kind of action as .npy, and one as .npz."""
    rng = np.random.default_rng(0)
    discrete, choices = rng.integers(0, 9, steps, dtype=np.int32), rng.integers(0, 2, (steps, 6), dtype=np.int32)
    numbers = rng.uniform(-1, 1, (steps, 6)).astype(np.float32)
    return {"choices.npy": _npy(choices), "discrete.npy": _npy(discrete), "numbers.npy": _npy(numbers)}


def mutate_actions(content: bytes, rng: np.random.Generator) -> tuple[bytes, list[str]]:
    """Actions with damage to the bytes of their file, to its header, or to the array in it."""
    kind = rng.random()
    if kind < 0.35:
        return mutate_bytes(content, rng)
    if kind < 0.5:
        header = HEADERS[int(rng.integers(len(HEADERS)))].encode("latin-1")
        data = content[10 + struct.unpack("<H", content[8:10])[0] :]
        version = bytes([int(rng.choice([0, 1, 1, 1, 2, 3, 9])), 0])
        length = struct.pack("<H" if version[0] == 1 else "<I", len(header) + 1)
        return b"\x93NUMPY" + version + length + header + b"\n" + data, [f"header {header[:60]!r}"]
    name = str(rng.choice(list(_ARRAYS)))
    return _ARRAYS[name](np.load(io.BytesIO(content)), rng), [name]


def _npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def _npz(array: np.ndarray, rng: np.random.Generator) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **{"arr_0": array, "other": array[:1]} if rng.random() < 0.5 else {"arr_0": array})
    content = stream.getvalue()
    return content if rng.random() < 0.5 else mutate_bytes(content, rng)[0]


def _type(array: np.ndarray, rng: np.random.Generator) -> bytes:
    names = [
        "<f8",
        ">f4",
        "<f2",
        "<i8",
        ">i4",
        "|u1",
        "|i1",
        "|b1",
        "<u8",
        "<c8",
        "<U3",
        "|S3",
        "<M8[s]",
        "<m8[s]",
        "<f4",
    ]
    with np.errstate(all="ignore"):
        return _npy(array.astype(names[int(rng.integers(len(names)))]))


def _numbers(array: np.ndarray, rng: np.random.Generator) -> bytes:
    choices = (
        (-1, 2, 3, 9, 255, 2**31 - 1, -(2**31))
        if array.dtype.kind == "i"
        else (np.nan, np.inf, -np.inf, 1.5, -2, 1e-40, 3e38)
    )
    array.flat[int(rng.integers(array.size))] = choices[int(rng.integers(len(choices)))]
    return _npy(array)


def _shape(array: np.ndarray, rng: np.random.Generator) -> bytes:
    shapes = (array[0], array[:, None], array[None], array[:0], array.T, array.ravel(), array.ravel()[0], array[:1],
              array[..., :-1], np.concatenate([array] * 3), np.concatenate([array] * 50_000))  # fmt: skip
    return _npy(np.asarray(shapes[int(rng.integers(len(shapes)))]))


def _objects(array: np.ndarray, rng: np.random.Generator) -> bytes:
    """An array of Python objects, which only unpickling could read."""
    return _npy(array.astype(object), allow_pickle=True)


def _pickle(array: np.ndarray, rng: np.random.Generator) -> bytes:
    """A pickle that would raise SystemExit if anything read it."""
    return b"csys\nexit\n(I7\ntR."


def _text(array: np.ndarray, rng: np.random.Generator) -> bytes:
    return "\n".join(map(str, array.tolist())).encode()


_ARRAYS: dict[str, Callable[[np.ndarray, np.random.Generator], bytes]] = {
    "another type": _type,
    "other numbers": _numbers,
    "another shape": _shape,
    "Python objects": _objects,
    "a pickle": _pickle,
    "several arrays": _npz,
    "text": _text,
}
"""Ways to write other arrays, or something else, in the place of actions."""
