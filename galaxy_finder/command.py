"""`galaxy-finder COMMAND …`: one name for the commands of all packages, each of which parses its own arguments."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from importlib import import_module

NAME = "galaxy-finder"
_BUILDS = "galaxy_finder.precompute.__main__"
COMMANDS = {
    "demo": (_BUILDS, "build an atlas of the Hubble eXtreme Deep Field, and serve it"),
    "embed": (_BUILDS, "make embeddings of a folder of pictures"),
    "train": (_BUILDS, "train an encoder on a folder of pictures"),
    "build": (_BUILDS, "build an atlas of your survey"),
    "add-space": (_BUILDS, "add a second embedding of the same galaxies to an atlas"),
    "append": (_BUILDS, "add galaxies to an atlas"),
    "update": (_BUILDS, "add columns to an atlas, or replace them"),
    "remove": (_BUILDS, "take galaxies out of an atlas"),
    "compact": (_BUILDS, "make one segment of all that was appended"),
    "plan": (_BUILDS, "say what a build would take, without building"),
    "fill": (_BUILDS, "give the embeddings of an atlas to Milvus or PostgreSQL, which then search"),
    "simulate": (_BUILDS, "write a simulated survey"),
    "info": (_BUILDS, "say what an atlas holds"),
    "validate": (_BUILDS, "check every file of an atlas"),
    "serve": ("galaxy_finder.dashboard.serve", "serve an atlas"),
    "labels": ("atlas.__main__", "write labels as a training set, or bring a table of them in"),
    "export": ("atlas.__main__", "write galaxies with their embeddings as a HATS catalogue"),
    "replay": ("atlas.__main__", "ask once more what a receipt says was asked"),
}
"""The module whose `main` knows each command, and what it does."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    name = given[0] if given else ""
    if name not in COMMANDS:
        asked = name in ("-h", "--help")
        print(_help(), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    if name == "demo":
        return _demo(given[1:])
    return _run(name, given[1:])


def _run(name: str, arguments: list[str]) -> int:
    module = import_module(COMMANDS[name][0])
    if name == "serve":  # the only command of its module
        return int(module.main(arguments, f"{NAME} serve"))
    return int(module.main([name, *arguments], NAME))


def _demo(arguments: list[str]) -> int:
    """Build the demo and serve it, or only build it."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, usage=argparse.SUPPRESS)
    parser.add_argument("--out", default="data/xdf", help=argparse.SUPPRESS)
    then = parser.add_argument_group("then it is served")
    then.add_argument("--no-serve", action="store_true", help="only build it")
    for option in ("--host", "--port"):
        then.add_argument(option, help=f"as `{NAME} serve` takes it")
    known, others = parser.parse_known_args(arguments)
    if {"-h", "--help"} & set(others):
        with suppress(SystemExit):
            _run("demo", ["--help"])
        print(f"\n{parser.format_help().strip()}")
        return 0
    status = _run("demo", [*others, "--out", known.out])
    address = [f"--{name}={value}" for name in ("host", "port") if (value := getattr(known, name)) is not None]
    return status if status or known.no_serve else _run("serve", ["--atlas", known.out, *address])


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join([f"usage: {NAME} COMMAND …", "", *lines, "", f"{NAME} COMMAND --help explains each."])
