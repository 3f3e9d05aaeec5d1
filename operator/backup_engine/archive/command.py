"""``backup_engine archive …``: look into archives, and copy them for new keys, without an engine.

Results go to stdout, talk to stderr. An archive is named by URL or path; ``list`` takes the store.
"""

import argparse
import asyncio
import os
import sys
from typing import Final

import msgspec
import yaml

from backup_engine.archive.command_options import (
    add_identity_option,
    add_trust_options,
    build_store_url,
    open_place,
    print_text,
    read_identities,
    read_trust,
    split_archive_url,
)
from backup_engine.archive.encryption import Identities
from backup_engine.archive.envelope import HEADER_PATH, Header
from backup_engine.archive.errors import (
    ArchiveDamagedError,
    ArchiveError,
    ArchiveFormatError,
    ArchiveLockedError,
)
from backup_engine.archive.key_commands import (
    add_keygen_options,
    add_rewrap_options,
    generate_key,
    rewrap_archive,
)
from backup_engine.archive.manifest import IndexEntry, Manifest, encode_document, parse_document
from backup_engine.archive.reading import ArchiveReader, SealedArchive
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.verifying import verify_archive

__all__ = [
    "add_archive_parser",
    "build_store_url",
    "build_summary",
    "run_archive",
    "split_archive_url",
]

DONE: Final = 0
TROUBLE: Final = 3
PROGRAM: Final = "backup_engine"
BATCH_OBJECTS: Final = 500

Subparsers = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def add_archive_parser(
    subparsers: "Subparsers[argparse.ArgumentParser]",
) -> "Subparsers[argparse.ArgumentParser]":
    """Add ``archive`` and its subcommands; returns them, so that others can be added beside."""
    parser = subparsers.add_parser("archive", help="look into archives without an engine")
    actions = parser.add_subparsers(dest="action", required=True)
    store = actions.add_parser("list", help="list the archives of a store")
    store.add_argument("url", help="archive URL or directory, e.g. file:///var/lib/engine/archives")
    add_identity_option(store)
    show = actions.add_parser("show", help="print what an archive holds")
    show.add_argument("--json", action="store_true", help="print the whole manifest")
    verify = actions.add_parser("verify", help="check every byte of an archive")
    extract = actions.add_parser("extract", help="print objects of an archive")
    extract.add_argument("--kind", help="only this kind or resource, in any case: Secret, secrets")
    extract.add_argument("--namespace", help="only objects of this namespace")
    extract.add_argument("--name", help="only objects of this name")
    extract.add_argument(
        "--output",
        choices=("ndjson", "yaml"),
        default="ndjson",
        help="ndjson (default): the stored bytes, one object a line",
    )
    for action in (show, verify, extract):
        action.add_argument("url", help="URL or path of one archive")
        add_identity_option(action)
        add_trust_options(action)
    add_keygen_options(actions.add_parser("keygen", help="make a key pair for encryption"))
    add_rewrap_options(
        actions.add_parser("rewrap", help="copy an archive for other keys, and sign it anew")
    )
    return actions


async def run_archive(arguments: argparse.Namespace) -> int:
    """Run one subcommand; exit code 0, or 3 for trouble that a message on stderr explains.

    ``verify`` gives 3 for an archive that is not valid; ``extract`` if nothing matched.
    """
    actions = {
        "list": _list,
        "show": _show,
        "verify": _verify,
        "extract": _extract,
        "keygen": _keygen,
        "rewrap": _rewrap,
    }
    try:
        return await actions[arguments.action](arguments)
    except BrokenPipeError:  # who reads the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return DONE
    except ArchiveError as trouble:
        sys.stderr.write(f"{PROGRAM}: {trouble}\n")
    except ValueError as trouble:  # a name that no archive can have
        sys.stderr.write(f"{PROGRAM}: {arguments.url}: {trouble}\n")
    return TROUBLE


def build_summary(manifest: Manifest, size_bytes: int) -> str:
    """Describe an archive for people: origin, then a line per kind, then what was left out."""
    backup, cluster, totals = manifest.backup, manifest.cluster, manifest.totals
    scope = manifest.scope.namespaces
    lines = [
        f"backup      {backup.name} (id {backup.id}) of host {backup.host.name}_{backup.host.id}",
        f"initiated   {backup.time_initiated_ms} by {backup.initiated_by or 'unknown'}",
        f"product     {manifest.product.name} {manifest.product.version}",
        f"cluster     {cluster.uid or 'unknown'}, Kubernetes {cluster.kubernetes_version}",
        f"namespaces  {'all' if scope is None else ', '.join(scope)}",
        f"objects     {totals.objects} of {totals.kinds} kinds",
        f"size        {size_bytes} bytes as stored, {totals.raw_bytes} unpacked",
        "",
    ]
    counts: dict[tuple[str, str], int] = {}
    for part in manifest.parts:
        key = (part.api_version, part.kind)
        counts[key] = counts.get(key, 0) + part.objects
    lines += [f"{count:>9}  {kind} ({version})" for (version, kind), count in counts.items()]
    lines += [
        f"  skipped  {skip.resource} ({skip.api_version}): {skip.reason}, {skip.message}"
        for skip in manifest.skipped
    ]
    return "\n".join(lines) + "\n"


