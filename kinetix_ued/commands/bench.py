"""``kinetix-ued bench``: speed, and other numbers that are measured, on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from . import robustness
from .common import positive, seed

SUBJECTS = {
    "buffer": "what a level buffer costs, by its capacity",
    "generators": "levels a second that are generated and edited",
    "network": "FLOP/s of the actuator network, beside those of a matrix product",
    "render": "pictures a second",
    "robustness": "damaged files and killed runs; nothing may end in a raw exception",
    "train": "environment steps a second of whole PPO updates, where their time goes, and memory",
    "validity": "generated and edited levels that break a rule; there should be none",
}
"""What can be measured besides the default, steps of the physics and of the environment."""

CAPACITIES = (4096, 16_384, 65_536, 262_144, 1_000_000)
"""Slots of level buffers that are measured."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(measure=_steps)
    _common(parser)
    _steps_arguments(parser)
    subjects = parser.add_subparsers(dest="subject", metavar="SUBJECT", title="other subjects")
    for name, summary in SUBJECTS.items():
        subject = subjects.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        arguments, measure = _SUBJECTS[name]
        arguments(subject)
        if measure:
            subject.set_defaults(measure=measure)


def run(arguments: argparse.Namespace) -> int:
    measured, text = arguments.measure(arguments, lambda line: print(line, file=sys.stderr))
    print(json.dumps(measured, indent=1) if arguments.json else text)
    return 0


def _common(parser: argparse.ArgumentParser, *, timed: bool = True, reference: bool = True) -> None:
    add = parser.add_argument
    if timed:
        add("--size", choices=("s", "m", "l"), default="s", help="size of the levels (%(default)s)")
        add("--repeats", type=positive, default=5, help="rounds (%(default)s)")
        add("--min-seconds", type=float, default=0.5, help="least length of a round (%(default)s)")
    if reference:
        add(
            "--reference",
            action="store_true",
            help="measure an installed kinetix-env too, in turns, and print the ratio",
        )
    add("--seed", type=seed, default=0, help="seed of what is random (%(default)s)")
    add("--json", action="store_true", help="print JSON instead of the table")


def _steps_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--engine", choices=("auto", "warp", "jax"), default="auto", help="physics engine (%(default)s)")
    add("--batch", type=positive, default=512, help="scenes side by side (%(default)s)")
    add("--steps", type=positive, default=128, help="steps of a call (%(default)s)")
    add("--frame-skip", type=positive, default=2, help="frames in an environment step (%(default)s)")


def _steps(arguments: argparse.Namespace, say: Any) -> tuple[Any, str]:
    from kinetix_ued.benchmarks import Settings, format_measurement, measure

    measured = measure(_settings(Settings, arguments), reference=arguments.reference, say=say)
    return measured, format_measurement(measured)


def _generators_arguments(parser: argparse.ArgumentParser) -> None:
    _common(parser)
    parser.add_argument("--batch", type=positive, default=1024, help="levels of a call (%(default)s)")
    parser.add_argument("--edits", type=positive, default=5, help="edits of each level (%(default)s)")
    parser.add_argument(
        "--generator", action="append", metavar="NAME", dest="generators",
        help="generator to measure, may be given several times (all that have levels of the size)",
    )  # fmt: skip


def _generators(arguments: argparse.Namespace, say: Any) -> tuple[Any, str]:
    from kinetix_ued.benchmarks import GenerationSettings, fitting_generators, format_generation, measure_generation

    arguments.generators = tuple(arguments.generators or fitting_generators(arguments.size))
    settings = _settings(GenerationSettings, arguments)
    measured = measure_generation(settings, reference=arguments.reference, say=say)
    return measured, format_generation(measured)


def _buffer_arguments(parser: argparse.ArgumentParser) -> None:
    _common(parser, reference=False)
    add = parser.add_argument
    add("--batch", type=positive, default=1024, help="levels of a call (%(default)s)")
    add("--capacities", type=positive, nargs="+", default=CAPACITIES, help="slots of the buffers to measure")
    add("--reference", action="store_true", help="measure JaxUED's LevelSampler too, in turns, and print the ratio")
    add("--capacity", type=positive, default=65_536, help="slots of the buffer beside JaxUED's (%(default)s)")
    add("--reference-calls", type=positive, default=2, help="calls of JaxUED's, which take long (%(default)s)")


def _buffer(arguments: argparse.Namespace, say: Any) -> tuple[Any, str]:
    from kinetix_ued.benchmarks import BufferSettings, format_buffer, measure_buffer

    arguments.capacities = tuple(arguments.capacities)
    measured = measure_buffer(_settings(BufferSettings, arguments), reference=arguments.reference, say=say)
    return measured, format_buffer(measured)


