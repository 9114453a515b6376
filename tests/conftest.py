"""What all tests share.

A compiled program stays in memory as long as JAX remembers it, in a dozen memory maps, and a process may have 65 530 of
those under Linux' usual setting. So programs are forgotten after each file, and each file stays with one worker.

Most of the time of the tests is compiling. Programs that took long are kept on disk, for the other workers, for the
processes that tests start, and for the next run; a variable that is set already is respected.
"""

import gc
import os
from pathlib import Path

PROGRAMS = Path(__file__).parents[1] / ".pytest_cache" / "programs"

# Programs of tests run for moments, so they are compiled without the passes that would make them faster.
FLAGS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS}".strip()

# JAX reads these when it is imported, here and in every process that a test starts.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(PROGRAMS))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

import jax  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def forgotten_programs():
    yield
    jax.clear_caches()
    gc.collect()
