"""What all tests share.

A compiled program stays in memory as long as JAX remembers it, in a dozen memory maps, and a process may have 65 530 of
those under Linux' usual setting. So programs are forgotten after each file, and each file stays with one worker.
"""

import gc

import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def forgotten_programs():
    yield
    jax.clear_caches()
    gc.collect()
