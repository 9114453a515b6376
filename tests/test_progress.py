"""Progress bars on terminals, with and without a width that they report."""

from __future__ import annotations

import os
import struct
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty")
fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")

BARS = {
    "training": """
from types import SimpleNamespace
from kinetix_ued.training.callbacks.progress_bar import ProgressBar
bar = ProgressBar()
bar.begin(SimpleNamespace(config=SimpleNamespace(seeds=1, steps=10), counts={"learning": 0}))
bar(None, {"solve_rate": 0.5, "steps_per_second": 3.0, "steps/learning": 10})
bar.close()
""",
    "evaluating": """
import time
from kinetix_ued.benchmarks.episode_bar import episode_bar
with episode_bar("evaluating noop") as update:
    time.sleep(0.2)  # bars are not drawn more often than ten times a second
    update(1, 2)
""",
    "solving": """
from kinetix_ued.commands.solve import search_bar
with search_bar(3) as (write, advance):
    advance(True)
""",
}


def on_terminal(code, columns, lines):
    """What a process writes to a terminal that reports this size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 65536):
            written += piece
    except OSError:  # Linux' word for the end
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0, written.decode()
    return written.decode()


@pytest.mark.parametrize("size", [(0, 0), (0, 24), (100, 30)])
@pytest.mark.parametrize("title", BARS)
def test_a_bar_is_seen_whatever_width_a_terminal_reports(title, size):
    shown = on_terminal(BARS[title], *size)
    assert title in shown and "%|" in shown
    widest = max(len(line) for line in shown.replace("\r", "\n").split("\n"))
    assert 40 < widest <= (size[0] or int(os.environ.get("COLUMNS", 80)))
