"""``/backup_engine/backups/{id}/…``: what is in the archive of a backup."""

import asyncio
import json
import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from backup_api.endpoints import API_ROOT, JSON, Endpoint
from backup_api.errors import FrameworkErrors
from backup_api.extensions.archives import (
    DIFF_ARCHIVES,
    DIFF_LIVE,
    DOWNLOAD_ARCHIVE,
    GET_OBJECT,
    LIST_KINDS,
    LIST_NAMESPACES,
    LIST_OBJECTS,
    NO_NAMESPACE,
    TAR,
    YAML,
    ArchiveDifferences,
    ArchivedKind,
    ArchivedNamespace,
    ArchivedObject,
    ReadArchiveErrors,
)
from backup_api.paging import ItemRange, content_range
from backup_engine.archive.manifest import IndexEntry
from backup_engine.archives import Archives, DifferencePage, StoredArchive
from backup_engine.auth.callers import Resource, Right, Verb
from backup_engine.auth.gate import Gate
from backup_engine.browse.comparing import Change, Difference
from backup_engine.browse.rendering import to_yaml
from backup_engine.errors import RefusalError
from backup_engine.query.shapes import build_members
from backup_engine.restore.cleaning import clean
from backup_engine.restore.groups import CORE
from backup_engine.restore.identity import KindKey, split_api_version
from backup_engine.restore.selection import ObjectRule
from backup_engine.routes.answers import build_answer
from backup_engine.routes.call import Call, CurrentCall
from backup_engine.routes.documentation import document
from backup_engine.routes.listing import answer_fixed_list, answer_page
from backup_engine.routes.parameters import convert_fields, convert_id, convert_range
from backup_engine.routes.preconditions import find_accepted

USUAL_PAGE: Final = ItemRange(0, 999)
LONGEST_PAGE: Final = 10_000
READ_SECRETS: Final = Right(Verb.GET, Resource.SECRETS)

_KIND: Final = build_members(ArchivedKind)
_NAMESPACE: Final = build_members(ArchivedNamespace)
_OBJECT: Final = build_members(ArchivedObject)
_SECRETS: Final[KindKey] = (CORE, "secrets")
_BYTES: Final = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)
_CHOICE: Final = {
    "kind": "kind or resource as kubectl takes it: Deployment, deployments.apps",
    "namespace": "name or glob: team-*",
    "name": "name or glob",
}
_FORM: Final = {"form": "stored (default): as captured; restorable: without what a cluster assigns"}


