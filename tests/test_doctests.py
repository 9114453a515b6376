"""Examples in docstrings run, and show what they say."""

import doctest
import importlib
import pkgutil

import kinetix_ued

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def test_examples_in_docstrings():
    names = [module.name for module in pkgutil.walk_packages(kinetix_ued.__path__, "kinetix_ued.")]
    modules = [importlib.import_module(name) for name in names if not name.endswith("__main__")]
    results = {module.__name__: doctest.testmod(module, optionflags=OPTIONS) for module in [kinetix_ued, *modules]}
    assert {name: result.failed for name, result in results.items() if result.failed} == {}
    assert sum(result.attempted for result in results.values()) >= 8
