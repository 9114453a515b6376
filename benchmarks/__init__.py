"""Scores on levels that were held out of training, and speed."""

from .evaluate import Evaluation, evaluate
from .generation import GenerationSettings, fitting_generators, format_generation, measure_generation
from .heldout import HELDOUT_SEED, heldout_random
from .policies import NetworkPolicy, NoopPolicy, Policy, RandomPolicy
from .rendering import RenderSettings, format_rendering, measure_rendering
from .report import as_json, format_table, refuse_overwriting, write_json
from .suite import Suite, load_suite, random_suite
from .throughput import Settings, format_measurement, measure
from .validity import format_validity, measure_validity

__all__ = [
    "Evaluation",
    "GenerationSettings",
    "HELDOUT_SEED",
    "NetworkPolicy",
    "NoopPolicy",
    "Policy",
    "RandomPolicy",
    "RenderSettings",
    "Settings",
    "Suite",
    "as_json",
    "evaluate",
    "fitting_generators",
    "format_generation",
    "format_measurement",
    "format_rendering",
    "format_table",
    "format_validity",
    "heldout_random",
    "load_suite",
    "measure",
    "measure_generation",
    "measure_rendering",
    "measure_validity",
    "random_suite",
    "refuse_overwriting",
    "write_json",
]
