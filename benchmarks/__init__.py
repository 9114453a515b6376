"""Scores on levels that were held out of training, and speed."""

from .buffering import BufferSettings, format_buffer, measure_buffer
from .comparison import ComparisonSettings, refuse_unplayable, trained_methods
from .evaluate import Evaluation, evaluate
from .generation import GenerationSettings, fitting_generators, format_generation, measure_generation
from .heldout import HELDOUT_SEED, heldout_random
from .policies import NetworkPolicy, NoopPolicy, Policy, RandomPolicy
from .rendering import RenderSettings, format_rendering, measure_rendering
from .report import (
    Played,
    as_json,
    format_html,
    format_markdown,
    format_table,
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
from .throughput import Settings, format_measurement, measure
from .training_speed import TrainingSettings, format_training, measure_training
from .validity import format_validity, measure_validity

__all__ = [
    "BufferSettings",
    "ComparisonSettings",
    "Evaluation",
    "GenerationSettings",
    "HELDOUT_SEED",
    "Interval",
    "NetworkPolicy",
    "NoopPolicy",
    "Played",
    "Policy",
    "RandomPolicy",
    "RenderSettings",
    "SUITES",
    "Settings",
    "Suite",
    "TrainingSettings",
    "as_json",
    "bootstrap",
    "conditional_value_at_risk",
    "evaluate",
    "fitting_generators",
    "format_buffer",
    "format_generation",
    "format_html",
    "format_markdown",
    "format_measurement",
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
    "measure_rendering",
    "measure_training",
    "measure_validity",
    "named_suite",
    "probability_of_improvement",
    "random_suite",
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
