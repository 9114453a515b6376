"""Writes the table of held-out levels: ``python -m kinetix_ued.benchmarks.held_out_table [FOLDER]``.

FOLDER holds the published levels; without it they are those of an installed kinetix-env. To be called in a checkout
when a level of a suite was added or changed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from kinetix_ued.generators import exclusion
from kinetix_ued.levels import load_level
from kinetix_ued.whole import whole_file

from . import holdout
from .published import published_folder, published_levels, published_suite

HEAD = """\
# Levels that no run should train on, the published ones and this project's own: content hash, name, and the sketch of
# the scene. Written by python -m kinetix_ued.benchmarks.held_out_table
"""


def table(folder: str | None = None) -> str:
    """The text of the table.

    Args:
        folder: of the published levels, see ``published_folder``.

    Raises:
        ValueError: a published level is missing or different.
    """
    published_suite(folder=folder)  # checks each against its hash
    root = published_folder(folder)
    files = {f"kinetix/{name}": root / f"{name}.json" for name in published_levels()}
    files |= {f"holdout/{name}": holdout.level_file(name) for name in holdout.holdout_names()}
    return HEAD + "".join(f"{exclusion.table_row(name, load_level(file))}\n" for name, file in files.items())


def main() -> int:
    target = Path(exclusion.__file__).with_name(exclusion.TABLE)
    text = table(*sys.argv[1:2])
    with whole_file(target) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"written to {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
