"""Scores on levels that were held out of training, and speed."""

from .buffering import BufferSettings, format_buffer, measure_buffer
from .comparison import ComparisonSettings, compare, format_comparison, plot_comparison
from .evaluate import Evaluation, evaluate
from .generation import GenerationSettings, fitting_generators, format_generation, measure_generation
from .heldout import HELDOUT_SEED, heldout_random
from .policies import NetworkPolicy, NoopPolicy, Policy, RandomPolicy
from .rendering import RenderSettings, format_rendering, measure_rendering
from .report import as_json, format_table, refuse_overwriting, write_json
from .statistics import Interval, bootstrap, interquartile_mean, probability_of_improvement, wilson
from .suite import Suite, load_suite, random_suite
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
    "Policy",
    "RandomPolicy",
    "RenderSettings",
    "Settings",
    "Suite",
    "TrainingSettings",
    "as_json",
    "bootstrap",
    "compare",
    "evaluate",
    "fitting_generators",
    "format_buffer",
    "format_comparison",
    "format_generation",
    "format_measurement",
    "format_rendering",
    "format_table",
    "format_training",
    "format_validity",
    "heldout_random",
    "interquartile_mean",
    "load_suite",
    "measure",
    "measure_buffer",
    "measure_generation",
    "measure_rendering",
    "measure_training",
    "measure_validity",
    "plot_comparison",
    "probability_of_improvement",
    "random_suite",
    "refuse_overwriting",
    "wilson",
    "write_json",
]
