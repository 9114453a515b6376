"""What holds the package together: its list of packages, its links, the direction of imports, its documentation."""

import ast
import configparser
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kinetix_ued.training import field_docs
from kinetix_ued.world import Frames, Level, WorldState

ROOT = Path(__file__).resolve().parent.parent
LINKED = ("benchmarks", "curricula", "generators")

LAYERS = (
    ("world",),
    ("viewer",),
    ("environment", "levels"),
    ("generators",),
    ("agents", "curricula"),
    ("benchmarks.evaluation",),
    ("training",),
    ("benchmarks",),
    ("commands",),
)
"""Folders from the lowest up. A folder imports only what stands below it."""

EVALUATION = (
    "documents episode_bar evaluate fitting heldout holdout policies proofs published report statistics suite "
    "suite_levels"
).split()
"""Modules of benchmarks that evaluate a policy, wherever it is from: training stands on them, the others on training.

What is imported from the package itself counts as one of them, since it loads the others on first use only.
"""


def layer(name: str) -> str:
    """The folder in LAYERS of a module with this full name."""
    folder, inside = (*name.split(".")[1:], "", "")[:2]
    return "benchmarks.evaluation" if folder == "benchmarks" and (inside in EVALUATION or not inside) else folder


pytestmark = pytest.mark.skipif(not (ROOT / "setup.cfg").exists(), reason="the tests are run away from the repository")


def packages_on_disk() -> dict[str, Path]:
    """Every package of the repository by its name, links resolved."""
    core = {p.parent for p in (ROOT / "kinetix_ued").rglob("*.py")} - {ROOT / "kinetix_ued" / name for name in LINKED}
    core = {path for path in core if not any(part in LINKED for part in path.relative_to(ROOT).parts)}
    found = {".".join(path.relative_to(ROOT).parts): path for path in core}
    for name in LINKED:
        for path in {p.parent for p in (ROOT / name).rglob("*.py")}:
            found[".".join(("kinetix_ued", *path.relative_to(ROOT).parts))] = path
    return found


def sources() -> Iterator[tuple[str, Path]]:
    """Every module of the package: its package's name and its file."""
    for name, folder in packages_on_disk().items():
        for path in sorted(folder.glob("*.py")):
            yield name, path


