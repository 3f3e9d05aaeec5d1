"""``backup_engine archive list|show|verify``: what there is, and whether it is any good."""

import argparse
import asyncio
import json
import sys
from typing import Any, Final

from backup_engine.archive.encryption import Identities
from backup_engine.archive.envelope import HEADER_PATH, Header
from backup_engine.archive.errors import (
    ArchiveDamagedError,
    ArchiveFormatError,
    ArchiveLockedError,
)
from backup_engine.archive.manifest import Manifest, encode_document, parse_document
from backup_engine.archive.reading import ArchiveReader, SealedArchive
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.verifying import verify_archive
from backup_engine.browse.contents import list_entries, list_kinds, list_namespaces, read_objects
from backup_engine.capture.scope import list_misses
from backup_engine.command.extracting import render
from backup_engine.command.layout import build_table, format_moment, format_size
from backup_engine.command.options import (
    DONE,
    PROGRAM,
    TROUBLE,
    UsageProblemError,
    add_access_options,
    add_trust_options,
    build_store_url,
    open_archive,
    open_place,
    open_store,
    print_text,
    read_identities,
    read_trust,
)
from backup_engine.restore.selection import ObjectRule, Selection

BATCH_LINES: Final = 1000
KINDS: Final = "kinds"
NAMESPACES: Final = "namespaces"


