"""Scores on levels that were held out of training, and speed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .evaluate import Evaluation, evaluate
from .heldout import HELDOUT_SEED, SELECTION_SEED, heldout_random
from .policies import NetworkPolicy, NoopPolicy, Policy, RandomPolicy, baseline, baseline_names
from .report import (
    Played,
    as_json,
    format_html,
    format_markdown,
    format_table,
    read_results,
    refuse_overwriting,
    results,
    thumbnails,
    write_json,
    write_plot,
    write_text,
)
from .statistics import (
    Interval,
    bootstrap,
    conditional_value_at_risk,
    improvement,
    interquartile_mean,
    probability_of_improvement,
    wilson,
)
from .suite import SUITES, holdout_suite, named_suite
from .suite_levels import Suite, load_suite, random_suite

# Imported on first use. Training evaluates with what stands above, and what stands below trains: imported at once, the
# two would wait for each other.
_HOMES = {
    "BufferSettings": "buffering",
    "ComparisonSettings": "comparison",
    "GenerationSettings": "generation",
    "NetworkSettings": "network_speed",
    "RenderSettings": "rendering",
    "Settings": "throughput",
    "TrainingSettings": "training_speed",
    "fitting_generators": "generation",
    "format_buffer": "buffering",
    "format_generation": "generation",
    "format_measurement": "throughput",
    "format_network": "network_speed",
    "format_rendering": "rendering",
    "format_training": "training_speed",
    "format_validity": "validity",
    "measure": "throughput",
    "measure_buffer": "buffering",
    "measure_generation": "generation",
    "measure_network": "network_speed",
    "measure_rendering": "rendering",
    "measure_training": "training_speed",
    "measure_validity": "validity",
    "refuse_unplayable": "comparison",
    "trained_methods": "comparison",
}

if TYPE_CHECKING:
    from .buffering import BufferSettings, format_buffer, measure_buffer
    from .comparison import ComparisonSettings, refuse_unplayable, trained_methods
    from .generation import GenerationSettings, fitting_generators, format_generation, measure_generation
    from .network_speed import NetworkSettings, format_network, measure_network
    from .rendering import RenderSettings, format_rendering, measure_rendering
    from .throughput import Settings, format_measurement, measure
    from .training_speed import TrainingSettings, format_training, measure_training
    from .validity import format_validity, measure_validity


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "BufferSettings",
    "ComparisonSettings",
    "Evaluation",
    "GenerationSettings",
    "HELDOUT_SEED",
    "Interval",
    "NetworkPolicy",
    "NetworkSettings",
    "NoopPolicy",
    "Played",
    "Policy",
    "RandomPolicy",
    "RenderSettings",
    "SELECTION_SEED",
    "SUITES",
    "Settings",
    "Suite",
    "TrainingSettings",
    "as_json",
    "baseline",
    "baseline_names",
    "bootstrap",
    "conditional_value_at_risk",
    "evaluate",
    "fitting_generators",
    "format_buffer",
    "format_generation",
    "format_html",
    "format_markdown",
    "format_measurement",
    "format_network",
    "format_rendering",
    "format_table",
    "format_training",
    "format_validity",
    "heldout_random",
    "holdout_suite",
    "improvement",
    "interquartile_mean",
    "load_suite",
    "measure",
    "measure_buffer",
    "measure_generation",
    "measure_network",
    "measure_rendering",
    "measure_training",
    "measure_validity",
    "named_suite",
    "probability_of_improvement",
    "random_suite",
    "read_results",
    "refuse_overwriting",
    "refuse_unplayable",
    "results",
    "thumbnails",
    "trained_methods",
    "wilson",
    "write_json",
    "write_plot",
    "write_text",
]