def imports(path: Path, package: str) -> Iterator[tuple[str, int]]:
    """Full names of what a file imports, wherever in it, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def imported_layer(name: str) -> str:
    """The folder in LAYERS of what is imported by this name: a module, or a name in a package."""
    import kinetix_ued.benchmarks as benchmarks

    prefix, _, last = name.rpartition(".")
    if prefix == benchmarks.__name__ and last not in EVALUATION and last in benchmarks.__all__:
        return layer(f"{prefix}.{benchmarks._HOMES[last]}" if last in benchmarks._HOMES else prefix)
    return layer(name)


def test_every_package_is_listed_and_mapped():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = config["options"]["packages"].split()
    assert sorted(listed) == sorted(packages_on_disk())
    mapped = dict(re.split(r"\s*=\s*", line) for line in config["options"]["package_dir"].strip().splitlines())
    assert mapped == {
        name: str(path.relative_to(ROOT)) for name, path in packages_on_disk().items() if path.parts[-1] in LINKED
    }


@pytest.mark.parametrize("name", LINKED)
def test_folders_at_the_top_are_linked_into_the_package(name):
    link = ROOT / "kinetix_ued" / name
    assert link.is_symlink() and link.resolve() == ROOT / name


def test_folders_at_the_top_are_never_imported_by_their_bare_names():
    files = [*sources(), *(("tests", path) for path in (ROOT / "tests").glob("*.py"))]
    assert len(files) > 50
    for package, path in files:
        bare = [(name, line) for name, line in imports(path, package) if name.split(".")[0] in LINKED]
        assert not bare, f"{path.relative_to(ROOT)} imports {bare}: say kinetix_ued.{bare[0][0]}"


def test_imports_point_down():
    height = {name: level for level, names in enumerate(LAYERS) for name in names}
    upward = []
    for package, path in sources():
        if "." not in package:  # the package's own modules are the roof
            continue
        # The package benchmarks names what is in both of its halves; what it loads at once is tested below.
        module = package if path.stem == "__init__" else f"{package}.{path.stem}"
        own = "benchmarks" if module == "kinetix_ued.benchmarks" else layer(module)
        assert own in height, f"{own} has no place in LAYERS"
        for name, line in imports(path, package):
            if not name.startswith("kinetix_ued.") or (other := imported_layer(name)) not in height or other == own:
                continue
            if height[other] >= height[own]:
                upward.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not upward, "\n".join(upward)


def test_what_evaluates_does_not_load_training():
    modules = ["kinetix_ued.benchmarks", *(f"kinetix_ued.benchmarks.{name}" for name in EVALUATION)]
    code = "\n".join(["import sys", *(f"import {name}" for name in modules), "print(*sys.modules)"])
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert set(modules) <= set(loaded) and not [name for name in loaded if name.startswith("kinetix_ued.training")]


def test_inside_a_folder_imports_are_relative():
    for package, path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if package != "kinetix_ued" and isinstance(node, ast.ImportFrom) and not node.level:
                assert node.module != package and not (node.module or "").startswith(package + "."), (
                    f"{path.relative_to(ROOT)}:{node.lineno} imports its own folder absolutely"
                )


def test_documentation_is_read_alike_whether_or_not_it_was_dedented():
    """Python 3.13 dedents docstrings as it compiles; what is read out of sources and docstrings is the same."""

    class Documented:
        """A thing.

        Attributes:
            size: of it
        """

        size: int = 1
        """Size of it,
        in metres."""

    indented = (
        Documented.__doc__
        if "\n        " in Documented.__doc__
        else "A thing.\n\n        Attributes:\n            size: of it\n        "
    )
    for text in (indented, inspect.cleandoc(indented)):
        Documented.__doc__ = text
        assert inspect.getdoc(Documented) == "A thing.\n\nAttributes:\n    size: of it"
    assert field_docs(Documented) == {"size": "Size of it,\nin metres."}


def test_the_pythons_that_are_claimed_are_those_that_are_tested():
    """The README, the classifiers and the requirement name the same versions, and CI runs the first and the last."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    named = re.findall(r"Python :: (3\.\d+)$", config["metadata"]["classifiers"], flags=re.MULTILINE)
    assert config["options"]["python_requires"] == f">={named[0]}"
    assert f"Python {named[0]} to {named[-1]}," in (ROOT / "README.md").read_text(encoding="utf-8")
    assert [f"3.{n}" for n in range(int(named[0][2:]), int(named[-1][2:]) + 1)] == named
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (listed,) = re.findall(r"tests/test_\{([\w,]+)\}\.py", script)
    assert all((ROOT / "tests" / f"test_{name}.py").exists() for name in listed.split(","))
    assert "Programming Language :: Python ::" in script and "setup.cfg" in script


@pytest.mark.parametrize("structure", (Level, WorldState, Frames))
def test_docstrings_list_exactly_the_fields_in_order(structure):
    attributes = inspect.getdoc(structure).split("Attributes:")[1]  # Python 3.13 takes the indentation away by itself
    documented = re.findall(r"^ {4}(\w+): ", attributes, flags=re.MULTILINE)
    assert documented == list(structure.__dataclass_fields__)


def test_files_speak_of_the_project_alone():
    places = re.compile(r"/(work|root|home|tmp|opt|mnt)/\w|localhost|\bpypi\.|pythonhosted|\d+\.\d+\.\d+\.\d+:\d")
    texts = [path for _, path in sources()] + [
        p for p in (ROOT / "tests").glob("*.py") if p != Path(__file__).resolve()
    ]
    texts += [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "setup.cfg", *(ROOT / ".ci").glob("*")]
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in texts
        if (match := places.search(path.read_text(encoding="utf-8")))
    ]
    assert not found, "\n".join(found)
