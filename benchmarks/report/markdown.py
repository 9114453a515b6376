"""A results document in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .account import budget_of, code_of, holdout_of, machine_of, minutes_of, protocol_of, seeds_of, steps_of, suite_of
from .tables import Table, as_markdown, escape_markdown, suite_tables


def format_markdown(document: Mapping[str, Any]) -> str:
    """Every table of every suite, and where the numbers are from. Names and titles are escaped."""
    parts = ["# Evaluation", escape_markdown(protocol_of(document))]
    for suite in document["suites"]:
        parts += [f"## {escape_markdown(suite['suite'])}", escape_markdown(suite_of(suite))]
        if suite["skipped"]:
            files = "\n".join(f"- {escape_markdown(entry['problem'])}" for entry in suite["skipped"])
            parts.append(f"Left out, {len(suite['skipped'])} that are no levels:\n\n{files}")
        for table in suite_tables(suite):
            parts += [f"### {table.title}", as_markdown(table)]
    parts += ["## Policies", as_markdown(policies_table(document)), *map(escape_markdown, origin(document))]
    return "\n\n".join(parts) + "\n"


def policies_table(document: Mapping[str, Any]) -> Table:
    """A policy a row: seeds, budget, steps and time of training of each run."""
    columns = {
        "seeds": seeds_of,
        "budget of a run": budget_of,
        "environment steps of a run": steps_of,
        "minutes of a run": minutes_of,
        "remark": holdout_of,
    }
    rows = [[policy["name"], *(tell(policy) for tell in columns.values())] for policy in document["policies"]]
    return Table("Policies", ["policy", *columns], rows)


def origin(document: Mapping[str, Any]) -> list[str]:
    """Code, packages and machine, a paragraph each."""
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items() if version)
    machine = f"{machine_of(document)}, {document['machine']['platform']}"
    return [f"Code: {code_of(document)}; {versions}.", f"Machine: {machine}."]
