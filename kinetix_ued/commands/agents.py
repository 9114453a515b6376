"""``kinetix-ued agents``: the agents in the box, those of runs as single files, and those that Kinetix trained."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from kinetix_ued.terminal import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, summary: str, act: Any) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        made.set_defaults(act=act)
        return made

    action("list", "name the agents that come with the package", _list)
    show = action("show", "print the card of an agent", _show)
    show.add_argument("agent", help="name of an agent that comes with the package, or a .safetensors file")
    save = action("save", "write the agent of a run into one file", _save)
    save.add_argument("folder", metavar="RUN", help="folder of the run")
    save.add_argument("--scores", default="", metavar="FILE", help="what eval --json wrote of the run, for the card")
    save.add_argument("--checkpoint", default="latest", metavar="WHICH", help="latest, best or an update's number")
    bring = action("import", "write an agent that Kinetix trained into a file of this project", _import)
    bring.add_argument("folder", metavar="FOLDER", help="with params.safetensors and config.json")
    bring.add_argument("--size", default="l", choices=("s", "m", "l"), help="size of the levels it was trained on (l)")
    for parser in (save, bring):
        parser.add_argument("--out", required=True, metavar="FILE", help="where to write it, ending in .safetensors")
        parser.add_argument("--name", required=True, help="of the agent")
        parser.add_argument("--about", default="", help="what it is, in a sentence")
        parser.add_argument("--overwrite", action="store_true", help="replace this file")


def run(arguments: argparse.Namespace) -> int:
    return arguments.act(arguments)


def _list(arguments: argparse.Namespace) -> int:
    from kinetix_ued.agents import bundled, read_card

    for name, file in bundled().items():
        print(f"{printable(name)}: {printable(read_card(file)['about'])}")
    if not bundled():
        print("no agent comes with this version", file=sys.stderr)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from kinetix_ued.agents import read_card

    print(json.dumps(read_card(arguments.agent), indent=1))
    return 0


def _save(arguments: argparse.Namespace) -> int:
    from kinetix_ued.training import Run, save_agent
    from kinetix_ued.writable import refuse_unwritable

    from .common import checkpoint_of

    refuse_unwritable(arguments.out, arguments.overwrite)
    loaded = Run.load(arguments.folder, checkpoint_of(arguments.checkpoint))
    described = {"name": arguments.name, "about": arguments.about, "scores": arguments.scores}
    save_agent(arguments.out, loaded, **described, overwrite=arguments.overwrite)
    print(f"written to {printable(arguments.out)}", file=sys.stderr)
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from kinetix_ued.agents import import_kinetix_agent
    from kinetix_ued.writable import refuse_unwritable

    refuse_unwritable(arguments.out, arguments.overwrite)
    import_kinetix_agent(
        arguments.folder,
        arguments.out,
        name=arguments.name,
        about=arguments.about,
        size=arguments.size,
        overwrite=arguments.overwrite,
    )
    print(f"written to {printable(arguments.out)}", file=sys.stderr)
    return 0