def build_clear_summary(header: Header, size_bytes: int) -> str:
    """Describe an encrypted archive for people who hold no key of it."""
    backup = header.backup
    return (
        f"backup      id {backup.id} of host id {backup.host.id}\n"
        f"initiated   {backup.time_initiated_ms}\n"
        f"product     {header.product.name} {header.product.version}\n"
        f"cluster     {header.cluster.uid or 'unknown'}\n"
        f"size        {size_bytes} bytes as stored\n"
        f"encrypted   with {header.encryption}; --identity FILE shows more\n"
    )


class _Filter:
    """Chooses index entries; None matches all."""

    def __init__(self, kind: str | None, namespace: str | None, name: str | None) -> None:
        self._kind = kind.lower() if kind is not None else None
        self._namespace = namespace
        self._name = name

    def __call__(self, entry: IndexEntry) -> bool:
        return (
            self._kind in {None, entry.kind.lower(), entry.resource}
            and self._namespace in {None, entry.namespace}
            and self._name in {None, entry.name}
        )


async def _list(arguments: argparse.Namespace) -> int:
    store = ArchiveStore.open(build_store_url(arguments.url))
    identities = await read_identities(arguments)
    for name in await store.list_names():
        described = await _describe(store, name, identities)
        size = await store.find_size(name)
        await print_text(f"{name}\t{size} bytes\t{described}\n")
    return DONE


async def _describe(store: ArchiveStore, name: str, identities: Identities) -> str:
    try:
        archive = await ArchiveReader.open(store.reader(name), identities=identities)
    except ArchiveLockedError:
        return "encrypted"
    except (ArchiveDamagedError, ArchiveFormatError) as trouble:
        return trouble.reason
    totals = archive.manifest.totals
    return f"{totals.objects} objects, {totals.kinds} kinds"


async def _show(arguments: argparse.Namespace) -> int:
    store, name = open_place(arguments.url)
    sealed = await SealedArchive.open(store.reader(name))
    if sealed.is_encrypted and not arguments.identity and not arguments.json:
        table = await sealed.read_table(await read_trust(arguments))
        header = parse_document(await sealed.read_member(table.members[0]), Header, HEADER_PATH)
        await print_text(build_clear_summary(header, sealed.size_bytes))
        return DONE
    archive = await _open(arguments)
    if arguments.json:
        await print_text(encode_document(archive.manifest).decode())
    else:
        await print_text(build_summary(archive.manifest, archive.size_bytes))
    return DONE


async def _verify(arguments: argparse.Namespace) -> int:
    verdict = await verify_archive(
        *open_place(arguments.url),
        trust=await read_trust(arguments),
        identities=await read_identities(arguments),
    )
    await print_text(f"{verdict.reason}: {verdict.message}\n")
    return DONE if verdict.is_valid else TROUBLE


async def _keygen(arguments: argparse.Namespace) -> int:
    await generate_key(arguments)
    return DONE


async def _rewrap(arguments: argparse.Namespace) -> int:
    await rewrap_archive(arguments)
    return DONE


async def _extract(arguments: argparse.Namespace) -> int:
    archive = await _open(arguments)
    wanted = _Filter(arguments.kind, arguments.namespace, arguments.name)
    to_text = _to_yaml if arguments.output == "yaml" else _to_ndjson
    found = 0
    batch: list[bytes] = []
    async for _, line in archive.list_objects(wanted):
        found += 1
        batch.append(line)
        if len(batch) == BATCH_OBJECTS:
            await print_text(await asyncio.to_thread(to_text, batch))
            batch = []
    await print_text(await asyncio.to_thread(to_text, batch))
    if not found:
        sys.stderr.write(f"{PROGRAM}: {arguments.url}: no object matches\n")
        return TROUBLE
    return DONE


async def _open(arguments: argparse.Namespace) -> ArchiveReader:
    store, name = open_place(arguments.url)
    return await ArchiveReader.open(
        store.reader(name),
        trust=await read_trust(arguments),
        identities=await read_identities(arguments),
    )


def _to_ndjson(lines: list[bytes]) -> str:
    return b"".join(line + b"\n" for line in lines).decode()


def _to_yaml(lines: list[bytes]) -> str:
    documents = (msgspec.json.decode(line) for line in lines)
    return "".join(
        "---\n" + yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        for document in documents
    )