def add_list_options(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of ``list``."""
    parser.add_argument(
        "url", help="archive URL or directory, e.g. file:///var/lib/engine/archives"
    )
    _add_output(parser, "text", "json")
    add_access_options(parser)


def add_show_options(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of ``show``."""
    add = parser.add_argument
    add("url", help="URL or path of one archive")
    add(
        "what",
        nargs="?",
        metavar="kinds|namespaces|KIND",
        help="list these, or the objects of a kind such as deployments.apps; absent: a summary",
    )
    add("name", nargs="?", metavar="NAME", help="show the object of this name, or glob")
    add("--namespace", "-n", help="only objects of this namespace, or of those that match a glob")
    add(
        "--json",
        action="store_true",
        help="print the whole manifest; with a kind and name: JSON instead of YAML",
    )
    add_access_options(parser)
    add_trust_options(parser)


def add_verify_options(parser: argparse.ArgumentParser) -> None:
    """Fill the parser of ``verify``."""
    parser.add_argument("url", help="URL or path of one archive")
    _add_output(parser, "text", "json")
    add_access_options(parser)
    add_trust_options(parser)


async def list_archives(arguments: argparse.Namespace) -> int:
    """List a store, an archive a line; what cannot be read says why in its place."""
    store = open_store(arguments, build_store_url(arguments.url))
    identities = await read_identities(arguments)
    found = [await _describe(store, name, identities) for name in await store.list_names()]
    if arguments.output == "json":
        await print_text(json.dumps(found, indent=2) + "\n")
        return DONE
    if not found:
        sys.stderr.write(f"{PROGRAM}: {arguments.url}: no archives (backup.….tar)\n")
        return DONE
    rows = [("NAME", "INITIATED", "SIZE", "KINDS", "OBJECTS", "STATE")]
    rows += [
        (
            each["name"],
            format_moment(each["timeInitiatedMs"]) if each["timeInitiatedMs"] else "-",
            format_size(each["sizeBytes"]),
            _or_dash(each["kinds"]),
            _or_dash(each["objects"]),
            each["state"],
        )
        for each in found
    ]
    await print_text(build_table(rows, right=frozenset({2, 3, 4})))
    return DONE


async def show_archive(arguments: argparse.Namespace) -> int:
    """Show a summary, a list, or objects; exit code 3 if no object matches."""
    _check_combination(arguments)
    if arguments.what is None:
        return await _show_summary(arguments)
    archive = await open_archive(arguments, arguments.url)
    if arguments.what == KINDS:
        rows = [("KIND", "APIVERSION", "RESOURCE", "OBJECTS", "BYTES")]
        rows += [
            (each.kind, each.api_version, each.resource, str(each.objects), str(each.raw_bytes))
            for each in list_kinds(archive.manifest)
        ]
        await print_text(build_table(rows, right=frozenset({3, 4})))
        return DONE
    if arguments.what == NAMESPACES:
        found = await list_namespaces(archive)
        names = [("NAMESPACE", "OBJECTS"), *((each.name, str(each.objects)) for each in found)]
        await print_text(build_table(names, right=frozenset({1})))
        return DONE
    rule = ObjectRule(arguments.namespace, arguments.what, arguments.name)
    if arguments.name is not None:
        count = await _show_objects(archive, rule, is_json=arguments.json)
    else:
        count = await _show_names(archive, rule)
    if not count:
        sys.stderr.write(
            f"{PROGRAM}: {arguments.url}: no object matches; 'show URL kinds' lists the kinds\n"
        )
        return TROUBLE
    return DONE


def _check_combination(arguments: argparse.Namespace) -> None:
    """Raise UsageProblemError for arguments that would be without effect together."""
    what, name = arguments.what, arguments.name
    is_narrowed = arguments.namespace is not None
    if what in {KINDS, NAMESPACES} and (name is not None or is_narrowed or arguments.json):
        raise UsageProblemError(
            f"show: {what!r} is a list as it stands; NAME, --namespace and --json go with a kind"
        )
    if what is None and is_narrowed:
        raise UsageProblemError("show: --namespace goes with a kind")
    if what is not None and name is None and arguments.json:
        raise UsageProblemError("show: --json goes with a kind and NAME, or with neither")


async def verify(arguments: argparse.Namespace) -> int:
    """Verify an archive; exit code 3 if it is not valid."""
    trust = await read_trust(arguments)
    store, name = open_place(arguments, arguments.url)
    identities = await read_identities(arguments)
    verdict = await verify_archive(store, name, trust=trust, identities=identities)
    if arguments.output == "json":
        told = {
            "isValid": verdict.is_valid,
            "reason": verdict.reason,
            "message": verdict.message,
        }
        await print_text(json.dumps(told, indent=2) + "\n")
    else:
        word = "valid" if verdict.is_valid else "NOT VALID"
        await print_text(f"{word}: {verdict.reason}: {verdict.message}\n")
    return DONE if verdict.is_valid else TROUBLE


def build_summary(manifest: Manifest, size_bytes: int) -> str:
    """Describe an archive for people: origin, then a line per kind, then what was left out."""
    backup, cluster, totals = manifest.backup, manifest.cluster, manifest.totals
    scope = manifest.scope.namespaces
    rows = [
        ("KIND", "APIVERSION", "OBJECTS"),
        *((each.kind, each.api_version, str(each.objects)) for each in list_kinds(manifest)),
    ]
    initiator = f" by {backup.initiated_by}" if backup.initiated_by else ""
    head = (
        f"backup      {backup.name} (id {backup.id}) of host {backup.host.name}_{backup.host.id}\n"
        f"initiated   {format_moment(backup.time_initiated_ms)}{initiator}\n"
        f"product     {manifest.product.name} {manifest.product.version}\n"
        f"cluster     {cluster.uid or 'unknown'}, Kubernetes {cluster.kubernetes_version}\n"
        f"namespaces  {'all' if scope is None else ', '.join(scope) or 'none'}\n"
        f"objects     {totals.objects} of {totals.kinds} kinds\n"
        f"size        {format_size(size_bytes)} stored, {format_size(totals.raw_bytes)} unpacked\n"
    )
    skipped = "".join(
        f"not captured: {skip.resource} ({skip.api_version}): {skip.reason}, {skip.message}\n"
        for skip in manifest.skipped
    )
    known = {one.key for one in manifest.lists} | {one.key for one in manifest.skipped}
    misses = "".join(
        f"warning: {miss}\n" for miss in list_misses(manifest.scope, manifest.policy, known)
    )
    notes = skipped + misses
    return f"{head}\n{build_table(rows, right=frozenset({2}))}" + (f"\n{notes}" if notes else "")


def build_clear_summary(header: Header, size_bytes: int) -> str:
    """Describe an encrypted archive for people who hold no key of it."""
    backup = header.backup
    return (
        f"backup      id {backup.id} of host id {backup.host.id}\n"
        f"initiated   {format_moment(backup.time_initiated_ms)}\n"
        f"product     {header.product.name} {header.product.version}\n"
        f"cluster     {header.cluster.uid or 'unknown'}\n"
        f"size        {format_size(size_bytes)} stored\n"
        f"encrypted   with {header.encryption}; --identity FILE shows more\n"
    )


async def _show_summary(arguments: argparse.Namespace) -> int:
    trust = await read_trust(arguments)
    store, name = open_place(arguments, arguments.url)
    sealed = await SealedArchive.open(store.reader(name))
    if sealed.is_encrypted and not arguments.identity and not arguments.json:
        table = await sealed.read_table(trust)
        header = parse_document(await sealed.read_member(table.members[0]), Header, HEADER_PATH)
        await print_text(build_clear_summary(header, sealed.size_bytes))
        return DONE
    archive = await open_archive(arguments, arguments.url)
    if arguments.json:
        await print_text(encode_document(archive.manifest).decode())
    else:
        await print_text(build_summary(archive.manifest, archive.size_bytes))
    return DONE


async def _show_names(archive: ArchiveReader, rule: ObjectRule) -> int:
    rows = [("NAMESPACE", "NAME", "KIND", "BYTES")]
    rows += [
        (entry.namespace or "-", entry.name, entry.kind, str(entry.length))
        async for entry in list_entries(archive, rule)
    ]
    if len(rows) > 1:
        await print_text(await asyncio.to_thread(build_table, rows, right=frozenset({3})))
    return len(rows) - 1


async def _show_objects(archive: ArchiveReader, rule: ObjectRule, *, is_json: bool) -> int:
    form = "json" if is_json else "yaml"
    count = 0
    async for one in read_objects(archive, Selection(include=(rule,))):
        text = await asyncio.to_thread(render, one, form, is_restorable=False)
        await print_text(("---\n" if count and not is_json else "") + text)
        count += 1
    return count


async def _describe(store: ArchiveStore, name: str, identities: Identities) -> dict[str, Any]:
    """Describe one archive of a store; what it does not tell is None."""
    told: dict[str, Any] = {
        "name": name,
        "timeInitiatedMs": None,
        "sizeBytes": await store.find_size(name) or 0,
        "kinds": None,
        "objects": None,
    }
    try:
        sealed = await SealedArchive.open(store.reader(name))
        table = await sealed.read_table(None)
        header = parse_document(await sealed.read_member(table.members[0]), Header, HEADER_PATH)
        told["timeInitiatedMs"] = header.backup.time_initiated_ms
        if sealed.is_encrypted and not identities.keys:
            return {**told, "state": "encrypted"}
        totals = (await sealed.read_manifest(identities)).totals
    except ArchiveLockedError:
        return {**told, "state": "encrypted to others"}
    except (ArchiveDamagedError, ArchiveFormatError) as trouble:
        return {**told, "state": trouble.reason}
    kept = "signed" if sealed.seal.signature is not None else "readable"
    return {**told, "kinds": totals.kinds, "objects": totals.objects, "state": kept}


def _add_output(parser: argparse.ArgumentParser, *forms: str) -> None:
    parser.add_argument(
        "-o", "--output", choices=forms, default=forms[0], help="form of the answer"
    )


def _or_dash(number: int | None) -> str:
    return str(number) if number is not None else "-"
