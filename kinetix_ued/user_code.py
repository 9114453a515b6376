"""Functions out of a user's own files, named on the command line as ``path/to/file.py:function``.

A mistake in such a file is one of the user's like any other: it is told in one line, with the file and the line that it
is in, whether the file fails as it is run or its function when it is called. The exception behind it is its cause.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn


class UserCodeError(ValueError):
    """A mistake in a function or a file of the user's; the message begins with the file and the line."""


def names_a_file(reference: str) -> bool:
    """Whether ``reference`` has the form ``file.py:function``, rather than being the name of something shipped."""
    return ".py:" in reference or reference.endswith(".py")


def split_reference(reference: str) -> tuple[Path, str]:
    """The file, as an absolute path, and the function that ``file.py:function`` names.

    Raises:
        ValueError: for another form, or a file that is not there.
    """
    path, _, name = reference.rpartition(":")
    if not path.endswith(".py") or not name.isidentifier():
        raise ValueError(f"{reference!r} names no function: write path/to/file.py:function")
    file = Path(path).resolve()
    if not file.is_file():
        raise ValueError(f"{path} is not there: check the path before the colon in {reference!r}")
    return file, name


def short_reference(reference: str) -> str:
    """``file.py:function`` without the folder; the name of something shipped as it is."""
    if not names_a_file(reference):
        return reference
    path, _, name = reference.rpartition(":")
    return f"{Path(path).name}:{name}"


def load_function(reference: str) -> Callable:
    """The function that ``file.py:function`` names; what it raises when it is called is a ``UserCodeError``.

    A file is run once in a process, and again when it or a module beside it has changed. Its folder is on the import
    path while it runs, so that it finds the modules beside it, and no others of their names.

    Raises:
        ValueError: for another form, or a file that is not there.
        UserCodeError: for a file that fails, or a function that is not in it.
    """
    file, name = split_reference(reference)
    return _function(file, code_hash(file), name)


