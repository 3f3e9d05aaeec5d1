"""The checks that come before every endpoint, in the order of spec §14."""

import re
from collections.abc import Mapping
from dataclasses import replace

from appliance.bodies import parse_body
from appliance.callers import Caller, Callers
from appliance.documentation import with_help
from appliance.filters import parse_filter
from appliance.operations import Call
from appliance.routes import ROUTES as SERVED
from appliance.routes import Entry
from appliance.selection import parse_fields, parse_range, parse_sort
from appliance.shapes import members_at
from appliance.state import ApplianceState
from appliance.versions import parse_version
from appliance.wire import Answer, Record, Refusal, Request, refused

BIGGEST_BODY_BYTES = 1024 * 1024

_JSON_RANGES = ("*/*", "application/*", "application/json")


ROUTES = with_help(SERVED)

_PATTERNS = [
    (path, re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)))) for path in ROUTES
]


def find_route(path: str) -> tuple[str, Mapping[str, str]] | None:
    """The route of a path from the root, and the ids in it; None if there is none."""
    if not path.startswith("/api/"):
        return None
    below = path.removeprefix("/api").removesuffix("/")  # one trailing slash is ignored
    for route, pattern in _PATTERNS:
        match = pattern.fullmatch(below)
        if match is not None:
            return route, match.groupdict()
    return None


def answer(state: ApplianceState, callers: Callers, request: Request) -> Answer:
    """Answer one request; nothing changes unless all checks are passed."""
    state.settle()
    headers: dict[str, str] = {}
    try:
        caller = callers.authenticate(request)
        if caller.new_cookie is not None:
            cookie = f"SEC={caller.new_cookie}; HttpOnly; Secure; Path=/"
            headers["Set-Cookie"] = cookie
        spoken = parse_version(request.headers.get("Version"))
        if spoken.is_deprecated:
            headers["Deprecated"] = f"Version {spoken.major}.0 of the API is deprecated"
        entry, call = _checked(request, caller, spoken.major)
        done = entry.operation(state, call)
    except Refusal as refusal:
        done = refused(refusal)
    return Answer(done.status, done.body, {**headers, **done.headers})


def _checked(request: Request, caller: Caller, major: int) -> tuple[Entry, Call]:
    route = find_route(request.path)
    if route is None:
        raise Refusal(404, 6, f"There is no resource at {request.path[:200]}")
    methods = ROUTES[route[0]]
    entry = methods.get("GET" if request.method == "HEAD" else request.method)
    if entry is None:
        allowed = sorted({*methods, "HEAD"} if "GET" in methods else methods)
        message = f"{request.method} is not possible here"
        raise Refusal(405, 9, message, headers={"Allow": ", ".join(allowed)})
    if not entry.is_plain_text:  # spec §14 no. 15
        _check_accept(request.headers.getall("Accept", []))
    if request.body is None:
        raise Refusal(413, 14, f"The body has more than {BIGGEST_BODY_BYTES} bytes")
    if entry.body is not None and request.body:
        _check_content_type(request.headers.get("Content-Type"))
    return entry, _call(entry, request, caller, major, route[1])


def _call(
    entry: Entry, request: Request, caller: Caller, major: int, ids: Mapping[str, str]
) -> Call:
    backup_type = _backup_type(request) if entry.has_type_header else ""
    shape = members_at(entry.shape or {}, major)
    fields = request.headers if request.method == "POST" else request.query
    call = Call(
        caller,
        project=parse_fields(fields.get("fields"), shape) if shape else _whole,
        ids=ids,
        backup_type=backup_type,
    )
    if entry.is_list:
        window = parse_range(request.headers.get("Range"))
        sort = request.query.get("sort") if entry.sortable else None  # else ignored
        keys = parse_sort(sort, entry.sortable, shape)
        wanted = request.query.get("filter")
        matches = call.matches if wanted is None else parse_filter(wanted, shape)
        return replace(call, window=window, sort=keys, matches=matches)
    if entry.body is not None:
        judged = frozenset({"name"})  # 1004 rather than 11 (spec §14 no. 14)
        raw = request.body or b""
        body = parse_body(raw, entry.body, entry.body_types, judged, entry.keeps_null)
        return replace(call, body=body)
    return call


def _whole(record: Record) -> Record:
    return record


def _check_accept(headers: list[str]) -> None:
    ranges = [part for header in headers for part in header.split(",") if part.strip()]
    weights = [_weight(part) for part in ranges]
    if ranges and max(weights)[1] <= 0:  # the most specific range decides
        raise Refusal(406, 16, "The answer is application/json, which the request does not accept")


def _weight(media_range: str) -> tuple[int, float]:
    """How closely a range names JSON, and the weight it gives it."""
    kind, *parameters = (part.strip().lower() for part in media_range.split(";"))
    if kind not in _JSON_RANGES:
        return -1, 0.0
    given = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
    try:
        return _JSON_RANGES.index(kind), float(given[0]) if given else 1.0
    except ValueError:
        return _JSON_RANGES.index(kind), 0.0


def _check_content_type(header: str | None) -> None:
    if header is not None and header.split(";")[0].strip().lower() != "application/json":
        raise Refusal(415, 17, f"A body of type {header[:80]} is not understood")


def _backup_type(request: Request) -> str:
    sent = request.headers.get("backup_type")
    if sent is None:
        raise Refusal(422, 8, 'Missing required parameter "backup_type" from header parameters')
    if sent not in {"CONFIG", "DATA"}:  # case-sensitive (spec §14 no. 1)
        raise Refusal(422, 11, 'Failed to transform user header parameter "backup_type"')
    return sent
