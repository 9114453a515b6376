"""Interrupts that wait until the update at hand is done and saved."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

SAME_INTERRUPT = 1.0
"""Seconds in which a second interrupt counts as the same one: a wrapper may pass on what the terminal has sent too."""


@contextlib.contextmanager
def postponed_interrupt() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and SIGHUP set. Outside the main thread it stays unset.

    A second SIGINT or SIGTERM interrupts; not SIGHUP, which comes from a terminal that closes and often comes twice,
    and which nohup has told the process to ignore.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    first = math.inf

    def note(number: int, frame: Any) -> None:
        nonlocal first
        if number != hangup:
            now = time.monotonic()
            first = min(first, now)
            if now - first > SAME_INTERRUPT:
                raise KeyboardInterrupt
        if not event.is_set():
            event.set()
            print("\nstopping after this update, then saving; once more to stop at once", file=sys.stderr)

    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        numbers.append(hangup)
    previous = {number: signal.signal(number, note) for number in numbers}
    try:
        yield event
    finally:
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