def _network_arguments(parser: argparse.ArgumentParser) -> None:
    _common(parser, timed=False, reference=False)
    add = parser.add_argument
    add("--sizes", nargs="+", choices=("s", "m", "l"), default=["s", "m", "l"], help="sizes of the levels (all)")
    add("--dtypes", nargs="+", choices=("float32", "bfloat16"), default=["float32", "bfloat16"], help="types (both)")
    add("--width", type=positive, default=64, help="of the network (%(default)s)")
    add("--decisions", type=positive, default=4096, help="decisions of a minibatch (%(default)s)")
    add("--microbatch", type=positive, default=256, help="decisions that are computed at once (%(default)s)")
    add("--repeats", type=positive, default=5, help="rounds (%(default)s)")
    add("--min-seconds", type=float, default=0.5, help="least length of each measurement in a round (%(default)s)")


def _network(arguments: argparse.Namespace, say: Any) -> tuple[Any, str]:
    from kinetix_ued.benchmarks import NetworkSettings, format_network, measure_network

    arguments.sizes, arguments.dtypes = tuple(arguments.sizes), tuple(arguments.dtypes)
    measured = measure_network(_settings(NetworkSettings, arguments), say=say)
    return measured, format_network(measured)


def _render_arguments(parser: argparse.ArgumentParser) -> None:
    _common(parser)
    parser.add_argument("--batch", type=positive, default=512, help="scenes side by side (%(default)s)")
    parser.add_argument("--pixels", type=positive, default=125, help="width and height of a picture (%(default)s)")
    parser.add_argument("--supersample", type=positive, default=1, help="samples a pixel and axis (%(default)s)")


def _render(arguments: argparse.Namespace, say: Any) -> tuple[Any, str]:
    from kinetix_ued.benchmarks import RenderSettings, format_rendering, measure_rendering

    measured = measure_rendering(_settings(RenderSettings, arguments), reference=arguments.reference, say=say)
    return measured, format_rendering(measured)


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    _common(parser, timed=False, reference=False)
    parser.add_argument("--preset", default="kinetix-s", help="agent and hyperparameters (%(default)s)")
    parser.add_argument("--environments", type=positive, default=256, help="environments side by side (%(default)s)")
    parser.add_argument("--rollout-steps", type=positive, default=64, help="steps of each in an update (%(default)s)")
    parser.add_argument(
        "--engine", choices=("auto", "warp", "jax"), default="auto", help="physics engine (%(default)s)"
    )
    parser.add_argument("--repeats", type=positive, default=3, help="updates, and rounds of each part (%(default)s)")


def _train(arguments: argparse.Namespace, say: Any) -> tuple[Any, str]:
    from kinetix_ued.benchmarks import TrainingSettings, format_training, measure_training

    measured = measure_training(_settings(TrainingSettings, arguments), say=say)
    return measured, format_training(measured)


def _validity_arguments(parser: argparse.ArgumentParser) -> None:
    _common(parser, timed=False, reference=False)
    parser.add_argument("-n", type=positive, default=100_000, help="levels of each size (%(default)s)")
    parser.add_argument(
        "--generator", default="random", metavar="NAME", help="where the levels come from (%(default)s)"
    )
    parser.add_argument("--edits", type=positive, default=10, help="edits of each edited level (%(default)s)")
    parser.add_argument("--sizes", nargs="+", choices=("s", "m", "l"), default=["s", "m", "l"], help="sizes (all)")


def _validity(arguments: argparse.Namespace, say: Any) -> tuple[Any, str]:
    import functools

    from kinetix_ued.benchmarks import format_validity, measure_validity
    from kinetix_ued.generators import sample_levels

    sample = functools.partial(sample_levels, generator=arguments.generator)
    measured = measure_validity(
        arguments.n, tuple(arguments.sizes), n_edits=arguments.edits, seed=arguments.seed, sample=sample, say=say
    )
    return measured, format_validity(measured)


_SUBJECTS = {
    "buffer": (_buffer_arguments, _buffer),
    "generators": (_generators_arguments, _generators),
    "network": (_network_arguments, _network),
    "render": (_render_arguments, _render),
    "robustness": (robustness.add_arguments, None),
    "train": (_train_arguments, _train),
    "validity": (_validity_arguments, _validity),
}
"""For each subject its options, and the function that measures: what it found, for JSON and as text.

None where the subject brings its own ``run``.
"""


def _settings(kind: type, arguments: argparse.Namespace) -> Any:
    """Settings of a benchmark from the options of the same names."""
    import dataclasses

    return kind(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(kind)})
