"""Scores on levels that were held out of training, and speed."""

from .evaluate import Evaluation, evaluate
from .heldout import HELDOUT_SEED, heldout_random
from .policies import NetworkPolicy, NoopPolicy, Policy, RandomPolicy
from .report import as_json, format_table, refuse_overwriting, write_json
from .suite import Suite, load_suite, random_suite
from .throughput import Settings, format_measurement, measure

__all__ = [
    "Evaluation",
    "HELDOUT_SEED",
    "NetworkPolicy",
    "NoopPolicy",
    "Policy",
    "RandomPolicy",
    "Settings",
    "Suite",
    "as_json",
    "evaluate",
    "format_measurement",
    "format_table",
    "heldout_random",
    "load_suite",
    "measure",
    "random_suite",
    "refuse_overwriting",
    "write_json",
]
