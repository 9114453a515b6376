"""The published suite: found wherever it is, never imported, checked level by level."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from kinetix_ued.benchmarks import published
from kinetix_ued.benchmarks.published import VARIABLE, Published, published_folder, published_levels, published_suite
from kinetix_ued.benchmarks.suite import named_suite
from kinetix_ued.commands.scoring import suites_of
from kinetix_ued.levels import FAMILIES, hash_text, load_level
from kinetix_ued.world import SIZES

DATA = Path(__file__).parent / "data" / "random"
FILES = {f"{size}/{file.stem}": file for size in SIZES for file in sorted((DATA / size).glob("*.json"))}


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A place where packages are installed, with a wheel of other levels; importing the package is an error."""
    table = {name: Published(hash_text(load_level(file)), "arms") for name, file in FILES.items()}
    monkeypatch.setattr(published, "published_levels", lambda: table)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *(p for p in sys.path if not (Path(p) / "kinetix").exists())])
    monkeypatch.delenv(VARIABLE, raising=False)
    for name, file in FILES.items():
        target = tmp_path / "kinetix" / "levels" / f"{name}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    (tmp_path / "kinetix" / "__init__.py").write_text("raise RuntimeError('it was imported')")
    about = tmp_path / "kinetix_env-3.0.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: kinetix-env\nVersion: 3.0.2\n")
    (about / "RECORD").write_text("".join(f"kinetix/levels/{name}.json,,\n" for name in FILES))
    return tmp_path


def test_the_table_lists_all_74():
    levels = published_levels()
    counts = {size: sum(name.startswith(f"{size}/") for name in levels) for size in SIZES}
    assert counts == {"s": 10, "m": 24, "l": 40} and len({about.hash for about in levels.values()}) == 74
    assert {about.family for about in levels.values()} == set(FAMILIES)
    assert all(len(about.hash) == 16 and int(about.hash, 16) >= 0 for about in levels.values())


def test_levels_of_an_installed_wheel(site):
    suite = published_suite()
    assert [f"{f}/{n}" for f, n in zip(suite.folders, suite.names)] == [f"kinetix/{name}" for name in FILES]
    assert suite.sizes == tuple(name[0] for name in FILES) and suite.levels.size.name == "l"
    assert suite.hashes == tuple(hash_text(load_level(file)) for file in FILES.values())
    assert set(suite.families) == {"arms"} and suite.source == "kinetix"
    small = published_suite("s")
    assert small.levels.size.name == "s" and set(small.folders) == {"kinetix/s"} and small.source == "kinetix-s"
    assert "kinetix" not in sys.modules


def test_levels_of_a_package_without_a_wheel(site):
    shutil.rmtree(site / "kinetix_env-3.0.2.dist-info")
    assert published_folder() == site / "kinetix" / "levels"


def test_levels_of_a_folder_that_is_named(site, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.move(site / "kinetix" / "levels", elsewhere / "levels")
    with pytest.raises(ValueError, match="are not here: get them with `pip install --no-deps kinetix-env"):
        published_suite("s")
    for named in (elsewhere, elsewhere / "levels"):
        assert published_folder(named) == elsewhere / "levels"
        monkeypatch.setenv(VARIABLE, str(named))
        assert len(published_suite("m").levels) == sum(name.startswith("m/") for name in FILES)
    monkeypatch.delenv(VARIABLE)
    assert named_suite(f"kinetix-m:{elsewhere}").hashes == published_suite("m", elsewhere).hashes
    assert list(suites_of([f"kinetix:{elsewhere}"])) == ["kinetix"], "reports do not call it after the folder"
    with pytest.raises(ValueError, match="which holds no folder s, m or l of levels: get them"):
        named_suite(f"kinetix:{site}")
    monkeypatch.setenv(VARIABLE, str(site))
    with pytest.raises(ValueError, match=f"{VARIABLE} is .*, which holds no folder s, m or l of levels: get them"):
        published_suite()


def test_missing_and_different_levels_are_named(site):
    levels = site / "kinetix" / "levels"
    first, second, third = [name for name in FILES if name.startswith("m/")][:3]
    (levels / f"{first}.json").unlink()
    (levels / f"{second}.json").write_text("{}")
    document = json.loads((levels / f"{third}.json").read_text())
    document["env_state"]["gravity"]["1"] = -1.0
    (levels / f"{third}.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match=rf"missing: {first}; different: {second}, {third}\): get them with `pip") as e:
        published_suite("m")
    count = sum(name.startswith("m/") for name in FILES)
    assert f"holds {count - 3} of the {count} published levels" in str(e.value)
    assert len(published_suite("s").levels) == sum(name.startswith("s/") for name in FILES)
