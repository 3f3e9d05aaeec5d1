"""The fake's description of itself: /help/endpoints and /help/resources (spec §8)."""

import re
from collections.abc import Mapping

from appliance.operations import Call, Operation, listed, number
from appliance.routes import Entry
from appliance.shapes import BOOLEAN, LONG, PATH, TEXT, Kind, Member, Shape, listed_of, word
from appliance.wire import CATEGORIES, Answer, Json, Record, Refusal

Routes = Mapping[str, Mapping[str, Entry]]

_VERSION = "26.0"
_JSON = "application/json"


_METHODS = ("OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT", "PATCH")

ENDPOINT: Shape = {
    "id": LONG,
    "version": TEXT,
    "last_modified_version": TEXT,
    "path": PATH,
    "http_method": word(*_METHODS),
    "summary": TEXT,
    "description": TEXT,
    "deprecated": BOOLEAN,
    "caller_has_access": BOOLEAN,
    "resource_id": LONG,
    "response_description": TEXT,
    "parameters": listed_of(
        {
            "parameter_name": TEXT,
            "type": word("QUERY", "HEADER", "PATH", "BODY"),
            "default_value": TEXT,
            "description": TEXT,
            "mime_types": listed_of({"mime_type": TEXT, "data_type": TEXT, "sample": TEXT}),
        }
    ),
    "response_mime_types": listed_of({"mime_type": TEXT, "media_type": TEXT, "sample": TEXT}),
    "success_responses": listed_of(
        {"response_code": LONG, "response_code_description": TEXT, "description": TEXT}
    ),
    "error_responses": listed_of(
        {
            "response_code": LONG,
            "response_code_description": TEXT,
            "unique_code": LONG,
            "description": TEXT,
        }
    ),
}

RESOURCE: Shape = {
    "id": LONG,
    "version": TEXT,
    "resource": TEXT,
    "path": PATH,
    "parent_resource_id": LONG,
    "child_resource_ids": Member(Kind.LIST, element=LONG),
    "endpoint_ids": Member(Kind.LIST, element=LONG),
}


def with_help(routes: Routes) -> Routes:
    """Add the endpoints of /help, which describe themselves too."""
    endpoints: list[Record] = []
    resources: list[Record] = []
    every = {
        **routes,
        "/help/endpoints": {
            "GET": Entry(_listing(endpoints), "500/1020", ENDPOINT, is_list=True),
        },
        "/help/endpoints/{endpoint_id}": {
            "GET": Entry(_getting(endpoints), "404/1002 500/1020", ENDPOINT),
        },
        "/help/resources": {
            "GET": Entry(_listing(resources), "500/1020", RESOURCE, is_list=True),
        },
        "/help/resources/{resource_id}": {
            "GET": Entry(_getting(resources), "404/1002 500/1020", RESOURCE),
        },
    }
    ids = {path: position for position, path in enumerate(_nodes(every), start=1)}
    for path, methods in every.items():
        for method, entry in methods.items():
            endpoints.append(_endpoint(len(endpoints) + 1, path, method, entry, ids[path]))
    resources.extend(_resource(path, ids, endpoints) for path in ids)
    return every


def _listing(rows: list[Record]) -> Operation:
    return lambda _, call: listed(rows, call)


def _getting(rows: list[Record]) -> Operation:
    def get(_: object, call: Call) -> Answer:
        for row in rows:
            if row["id"] == number(call.resource_id):
                return Answer(200, call.project(row))
        raise Refusal(404, 1002, f"{call.resource_id[:40]} was not found", "Not described.")

    return get


def _nodes(routes: Routes) -> list[str]:
    nodes: dict[str, None] = {}
    for path in routes:
        steps = path.strip("/").split("/")
        for length in range(1, len(steps) + 1):
            nodes["/" + "/".join(steps[:length])] = None
    return list(nodes)


def _resource(path: str, ids: Mapping[str, int], endpoints: list[Record]) -> Record:
    parent = path.rpartition("/")[0]
    return {
        "id": ids[path],
        "version": _VERSION,
        "resource": path.rpartition("/")[2],
        "path": path,
        "parent_resource_id": ids.get(parent),
        "child_resource_ids": [ids[one] for one in ids if one.rpartition("/")[0] == path],
        "endpoint_ids": [one["id"] for one in endpoints if one["resource_id"] == ids[path]],
    }


def _endpoint(number_: int, path: str, method: str, entry: Entry, resource_id: int) -> Record:
    media = "text/plain" if entry.is_plain_text else _JSON
    return {
        "id": number_,
        "version": _VERSION,
        "last_modified_version": _VERSION,
        "path": path,
        "http_method": method,
        "summary": f"{method} {path}",
        "description": f"{method} {path}",
        "deprecated": False,
        "caller_has_access": True,  # whoever has none is refused everywhere
        "resource_id": resource_id,
        "response_description": f"The answer of {method} {path}",
        "parameters": _parameters(path, method, entry),
        "response_mime_types": [{"mime_type": media, "media_type": media, "sample": None}],
        "success_responses": [
            {
                "response_code": entry.success,
                "response_code_description": "Success",
                "description": "The request was carried out.",
            }
        ],
        "error_responses": [_refusal(text) for text in entry.codes.split()],
    }


def _refusal(text: str) -> Record:
    status, code = map(int, text.split("/"))
    return {
        "response_code": status,
        "response_code_description": CATEGORIES[status],
        "unique_code": code,
        "description": f"Code {code} of the reference.",
    }


def _parameters(path: str, method: str, entry: Entry) -> list[Json]:
    place = "HEADER" if method == "POST" else "QUERY"
    parameters = [_parameter(name, "PATH") for name in re.findall(r"\{(\w+)\}", path)]
    if entry.has_type_header:
        parameters.append(_parameter("backup_type", "HEADER"))
    if entry.body is not None:
        parameters.append(_parameter(entry.body, "BODY", _JSON))
    if entry.shape is not None:
        parameters.append(_parameter("fields", place))
    if entry.is_list:
        parameters += [_parameter("Range", "HEADER"), _parameter("filter", "QUERY")]
    if entry.sortable:
        parameters.append(_parameter("sort", "QUERY"))
    return list(parameters)


def _parameter(name: str, place: str, mime_type: str = "text/plain") -> Record:
    return {
        "parameter_name": name,
        "type": place,
        "default_value": None,
        "description": f"The parameter {name}",
        "mime_types": [{"mime_type": mime_type, "data_type": "String", "sample": None}],
    }