def code_hash(file: Path) -> str:
    """SHA-256 of a file and of the modules beside it that it imports.

    Raises:
        ValueError: where one of them cannot be read.
    """
    digest = hashlib.sha256()
    for part in code_files(file):
        content = _content(part)
        digest.update(f"{part.relative_to(file.parent).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def code_files(file: Path) -> list[Path]:
    """A file, and the modules in its folder that it imports, or that these import, in order of their paths."""
    installed = {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}
    found, waiting = {file}, [file] if file.parent not in installed else []
    while waiting:
        for name in _imported(waiting.pop()):
            steps = name.split(".")
            for part in _modules(file.parent, steps) - found if steps[0] not in _NEVER_BESIDE else ():
                found.add(part)
                waiting.append(part)
    return [file, *sorted(found - {file})]


def where(function: Any) -> str:
    """``file:line`` of a function's definition, or its name where it has none in Python."""
    function = inspect.unwrap(function)
    code = getattr(getattr(function, "func", function), "__code__", None)  # of a functools.partial: what it calls
    return f"{code.co_filename}:{code.co_firstlineno}" if code else getattr(function, "__name__", repr(function))


def check_call(function: Any, what: str, *arguments: str, options: dict[str, Any] | None = None) -> None:
    """Raise UserCodeError unless ``function`` can be called with these arguments, given by name, and options.

    Args:
        function: of the user's.
        what: it is to be, for the message: ``a generator``.
        arguments: positional ones.
        options: keywords and their values.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # something that is not callable, or that is not made in Python
        if not callable(function):
            refuse(function, f"{what} is a function of ({', '.join(arguments)}), got {type(function).__name__}")
        return
    try:
        signature.bind(*arguments, **(options or {}))
    except TypeError as problem:
        name = getattr(function, "__name__", type(function).__name__)
        call = ", ".join([*arguments, *(f"{option}=..." for option in options or {})])
        refuse(function, f"{what} is called with ({call}), but {name}{_plain(signature)} cannot be: {problem}")


def refuse(function: Any, message: str) -> NoReturn:
    """Raise UserCodeError about a function of the user's."""
    raise UserCodeError(f"{where(function)}: {message}")


class UserFunction:
    """A function of a user's file: whatever it raises, ``sys.exit`` included, becomes a ``UserCodeError``.

    Attributes:
        file: where it is from
    """

    def __init__(self, function: Callable, file: Path, beside: _Neighbours):
        functools.update_wrapper(self, function)
        self.file, self._function, self._beside = file, function, beside

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        try:
            with self._beside:
                return self._function(*arguments, **options)
        except UserCodeError:
            raise
        except (Exception, SystemExit) as problem:
            raise UserCodeError(": ".join(_told(problem, self.file, where(self._function)))) from problem

    def guard(self, function: Callable) -> UserFunction:
        """Another function of the same file, for one that this one returned."""
        return UserFunction(function, self.file, self._beside)


_NEVER_BESIDE = frozenset(sys.stdlib_module_names) | {"kinetix_ued"}
"""Modules that are not looked for beside a user's file, whatever stands there: this package may be its neighbour."""


@functools.cache
def _function(file: Path, digest: str, name: str) -> UserFunction:
    module, beside = _run(file, digest)
    found = getattr(module, name, None)
    if not callable(found):
        own = lambda value: callable(value) and getattr(value, "__module__", None) == module.__name__
        known = [key for key, value in vars(module).items() if own(value) and not key.startswith("_")]
        remedy = f"it has {', '.join(known)}" if known else "it has no function"
        raise UserCodeError(f"{file} has no function {name!r}: {remedy}")
    return UserFunction(found, file, beside)


@functools.cache
def _run(file: Path, digest: str) -> tuple[ModuleType, _Neighbours]:
    name = f"kinetix_ued_user_{file.stem}_{digest[:16]}"
    module = importlib.util.module_from_spec(importlib.util.spec_from_file_location(name, file))
    beside = _Neighbours(file)
    sys.modules[name] = module  # dataclasses and pickles of the file look their module up
    try:
        with beside:
            # Not by the module's loader, which would take a compiled file of the same size and second.
            exec(compile(_content(file), str(file), "exec", dont_inherit=True), vars(module))
    except (Exception, SystemExit) as problem:
        del sys.modules[name]
        place, text = _told(problem, file, str(file))
        raise UserCodeError(f"{place}: the file cannot be run: {text}") from problem
    return module, beside


class _Neighbours:
    """The modules beside a user's file: while it is entered, imports find these under their names, and no others."""

    def __init__(self, file: Path):
        parts = [part.relative_to(file.parent).with_suffix("").parts for part in code_files(file)[1:]]
        self._folder = str(file.parent)
        self._names = {".".join(steps[:n]) for steps in parts for n in range(1, len(steps) + 1)}
        self._loaded: dict[str, ModuleType] = {}

    def _taken(self) -> dict[str, ModuleType]:
        return {name: sys.modules.pop(name) for name in self._names if name in sys.modules}

    def __enter__(self) -> None:
        self._elsewhere = self._taken()
        sys.modules.update(self._loaded)
        sys.path.insert(0, self._folder)
        importlib.invalidate_caches()

    def __exit__(self, *_: object) -> None:
        sys.path.remove(self._folder)
        self._loaded = self._taken()
        sys.modules.update(self._elsewhere)


def _imported(file: Path) -> Iterator[str]:
    """Full names of what a file imports absolutely, wherever in it; none where it is no Python."""
    try:
        tree = ast.parse(_content(file))
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _modules(folder: Path, steps: list[str]) -> set[Path]:
    """The files under ``folder`` that importing ``a.b.c``, given as its steps, runs."""
    found = set()
    for i in range(len(steps)):
        path = folder.joinpath(*steps[: i + 1])
        found |= {file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()}
    return found


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as problem:
        raise ValueError(f"{file} cannot be read: {problem.strerror or problem}") from problem


def _told(problem: BaseException, file: Path, otherwise: str) -> tuple[str, str]:
    """The innermost line of the user's that an exception passed through, and the exception in one line."""
    own, place, step = set(map(str, code_files(file))), otherwise, problem.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename in own:
            place = f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"
        step = step.tb_next
    if isinstance(problem, SyntaxError) and problem.filename in own:
        return f"{problem.filename}:{problem.lineno}", f"{type(problem).__name__}: {problem.msg}"
    if isinstance(problem, SystemExit):
        return place, f"it calls sys.exit({'' if problem.code is None else repr(problem.code)})"
    text = next((line.strip() for line in str(problem).splitlines() if line.strip()), "")
    if type(problem) is ValueError and text:
        return place, text
    return place, type(problem).__name__ + (f": {text}" if text else "")


def _plain(signature: inspect.Signature) -> str:
    """A signature without types, as a user reads it."""
    bare = [parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=signature.empty))
