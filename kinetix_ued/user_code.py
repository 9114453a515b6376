"""Functions out of a user's own files, named on the command line as ``path/to/file.py:function``."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path


def names_a_file(reference: str) -> bool:
    """Whether ``reference`` has the form ``file.py:function``, rather than being the name of something shipped."""
    return ".py:" in reference or reference.endswith(".py")


def load_function(reference: str) -> Callable:
    """The function that ``file.py:function`` names. A file is run once in a process.

    Its folder is on the import path while it runs, so that it finds the modules beside it.

    Raises:
        ValueError: for another form, a file that is not there or fails, or a function that is not in it.
    """
    path, _, name = reference.rpartition(":")
    if not path.endswith(".py") or not name.isidentifier():
        raise ValueError(f"{reference!r} names no function: write path/to/file.py:function")
    file = Path(path).resolve()
    if not file.is_file():
        raise ValueError(f"{path} is not there: check the path before the colon in {reference!r}")
    module = _run(file)
    found = getattr(module, name, None)
    if not callable(found):
        own = lambda value: callable(value) and getattr(value, "__module__", None) == module.__name__
        known = [key for key, value in vars(module).items() if own(value) and not key.startswith("_")]
        remedy = f"it has {', '.join(known)}" if known else "it has no function"
        raise ValueError(f"{path} has no function {name!r}: {remedy}")
    return found


@functools.cache
def _run(file: Path):
    name = f"kinetix_ued_user_{file.stem}_{abs(hash(file))}"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles of the file look their module up
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as problem:
        del sys.modules[name]
        raise ValueError(f"{file} cannot be run: {type(problem).__name__}: {problem}") from problem
    finally:
        sys.path.remove(str(file.parent))
    return module
