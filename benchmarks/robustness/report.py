"""What the fuzzers found: as JSON, and as tables in Markdown."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..report import commit, machine, versions
from ..report.tables import Table, as_markdown
from .cases import OUTCOMES, Result, faults, summary

SCHEMA = "kinetix-ued/robustness"
SCHEMA_VERSION = 1


def document(parts: Sequence[Mapping[str, Any]], command: str) -> dict[str, Any]:
    """Everything that one command measured, ready for JSON; ``parts``: of ``cases_part`` and ``kills_part``."""
    about = {"versions": versions(), "commit": commit(), "machine": machine()}
    return {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **about, "command": command, "parts": list(parts)}


def cases_part(kind: str, results: Sequence[Result], seed: int, seconds: float) -> dict[str, Any]:
    """The results of a kind of cases, equal faults together."""
    found = {"kind": kind, "cases": len(results), "seed": seed, "seconds": round(seconds, 1)}
    return found | {"targets": summary(results), "faults": faults(results)}


def kills_part(measured: Mapping[str, Any]) -> dict[str, Any]:
    """What ``measure_kills`` returned."""
    return {"kind": "kills", **measured}


def is_clean(found: Mapping[str, Any]) -> bool:
    """Whether nothing was raw or slow, and every killed run ended like the undisturbed one."""
    rows = [row for part in found["parts"] for row in part.get("rows", ())]
    return not any(part.get("faults") for part in found["parts"]) and all(
        row["identical"] == row["runs"] for row in rows
    )


def format_robustness(found: Mapping[str, Any]) -> str:
    """The tables of a document, each with what was done and what was found."""
    texts = [_kills_text(part) if part["kind"] == "kills" else _cases_text(part) for part in found["parts"]]
    return "\n\n".join([*texts, f"Printed by `{found['command']}`."])


def replay_of(kind: str, seed: int, case: int) -> str:
    """The command that repeats a case."""
    return f"kinetix-ued bench robustness {kind} --seed {seed} --case {case}"


def read_robustness(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The document in a file that the command has written.

    Raises:
        ValueError: for another file.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise ValueError(f"{path} cannot be read: {problem}") from problem
    if not isinstance(found, dict) or (found.get("schema"), found.get("schema_version")) != (SCHEMA, SCHEMA_VERSION):
        raise ValueError(
            f"{path} holds no counts of this version: name what kinetix-ued bench robustness --json has written"
        )
    return found


def _cases_text(part: Mapping[str, Any]) -> str:
    total = {name: sum(row[name] for row in part["targets"]) for name in ("cases", *OUTCOMES)}
    rows = [
        [row["target"], *(f"{row[name]:,}" for name in total), f"{row['slowest_seconds']:.2f}"]
        for row in part["targets"]
    ]
    slowest = max(row["slowest_seconds"] for row in part["targets"])
    rows.append(["all", *(f"{count:,}" for count in total.values()), f"{slowest:.2f}"])
    title = f"{part['cases']:,} damaged {part['kind']}, seed {part['seed']}, {part['seconds']:.0f} s."
    table = as_markdown(Table(part["kind"], [part["kind"], *total, "slowest, s"], rows))
    lines = [
        f"- {fault['outcome']}, {fault['cases']} of {fault['target']}: {_plain(fault['error'])} "
        f"({fault['where'] or 'nowhere in the package'}; {_plain(fault['how'])}): "
        f"`{replay_of(part['kind'], part['seed'], fault['case'])}`"
        for fault in part["faults"]
    ]
    return "\n\n".join(filter(None, [title, table, "\n".join(lines)]))


def _kills_text(part: Mapping[str, Any]) -> str:
    settings = part["settings"]
    head = [
        "curriculum",
        "updates",
        "kills",
        *(f"at {aim}" for aim in part["rows"][0]["hit"]),
        "left half a checkpoint",
        "runs",
        "bit for bit",
    ]
    names = ("updates", "kills", None, "partial_checkpoints", "runs", "identical")
    rows = []
    for row in part["rows"]:
        cells = [f"{x:,}" for name in names for x in ([row[name]] if name else row["hit"].values())]
        rows.append([row["method"], *cells])
    columns = zip(*(row[2:] for row in rows), strict=True)
    rows.append(["all", "", *(f"{sum(int(cell.replace(',', '')) for cell in column):,}" for column in columns)])
    what = f"seed {settings['seed']}, engine {settings['engine']}, {part['seconds']:.0f} s."
    title = f"{settings['kills']} kills (SIGKILL), {what}"
    problems = [f"- {row['method']}, {_plain(problem)}" for row in part["rows"] for problem in row["problems"]]
    return "\n\n".join(filter(None, [title, as_markdown(Table("kills", head, rows)), "\n".join(problems)]))


def _plain(text: str, most: int = 160) -> str:
    """Text of a message as it can stand in a line of Markdown and on a terminal."""
    line = ascii(text)[1:-1].replace("`", "'").replace("|", "/").replace("<", "(")
    return line if len(line) <= most else line[:most] + "..."
