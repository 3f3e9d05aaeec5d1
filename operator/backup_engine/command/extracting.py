"""``backup_engine archive extract``: objects of an archive, to stdout or as files."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from backup_engine.browse.contents import FoundObject, read_objects
from backup_engine.browse.rendering import to_yaml
from backup_engine.command.choosing import add_choice_options, build_selection
from backup_engine.command.options import (
    DONE,
    PROGRAM,
    TROUBLE,
    UsageProblemError,
    add_access_options,
    add_trust_options,
    open_archive,
    print_text,
)
from backup_engine.restore.cleaning import clean
from backup_engine.restore.order import find_wave
from backup_engine.restore.selection import ObjectRule, Selection
from backup_engine.restore.skipping import find_skip

BATCH_OBJECTS: Final = 500
NO_NAMESPACE: Final = "_cluster"
DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_UNSAFE: Final = frozenset({"", ".", ".."})


def add_extract_options(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of ``extract``."""
    add = parser.add_argument
    add("url", help="URL or path of one archive")
    add_choice_options(parser)
    add("--kind", help="only this kind or resource: Secret, deployments.apps")
    add("--namespace", "-n", help="only objects of this namespace, or of those that match a glob")
    add("--name", help="only objects of this name, or of those that match a glob")
    add(
        "--form",
        choices=("stored", "restorable"),
        help="stored: as captured (default); restorable (default with --to): without what a"
        " cluster assigns, and without objects that something else makes anew",
    )
    add(
        "--to",
        type=Path,
        metavar="DIR",
        help="write a file for each object below this folder, which must be empty or absent:"
        " 'kubectl apply --recursive --filename DIR' then goes in the order of restore",
    )
    add(
        "-o",
        "--output",
        choices=("ndjson", "json", "yaml"),
        help="ndjson (default): one object a line, to the byte as stored; with --to: yaml"
        " (default) or json",
    )
    add_access_options(parser)
    add_trust_options(parser)


async def extract_objects(arguments: argparse.Namespace) -> int:
    """Print objects, or write them to files; exit code 3 if nothing matched."""
    selection = build_extract_selection(arguments)
    form = arguments.output or ("yaml" if arguments.to is not None else "ndjson")
    if arguments.to is not None and form == "ndjson":
        raise UsageProblemError("extract: files are yaml or json; ndjson goes to stdout")
    archive = await open_archive(arguments, arguments.url)
    is_restorable = (arguments.form or ("restorable" if arguments.to else "stored")) == "restorable"
    if arguments.to is not None:
        await asyncio.to_thread(_ensure_empty, arguments.to)
    found = 0
    batch: list[FoundObject] = []

    async def flush() -> None:
        if arguments.to is not None:
            await asyncio.to_thread(
                _write_files, batch, arguments.to, form, is_restorable=is_restorable
            )
        else:
            text = await asyncio.to_thread(_render_all, batch, form, is_restorable=is_restorable)
            await print_text(text)
        batch.clear()

    async for one in read_objects(archive, selection):
        if is_restorable and find_skip(msgspec.json.decode(one.line), one.key):
            continue
        found += 1
        batch.append(one)
        if len(batch) == BATCH_OBJECTS:
            await flush()
    await flush()
    if not found:
        sys.stderr.write(f"{PROGRAM}: {arguments.url}: no object matches\n")
        return TROUBLE
    if arguments.to is not None:
        sys.stderr.write(f"{PROGRAM}: {found} objects written below {arguments.to}\n")
    return DONE


def build_extract_selection(arguments: argparse.Namespace) -> Selection:
    """Build the selection; ``--kind``, ``--namespace`` and ``--name`` are one more include rule."""
    selection = build_selection(arguments)
    given = (arguments.namespace, arguments.kind, arguments.name)
    if all(each is None for each in given):
        return selection
    rule = ObjectRule(*given)
    return Selection(selection.groups, (*selection.include, rule), selection.exclude)


def build_file_path(one: FoundObject, ending: str) -> Path:
    """Return the path of an object's file; raises ValueError for a name no cluster gives.

    An archive can be forged: a name with a slash must not lead out of the folder.
    """
    group, resource = one.key
    full = f"{resource}.{group}" if group else resource
    steps = (
        f"{find_wave(one.key):02d}-{full}",
        one.entry.namespace or NO_NAMESPACE,
        f"{one.entry.name}.{ending}",
    )
    if any(step in _UNSAFE or "/" in step or "\0" in step for step in (*steps, one.entry.name)):
        raise ValueError(f"{one.entry.kind} {one.entry.name!r} is no name for a file")
    return Path(*steps)


def _ensure_empty(directory: Path) -> None:
    directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise ValueError(f"{directory} is not empty; files are never overwritten")


def _write_files(
    found: list[FoundObject], directory: Path, form: str, *, is_restorable: bool
) -> None:
    for one in found:
        path = directory / build_file_path(one, form)
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, FILE_MODE), "w", encoding="utf-8") as file:
            file.write(render(one, form, is_restorable=is_restorable))


def _render_all(found: list[FoundObject], form: str, *, is_restorable: bool) -> str:
    separator = "---\n" if form == "yaml" else ""
    return "".join(separator + render(one, form, is_restorable=is_restorable) for one in found)


def render(one: FoundObject, form: str, *, is_restorable: bool) -> str:
    """Write one object as text that ends with a line feed."""
    if form == "ndjson" and not is_restorable:
        return one.line.decode() + "\n"
    document: Any = msgspec.json.decode(one.line)
    if is_restorable:
        document = clean(document, one.key)
    if form == "yaml":
        return to_yaml(document)
    encoded = msgspec.json.encode(document)
    return (encoded if form == "ndjson" else msgspec.json.format(encoded)).decode() + "\n"
