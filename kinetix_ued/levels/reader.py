"""JSON with an address: every value knows where in which file it stands, so that a complaint can name it."""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import LevelError

MAX_FILE_BYTES = 20_000_000
"""Files larger than this [bytes] are refused unread; the largest published level takes 53 kB."""

MAX_VALUES = 500_000
"""Files with more values than this are refused unparsed: parsing takes time for each, however short it is."""

MAX_TEXT = 10_000
"""Longest text [characters] that a field may hold."""

MAX_SHOWN = 60
"""Longest part of a name or value [characters] that an error repeats."""

MAX_SLOTS = 256
"""Most slots of a kind that a file may have; the contact pairs of more would take long to list."""

FLOAT32_MAX = 3.4028234663852886e38
INT32_MAX = 2**31 - 1
WANTED = {float: "a number", int: "a whole number", bool: "true or false"}


class Node:
    """A value of a JSON document with its address.

    Arrays may stand as lists or, as Kinetix writes them, as objects with the keys "0", "1", ...
    """

    __slots__ = ("_key", "_parent", "file", "value")

    def __init__(self, value: Any, file: str, parent: Node | None = None, key: str | int | None = None):
        self.value, self.file, self._parent, self._key = value, file, parent, key

    @property
    def field(self) -> str | None:
        """The address, such as ``env_state.joint[2].a_index``; None for the document itself."""
        if self._parent is None:
            return None
        if isinstance(self._key, int):
            return f"{self._parent.field or ''}[{self._key}]"
        key = _shortened(str(self._key))
        return f"{self._parent.field}.{key}" if self._parent.field else key

    def error(self, problem: str, remedy: str) -> LevelError:
        """A LevelError about this value, for the caller to raise."""
        return LevelError(self.file, self.field, problem, remedy)

    def _wrong(self, wanted: str) -> LevelError:
        return self.error(f"{wanted} expected, found {_shown(self.value)}", f"write {wanted}")

    def mapping(self) -> Node:
        """Itself, an object with whatever keys."""
        if not isinstance(self.value, Mapping):
            raise self._wrong("an object")
        return self

    def object(self, required: Collection[str] = (), optional: Collection[str] = ()) -> Node:
        """Itself, an object that has every required key and none but these."""
        self.mapping()
        if len(self.value) == len(required) and all(key in self.value for key in required):
            return self
        for key in required:
            if key not in self.value:
                raise Node(None, self.file, self, key).error("the field is missing", "add it")
        for key in self.value:
            if key not in required and key not in optional:
                known = ", ".join([*required, *optional])
                raise self.error(f"unknown field {_shown(key)}", f"remove it; known: {known}")
        return self

    def __contains__(self, key: str) -> bool:
        return key in self.value

    def has(self, key: str) -> bool:
        """Whether an object has the field, and not as null: Kinetix.js writes null for what is not a number."""
        return self.value.get(key) is not None

    def required(self, key: str) -> Node:
        """A field that the object must have.

        Raises:
            LevelError: it has none, or null.
        """
        if not self.has(key):
            raise Node(None, self.file, self, key).error("the field is missing", "add it")
        return self[key]

    def __getitem__(self, key: str) -> Node:
        return Node(self.value[key], self.file, self, key)

    def items(self) -> Iterator[tuple[str, Node]]:
        """Keys and values of an object."""
        return ((key, self[key]) for key in self.value)

    def elements(self, count: int | None = None, most: int | None = None) -> list[Node]:
        """The elements of an array: ``count`` of them if given, and at most ``most``."""
        values = self.value
        if not isinstance(values, (Mapping, list, tuple)):
            raise self._wrong("an array")
        if isinstance(values, Mapping) and values and str(len(values) - 1) not in values:
            raise self._wrong("an array")
        if count is not None and len(values) != count:
            raise self.error(f"{count} elements expected, found {len(values)}", f"give {count}")
        if most is not None and len(values) > most:
            raise self.error(f"{len(values)} elements, more than {most}", "leave some out")
        if isinstance(values, Mapping):
            try:
                values = [values[str(i)] for i in range(len(values))]
            except KeyError:
                raise self._wrong("an array") from None
        return [Node(value, self.file, self, i) for i, value in enumerate(values)]

    def array(self, kind: type, shape: tuple[int, ...] = ()) -> Any:
        """Numbers (float), whole numbers (int) or truth values (bool) as nested lists; of shape () the value itself.

        Numbers are finite and fit into 32 bits.
        """
        if shape:
            return [element.array(kind, shape[1:]) for element in self.elements(shape[0])]
        value = self.value
        if kind is bool or isinstance(value, bool):
            if kind is bool and isinstance(value, bool):
                return value
        elif kind is int:
            if isinstance(value, int) and -INT32_MAX - 1 <= value <= INT32_MAX:
                return value
        elif isinstance(value, (int, float)):
            if abs(value) <= FLOAT32_MAX:
                return float(value)
            if value != value:
                raise self.error("not a number (NaN)", "write a finite number")
            raise self.error("the number is infinite or too large for 32 bits", "write a finite number")
        raise self._wrong(WANTED[kind])

    def text(self, choices: Collection[str] | None = None) -> str:
        """A string, one of ``choices`` if given."""
        wanted = "a text" if choices is None else "one of " + ", ".join(repr(choice) for choice in choices)
        if not isinstance(self.value, str) or (choices is not None and self.value not in choices):
            raise self._wrong(wanted)
        if len(self.value) > MAX_TEXT:
            raise self.error(f"a text of {len(self.value)} characters, more than {MAX_TEXT}", "shorten it")
        if not self.value.isascii():
            try:
                self.value.encode()
            except UnicodeEncodeError:
                raise self.error("the text holds half a character (a lone surrogate)", "remove it") from None
        return self.value


