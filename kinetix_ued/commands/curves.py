"""``kinetix-ued curves``: learning curves of runs as a picture."""

from __future__ import annotations

import argparse
import sys

AXES, USUAL, SMOOTHING = ("steps", "decisions", "hours"), ("solve_rate", "return"), 0.05
"""Those of the library, which help should not wait for; a test compares them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "runs",
        nargs="+",
        metavar="RUN",
        help="folder of a run, or of runs of several seeds; name=RUN,RUN for several runs of one method",
    )
    add("--out", required=True, metavar="FILE.png", help="the picture")
    add("--x", choices=AXES, default=AXES[0], help="what the curves are drawn over (%(default)s)")
    add(
        "--y",
        nargs="+",
        default=list(USUAL),
        metavar="NUMBER",
        help=f"numbers of metrics.jsonl, a panel each, such as loss/entropy ({' '.join(USUAL)})",
    )
    add(
        "--smooth",
        type=float,
        default=SMOOTHING,
        metavar="SHARE",
        help="share of the run over which curves are averaged; 0: not at all (%(default)s)",
    )
    add("--each", action="store_true", help="each run by a thin line instead of the mean and range of a method's")
    add("--overwrite", action="store_true", help="replace FILE.png")


def run(arguments: argparse.Namespace) -> int:
    from kinetix_ued.benchmarks.curve_plot import write_curves
    from kinetix_ued.benchmarks.curves import moving_mean, read_curves
    from kinetix_ued.benchmarks.methods import named_sources
    from kinetix_ued.benchmarks.report import refuse_overwriting

    if not arguments.out.lower().endswith(".png"):
        raise ValueError(f"{arguments.out}: the picture is a PNG; name a file that ends in .png")
    refuse_overwriting(arguments.out, arguments.overwrite)
    moving_mean([], arguments.smooth)
    curves = read_curves(named_sources(arguments.runs), arguments.y, arguments.x)
    options = {"smoothing": arguments.smooth, "each": arguments.each, "overwrite": arguments.overwrite}
    write_curves(arguments.out, curves, arguments.x, **options)
    print(f"written to {arguments.out}", file=sys.stderr)
    return 0
