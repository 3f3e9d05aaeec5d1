"""Options that choose objects of an archive: groups, include and exclude rules."""

import argparse

from backup_api.restores import RestoreGroup
from backup_engine.restore.selection import ObjectRule, Selection, parse_object_rule


def add_choice_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--group``, ``--include`` and ``--exclude``."""
    parser.add_argument(
        "--group",
        action="append",
        choices=[group.value for group in RestoreGroup],
        default=[],
        metavar="GROUP",
        help="only this restore group, e.g. USERS_CONFIG; repeatable (default: all)",
    )
    for name, what in (("--include", "only what matches"), ("--exclude", "nothing that matches")):
        parser.add_argument(
            name,
            action="append",
            type=_parse_rule,
            default=[],
            metavar="RULE",
            help=f"{what}: 'namespace=team-*;kind=Deployment;name=web;label=app=web'; repeatable",
        )


def build_selection(arguments: argparse.Namespace) -> Selection:
    """Build the selection of a parsed command line."""
    return Selection(
        groups=frozenset(map(RestoreGroup, arguments.group or RestoreGroup)),
        include=tuple(arguments.include),
        exclude=tuple(arguments.exclude),
    )


def _parse_rule(text: str) -> ObjectRule:
    try:
        return parse_object_rule(text)
    except ValueError as trouble:
        raise argparse.ArgumentTypeError(str(trouble)) from trouble
