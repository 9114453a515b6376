"""Reading documents: a JSON file is checked against a declared type before anyone looks at its fields."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import msgspec


class Kind(NamedTuple):
    """A kind of document.

    Attributes:
        name: what messages call it, with its article
        schema: what its field ``schema`` says
        version: the ``schema_version`` that is read
        fields: its type, a ``TypedDict`` whose annotations msgspec checks; fields that it does not name are allowed
        remedy: what to do about a file that is something else
    """

    name: str
    schema: str
    version: int
    fields: Any
    remedy: str


def read_document(path: str | os.PathLike[str], kind: Kind) -> Any:
    """The document in a file, which has all fields that ``kind`` declares, of the declared types and ranges.

    Strict JSON in UTF-8: NaN and Infinity are refused, so every number of the document is finite.

    Raises:
        ValueError: for a file that cannot be read or holds something else, naming the file and the field.
    """
    try:
        document = msgspec.json.decode(Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except (OSError, ValueError) as problem:
        raise ValueError(f"{path} cannot be read: {problem}") from None
    except RecursionError:
        raise ValueError(f"{path} cannot be read: its JSON is nested too deeply") from None
    fields = document if isinstance(document, dict) else {}
    schema, version = fields.get("schema"), fields.get("schema_version")
    if schema != kind.schema:
        other = f", its schema is {_short(schema)}" if schema is not None else ""
        raise ValueError(f"{path} is not {kind.name}{other}: {kind.remedy}")
    if isinstance(version, bool) or version != kind.version:
        raise ValueError(f"{path} has schema_version {_short(version)} and {kind.version} is read: {kind.remedy}")
    try:
        msgspec.convert(document, kind.fields)
    except msgspec.ValidationError as problem:
        what, _, where = str(problem).replace("`", "'").partition(" - at '$")
        raise broken(path, kind, where.strip(".'") or "the document", what[:1].lower() + what[1:]) from None
    except RecursionError:
        raise ValueError(f"{path} is not {kind.name}: its fields are nested too deeply; {kind.remedy}") from None
    return document


def broken(path: str | os.PathLike[str], kind: Kind, field: str, problem: str) -> ValueError:
    """The error about one field of a file."""
    return ValueError(f"{path} is not a whole {kind.name.partition(' ')[2]}: {field}: {problem}; {kind.remedy}")


def _short(value: Any) -> str:
    """A value of any length, on part of a line."""
    text = f"a JSON {type(value).__name__}" if isinstance(value, (list, dict)) else ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