def build_archive_routes(archives: Archives, gate: Gate) -> APIRouter:
    """Build the routes; Secrets in clear need a right of their own, which ``gate`` is asked for."""
    router = APIRouter(tags=["archives"])

    @router.api_route(**document(DOWNLOAD_ARCHIVE, None, has_fields=False, has_bytes=True))
    async def download_archive(call: CurrentCall) -> Response:
        """Download an archive, or with ``Range: bytes=…`` the rest of it."""
        stored = await archives.find_stored(_backup_id(call))
        if not stored.is_encrypted:
            await _ensure_secrets(gate, call)
        return _stream(call, stored)

    @router.api_route(**document(LIST_KINDS, list[ArchivedKind]))
    async def list_kinds(call: CurrentCall) -> Response:
        """List the kinds of an archive in the order of restore."""
        kinds = await archives.list_kinds(_backup_id(call))
        elements = (
            {
                "api_version": each.api_version,
                "kind": each.kind,
                "resource": _name_resource(each.api_version, each.resource),
                "objects": each.objects,
                "raw_size": each.raw_bytes,
            }
            for each in kinds
        )
        return answer_fixed_list(call, LIST_KINDS, elements, _KIND)

    @router.api_route(**document(LIST_NAMESPACES, list[ArchivedNamespace]))
    async def list_namespaces(call: CurrentCall) -> Response:
        """List the namespaces of an archive by name."""
        namespaces = await archives.list_namespaces(_backup_id(call))
        elements = (
            {"name": each.name, "objects": each.objects, "is_archived": each.is_archived}
            for each in namespaces
        )
        return answer_fixed_list(call, LIST_NAMESPACES, elements, _NAMESPACE)

    @router.api_route(**document(LIST_OBJECTS, list[ArchivedObject], queries=_CHOICE))
    async def list_objects(call: CurrentCall) -> Response:
        """List objects of an archive, at most 10 000 at once; without ``Range`` the first 1000."""
        selection = convert_fields(call.query().get("fields"), _OBJECT)
        items = _convert_page(call)
        rule = _convert_rule(call) or ObjectRule()
        backup_id = _backup_id(call)
        page = await archives.list_objects(backup_id, rule, items)
        elements = (_describe_entry(backup_id, each) for each in page.entries)
        return answer_page(LIST_OBJECTS, elements, selection, page.first, page.total)

    @router.api_route(**document(GET_OBJECT, dict[str, Any], has_fields=False, queries=_FORM))
    async def get_object(call: CurrentCall) -> Response:
        """Get one object as JSON or YAML; ``-`` stands for no namespace."""
        is_restorable = _convert_form(call)
        given = call.ids["namespace"]
        namespace = None if given == NO_NAMESPACE else given
        found = await archives.get_object(
            _backup_id(call), call.ids["resource"], namespace, call.ids["name"]
        )
        if found.key == _SECRETS:
            await _ensure_secrets(gate, call)
        media_type = find_accepted(call.headers.get("accept"), GET_OBJECT.media_types) or JSON
        content = await asyncio.to_thread(
            render, found.line, found.key, media_type, is_restorable=is_restorable
        )
        return Response(content, media_type=media_type)

    @router.api_route(**document(DIFF_LIVE, ArchiveDifferences, has_fields=False, queries=_CHOICE))
    async def diff_live(call: CurrentCall) -> Response:
        """Tell what has changed in the cluster since the backup."""
        page = await archives.compare(
            _backup_id(call), None, _convert_rule(call), _convert_page(call)
        )
        return _answer_differences(DIFF_LIVE, page)

    @router.api_route(
        **document(DIFF_ARCHIVES, ArchiveDifferences, has_fields=False, queries=_CHOICE)
    )
    async def diff_archives(call: CurrentCall) -> Response:
        """Tell what has changed from one backup to another."""
        other = convert_id(call.ids["other"], *(ReadArchiveErrors.UNKNOWN_BACKUP,) * 2)
        page = await archives.compare(
            _backup_id(call), other, _convert_rule(call), _convert_page(call)
        )
        return _answer_differences(DIFF_ARCHIVES, page)

    return router


