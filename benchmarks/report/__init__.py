"""What an evaluation looks like: tables for the terminal, JSON for everything else, Markdown a page and a picture for readers."""

from .files import refuse_overwriting, write_json, write_text
from .markdown import format_markdown
from .page import format_html, thumbnails
from .plot import write_plot
from .provenance import commit, machine, versions
from .results import Played, as_json, pooled, results
from .schema import SCHEMA, SCHEMA_VERSION, read_results
from .tables import aligned, means_of_policies, suite_tables
from .terminal import format_table

__all__ = [
    "Played",
    "SCHEMA",
    "SCHEMA_VERSION",
    "aligned",
    "as_json",
    "commit",
    "format_html",
    "format_markdown",
    "format_table",
    "machine",
    "means_of_policies",
    "pooled",
    "read_results",
    "refuse_overwriting",
    "results",
    "suite_tables",
    "thumbnails",
    "versions",
    "write_json",
    "write_plot",
    "write_text",
]
