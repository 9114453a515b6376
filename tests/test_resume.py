"""A run killed at a random moment and resumed ends exactly as if nothing had happened."""

import json
import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest

from kinetix_ued.training.metrics import read_metrics

UPDATES = 24

SCRIPT = """
import sys
from kinetix_ued.training import preset, resume, train
path, updates = sys.argv[1], int(sys.argv[2])
config = preset(
    "tiny-robust-plr", out=path, checkpoint_every=5, progress=False, replay_probability=0.8, minimum_fill=0.25, recurrent=True
)
config = preset("tiny-robust-plr", **config.to_dict() | {"steps": updates * config.update_steps})
try:
    train(config)
except ValueError as refusal:
    assert "already holds a run" in str(refusal), refusal
    resume(path)
"""


def start(path, cache):
    """A training process; all of them share compiled programs, so only the first one compiles."""
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PLATFORMS": "cpu",
    }
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path), str(UPDATES)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    output, _ = process.communicate()
    assert process.returncode == 0, output


def kill_after(process, metrics, lines, delay):
    """SIGKILL some time after that many lines of numbers are there."""
    while process.poll() is None:
        if metrics.exists() and metrics.read_bytes().count(b"\n") >= lines:
            time.sleep(delay)
            process.kill()
            process.communicate()
            return
        time.sleep(0.001)
    pytest.fail(f"the run ended before it could be killed: {process.communicate()[0]}")


def learned(path):
    """Every array of the last checkpoint, and all numbers but the times."""
    last = max((path / "checkpoints").glob("update_*"))
    with np.load(last / "arrays.npz") as file:
        arrays = {name: file[name].tobytes() for name in file.files}
    numbers = [{k: v for k, v in line.items() if "second" not in k} for line in read_metrics(path / "metrics.jsonl")]
    host = json.loads((last / "manifest.json").read_text())["host"]
    return last.name, arrays, numbers, host


def test_a_killed_run_continues_bit_for_bit(tmp_path):
    chance = random.Random()
    cache = tmp_path / "cache"
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(start(whole, cache))
    for lines in sorted(chance.sample(range(1, UPDATES - 4), 2)):
        kill_after(start(killed, cache), killed / "metrics.jsonl", lines, chance.uniform(0, 0.02))
    finish(start(killed, cache))
    expected, found = learned(whole), learned(killed)
    assert found[0] == expected[0] and len(expected[2]) >= UPDATES
    assert found[1] == expected[1], "parameters, optimiser, buffer, environments or keys differ"
    assert found[2] == expected[2]
    assert found[3] == expected[3]