def render(line: bytes, key: KindKey, media_type: str, *, is_restorable: bool) -> bytes:
    """Return one stored object as JSON or YAML. CPU only.

    As captured it is the very bytes of the API server, unless YAML is asked for.
    """
    if media_type == JSON and not is_restorable:
        return line
    document = json.loads(line)
    if is_restorable:
        document = clean(document, key)
    if media_type == YAML:
        return to_yaml(document).encode()
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def parse_byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Read a ``Range`` of bytes as first byte and length; None: all of it (RFC 9110 §14.2).

    What is no single range of bytes is ignored, as HTTP has it. Raises RefusalError if it lies
    outside of ``size``.
    """
    match = _BYTES.fullmatch(header.strip()) if header is not None else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:  # the last n bytes
        first, last = max(0, size - int(match[2])), size - 1
    else:
        first, last = int(match[1]), min(int(match[2] or size), size - 1)
        if match[2] and int(match[2]) < first:
            return None
    if first >= size or last < first:
        message = f"The archive has {size} bytes; {header} lies outside"
        raise RefusalError(ReadArchiveErrors.WRONG_RANGE, message)
    return first, last - first + 1


def _stream(call: Call, stored: StoredArchive) -> Response:
    tag = f'"{stored.tag}"' if stored.tag is not None else None
    asked = call.headers.get("range")
    if call.headers.get("if-range", tag) != tag:  # another archive by now: begin anew
        asked = None
    part = parse_byte_range(asked, stored.size_bytes)
    first, length = part if part is not None else (0, stored.size_bytes)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Length": str(length),
        "Content-Disposition": f'attachment; filename="{stored.name}"',
    }
    if tag is not None:
        headers["ETag"] = tag
    if part is not None:
        headers["Content-Range"] = f"bytes {first}-{first + length - 1}/{stored.size_bytes}"
    status = 206 if part is not None else 200
    if call.is_head:
        return Response(None, status, headers, media_type=TAR)
    return StreamingResponse(stored.chunks(first, length), status, headers, media_type=TAR)


async def _ensure_secrets(gate: Gate, call: Call) -> None:
    if not await gate.is_allowed(call.credential, READ_SECRETS):
        message = (
            f"{call.caller.name} has insufficient capabilities to {READ_SECRETS}: this answer"
            " would show Secrets"
        )
        raise RefusalError(FrameworkErrors.NOT_CAPABLE, message)


def _backup_id(call: Call) -> int:
    unknown = ReadArchiveErrors.UNKNOWN_BACKUP
    return convert_id(call.ids["id"], unknown, unknown)


def _convert_page(call: Call) -> ItemRange:
    items = convert_range(call.headers.get("range"))
    if items is None:
        return USUAL_PAGE
    return ItemRange(items.first, min(items.last, items.first + LONGEST_PAGE - 1))


def _convert_rule(call: Call) -> ObjectRule | None:
    query = call.query()
    kind, namespace, name = (query.get(each) or None for each in ("kind", "namespace", "name"))
    if kind is namespace is name is None:
        return None
    return ObjectRule(namespace=namespace, kind=kind, name=name)


def _convert_form(call: Call) -> bool:
    form = call.query().get("form", "stored")
    if form not in {"stored", "restorable"}:
        message = 'Failed to transform user query parameter "form": expected stored or restorable'
        raise RefusalError(FrameworkErrors.NOT_CONVERTIBLE, message)
    return form == "restorable"


def _name_resource(api_version: str, resource: str) -> str:
    group, _ = split_api_version(api_version)
    return f"{resource}.{group}" if group else resource


def _describe_entry(backup_id: int, entry: IndexEntry) -> dict[str, Any]:
    resource = _name_resource(entry.api_version, entry.resource)
    steps = (resource, entry.namespace or NO_NAMESPACE, entry.name)
    path = GET_OBJECT.path.partition("{resource}")[0].format(id=backup_id)
    return {
        "api_version": entry.api_version,
        "kind": entry.kind,
        "resource": resource,
        "namespace": entry.namespace,
        "name": entry.name,
        "uid": entry.uid,
        "resource_version": entry.resource_version,
        "raw_size": entry.length,
        "path": API_ROOT + path + "/".join(quote(step, safe=":") for step in steps),
    }


def _answer_differences(endpoint: Endpoint, page: DifferencePage) -> Response:
    comparison = page.comparison
    content = {
        "added": comparison.counts[Change.ADDED],
        "removed": comparison.counts[Change.REMOVED],
        "changed": comparison.counts[Change.CHANGED],
        "same": comparison.same,
        "not_compared": list(comparison.not_compared),
        "differences": list(_describe_differences(page.differences)),
    }
    total = len(comparison.entries)
    headers = {"Content-Range": content_range(page.first, len(page.differences), total)}
    return build_answer(content, endpoint.success, headers)


def _describe_differences(differences: Iterable[Difference]) -> Iterable[dict[str, Any]]:
    for each in differences:
        yield {
            "change": each.change.value,
            "api_version": each.key.api_version,
            "kind": each.key.kind,
            "namespace": each.key.namespace,
            "name": each.key.name,
            "fields": [
                {"path": field.path, "old": field.old, "new": field.new} for field in each.fields
            ],
        }
