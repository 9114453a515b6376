"""Curricula by name, for configurations and the command line."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

from kinetix_ued.renamed import current_name

from .accel import accel
from .buffer import LevelBuffer
from .domain_randomisation import domain_randomisation
from .ncc import ncc
from .plr import plr, robust_plr
from .protocol import Curriculum
from .sampling import Sampler
from .sfl import sfl
from .student_regret import student_regret

CURRICULA: dict[str, Callable[..., Curriculum]] = {
    "dr": domain_randomisation,
    "plr": plr,
    "robust-plr": robust_plr,
    "accel": accel,
    "sfl": sfl,
    "ncc": ncc,
    "student-regret": student_regret,
}
"""Every curriculum by name. Each is called with (sample, batch) and the keywords ``curriculum_options`` lists.

``mixture`` is not among them: it takes curricula, not names and settings of curricula; build it in a function of your
own.
"""

_BUFFER_OPTIONS = tuple(field.name for field in dataclasses.fields(LevelBuffer))


def curriculum_options(name: str) -> tuple[str, ...]:
    """Keywords that ``make_curriculum`` takes for this curriculum.

    Those of its function; where that has ``buffer``, the settings of a ``LevelBuffer`` as well.

    >>> curriculum_options("dr")
    ('restart',)
    >>> curriculum_options("robust-plr")
    ('buffer', 'score', 'capacity', 'prioritisation', 'temperature', ...)

    Raises:
        ValueError: for an unknown name.
    """
    name = current_name(name)
    if name not in CURRICULA:
        raise ValueError(f"unknown curriculum {name!r}: use one of {', '.join(CURRICULA)}")
    parameters = inspect.signature(CURRICULA[name]).parameters.values()
    own = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    return own + (_BUFFER_OPTIONS if "buffer" in own else ())


def make_curriculum(name: str, sample: Sampler, batch: int, **options: Any) -> Curriculum:
    """The curriculum of that name: ``make_curriculum("plr", sample, 256, score="max_mc", capacity=4000)``.

    Settings of the level buffer may be given one by one; they replace those of ``buffer``, or of its default.

    Args:
        name: one of ``CURRICULA``
        sample: ``sample(key, n)``: n new levels
        batch: levels, and so environments, of an update
        options: see ``curriculum_options``

    Raises:
        ValueError: for an unknown name or option, or a value out of its range.
    """
    name = current_name(name)
    known = curriculum_options(name)
    unknown = [option for option in options if option not in known]
    if unknown:
        remedy = f"it knows {', '.join(known)}" if known else "it has none"
        raise ValueError(f"curriculum {name!r} has no option {', '.join(unknown)}: {remedy}")
    settings = {option: options.pop(option) for option in _BUFFER_OPTIONS if option in options}
    if settings:
        default = inspect.signature(CURRICULA[name]).parameters["buffer"].default
        options["buffer"] = dataclasses.replace(options.get("buffer", default), **settings)
    return CURRICULA[name](sample, batch, **options)