def read_json(path: str | os.PathLike) -> Any:
    """The document in a JSON file.

    Raises:
        LevelError: for a file that cannot be read, is larger than ``MAX_FILE_BYTES``, has more than ``MAX_VALUES``
            values, or is not JSON. NaN and Infinity pass; ``Node.array`` refuses them, where they have an address.
    """
    file = os.fspath(path)
    content = _read_bytes(file)
    values = sum(map(content.count, (b",", b"[", b"{")))  # there is one of these before every value but the first
    if values > MAX_VALUES:
        remedy = "a level has far fewer: check that this is one"
        raise LevelError(file, None, f"holds more than {MAX_VALUES} values", remedy)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            double = next(key for key, _ in pairs if key in seen or seen.add(key))
            raise LevelError(file, _shown(double), "the field is there twice in one object", "remove one")
        return found

    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=unique)
    except LevelError:
        raise
    except UnicodeDecodeError as e:
        raise LevelError(file, None, f"not UTF-8 text (byte {e.start})", "save it as UTF-8") from None
    except RecursionError:
        raise LevelError(
            file, None, "nested too deeply", "use a level file as Kinetix or this project writes it"
        ) from None
    except ValueError as e:  # JSONDecodeError, or a number of thousands of digits
        raise LevelError(file, None, f"not JSON: {e}", "repair it or export the level again") from None


def _shortened(text: str) -> str:
    """The text, without its middle if it is long."""
    half = MAX_SHOWN // 2
    return text if len(text) <= MAX_SHOWN else f"{text[:half]}...{text[-half:]}"


def _shown(value: Any) -> str:
    """A value as an error repeats it: in full if it is short; what kind it is and how long, if it has parts."""
    if isinstance(value, (Mapping, list, tuple)):  # reprlib would sort all keys of all objects in it
        kind = "an object" if isinstance(value, Mapping) else "a list"
        return f"{kind} of {len(value)} {'entry' if len(value) == 1 else 'entries'}"
    try:
        return reprlib.repr(value)
    except ValueError:  # Python does not print whole numbers of thousands of digits
        return "a number of thousands of digits"


def _read_bytes(file: str) -> bytes:
    try:
        path = Path(file)
        if path.is_dir():
            raise LevelError(file, None, "a folder, not a file", "name a level file, or use load_levels")
        if path.exists() and not path.is_file():  # a pipe or device might never end
            raise LevelError(file, None, "not a regular file", "name a level file")
        with open(path, "rb") as f:
            content = f.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise LevelError(file, None, "there is no such file", "check the path") from None
    except OSError as e:
        raise LevelError(file, None, f"cannot be read ({e.strerror})", "check the path and its permissions") from None
    except LevelError:
        raise
    except ValueError as e:  # a null byte in the path
        raise LevelError(repr(file), None, f"not a path ({e})", "check the path") from None
    if len(content) > MAX_FILE_BYTES:
        limit = f"{MAX_FILE_BYTES // 10**6} MB"
        raise LevelError(file, None, f"larger than {limit}", "a level file is far smaller: check that this is one")
    if not content.strip():
        raise LevelError(file, None, "the file is empty", "export the level again")
    return content
