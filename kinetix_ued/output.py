"""Standard output and error that stop nothing: a reader that has gone, or a terminal that is closed, costs no work."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

_FAILURES = (OSError, ValueError, RuntimeError)
"""What a stream raises when it is broken, closed, or written to by a signal handler in the middle of a write."""


class SteadyStream:
    """A text stream whose ``write`` and ``flush`` never fail: what cannot be written is dropped.

    Characters that the stream cannot encode are written as escapes. Everything else is the stream's own.
    """

    def __init__(self, stream: Any):
        """``stream`` may be None: Python has none where a process was started without."""
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text) if self._stream is not None else len(text)
        except UnicodeEncodeError:
            encoding = getattr(self._stream, "encoding", None) or "ascii"
            return self.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except _FAILURES:
            return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self._stream is not None:
            with contextlib.suppress(*_FAILURES):
                self._stream.flush()

    def isatty(self) -> bool:
        try:
            return bool(self._stream.isatty())
        except (AttributeError, *_FAILURES):
            return False


@contextlib.contextmanager
def steady_output() -> Iterator[None]:
    """Within it, ``sys.stdout`` and ``sys.stderr`` are steady, for whoever prints: the user's functions too."""
    replaced = {}
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, SteadyStream):
            replaced[name] = stream, SteadyStream(stream)
            setattr(sys, name, replaced[name][1])
    try:
        yield
    finally:
        for name, (stream, steady) in replaced.items():
            if getattr(sys, name) is steady:  # whoever has put another one there takes care of it
                setattr(sys, name, stream)


def drop_unwritable() -> None:
    """Flush both streams; where that fails, let what is left go nowhere.

    Otherwise Python would fail to flush them when it ends, and change the exit status to 120.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except _FAILURES:
            with contextlib.suppress(*_FAILURES):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
