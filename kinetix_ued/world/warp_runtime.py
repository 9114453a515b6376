"""Starting Warp without noise, and loading its kernels from a cache that may be damaged or not writable."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

NO_DRIVER = b"Could not find or load the NVIDIA CUDA driver"
"""Part of the line that Warp's native library writes on a machine without a GPU."""

CACHE_REMEDY = "set WARP_CACHE_PATH to a folder that can be written"

OLDEST = (1, 16)
"""Oldest version of Warp that has what the engine needs."""


@functools.cache
def warp_problem() -> str | None:
    """Why Warp cannot run here, in a line; None where it can. Starts it."""
    try:
        import warp
    except (ImportError, OSError) as error:
        return f"warp-lang cannot be imported ({error})"
    # Warp reports devices and compilations on standard output.
    warp.config.log_level = max(warp.config.log_level, warp.LOG_WARNING)
    version = tuple(int(part) for part in warp.__version__.split(".")[:2])
    if version < OLDEST:
        return f"warp-lang {warp.__version__} is older than {'.'.join(map(str, OLDEST))}"
    backend = jax.default_backend()
    if backend not in ("cpu", "gpu"):
        return f"warp has no engine for JAX's {backend!r} backend"
    try:
        with contextlib.nullcontext() if _wants_gpu() else _without_driver_line():
            warp.init()
        with tempfile.TemporaryFile(dir=warp.config.kernel_cache_dir):
            pass
    except OSError as error:
        return f"warp cannot write its kernel cache ({error}; {CACHE_REMEDY})"
    if backend == "gpu" and not warp.is_cuda_available():
        return "warp finds no CUDA device"
    if backend == "cpu" and not warp.is_cpu_available():
        return "this build of warp-lang has no CPU compiler"
    return None


def load_kernel(kernel: Any) -> None:
    """Compile a kernel, or load it from Warp's cache; a damaged file of the cache is compiled again, with a warning.

    JAX would load it too, but when it is called, where an error is hard to read.

    Raises:
        RuntimeError: where Warp cannot run, or the cache cannot be written; the message names the remedy.
    """
    problem = warp_problem()
    if problem is not None:
        raise RuntimeError(f"engine 'warp' cannot run here: {problem}; or use engine='jax'")
    import warp

    cache, name = Path(warp.config.kernel_cache_dir), f"wp_{kernel.module.name}_"
    try:
        if _loads(kernel):
            return
        warnings.warn(f"{cache / name}* is damaged: compiling the kernel again", stacklevel=2)
        for folder in cache.glob(f"{name}*"):
            shutil.rmtree(folder)
        kernel.module.unload()
        if _loads(kernel):
            return
    except OSError as error:
        raise RuntimeError(
            f"engine 'warp' cannot write its kernel cache ({error}): {CACHE_REMEDY}, or use engine='jax'"
        ) from error
    raise RuntimeError(f"warp cannot load the kernel that it compiled to {cache / name}*: use engine='jax'")


def _loads(kernel: Any) -> bool:
    """Whether a kernel can be loaded, whole; where it was never compiled, whether it can be compiled."""
    import warp

    folder = f"wp_{kernel.module.name}_"
    compiled = any(Path(warp.config.kernel_cache_dir).glob(f"{folder}*"))
    try:
        warp.load_module(kernel.module, warp.device_from_jax(jax.local_devices()[0]), max_workers=0)
        return all(loaded.get_kernel_hooks(kernel).forward for loaded in kernel.module.execs.values())
    except OSError:
        raise
    except Exception:  # Warp raises bare Exception for an object that it cannot load
        if not compiled:
            raise
        return False


def _wants_gpu() -> bool:
    asked = _platforms().split(",")
    return jax.default_backend() == "gpu" or "cuda" in asked or "gpu" in asked


def _platforms() -> str:
    return jax.config.jax_platforms or ""


@contextlib.contextmanager
def _without_driver_line() -> Iterator[None]:
    """Leaves the line about a missing driver out of what native code writes to standard error; the rest follows."""
    with contextlib.ExitStack() as stack:
        try:
            caught = stack.enter_context(tempfile.TemporaryFile())
            stderr = os.dup(2)
        except OSError:  # nowhere to keep it, or no standard error at all
            yield
            return
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            caught.seek(0)
            rest = b"".join(line for line in caught if NO_DRIVER not in line)
            if rest:
                with contextlib.suppress(OSError):
                    os.write(2, rest)
