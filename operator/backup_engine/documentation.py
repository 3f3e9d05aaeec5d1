"""What the server tells about its own endpoints: ``/help`` (spec §8). Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from backup_api import endpoints
from backup_api.about import ApiVersion
from backup_api.documentation import (
    EndpointDescription,
    ParameterDescription,
    ParameterMimeType,
    ParameterPlace,
    RefusalDescription,
    ResourceDescription,
    ResponseMimeType,
    SuccessDescription,
)
from backup_api.endpoints import API_ROOT, JSON, PLAIN_TEXT, Endpoint
from backup_api.errors import FrameworkErrors
from backup_engine.query.binding import Bound
from backup_engine.query.terms import Among, And, Between, Compare, Like, Not, Or, Scalar

OPENAPI = Mapping[str, Any]

_OLDEST_CHANGE: Final = "12.0"
_LAST_CHANGES: Final[Mapping[Endpoint, str]] = {
    endpoints.LIST_BACKUPS: "26.0",
    endpoints.CREATE_RESTORE: "18.0",
    endpoints.LAUNCH_RESTORE: "15.0",
    endpoints.CHANGE_CONFIGURATION: "18.0",
    endpoints.LIST_HOSTS: "13.0",
    endpoints.GET_HOST: "13.0",
    endpoints.CHANGE_ALLOCATION: "13.0",
    endpoints.LIST_STAGED_HOSTS: "13.0",
    endpoints.GET_STAGED_HOST: "13.0",
    endpoints.ABOUT: "16.0",
    endpoints.HA_ACTION: "21.0",
    endpoints.UPDATE_IPTABLES: "21.0",
}
"""The version that last changed an endpoint, where it was not the oldest one (spec §11)."""

_BODY_NAMES: Final[Mapping[Endpoint, str]] = {
    endpoints.CREATE_BACKUP: "backup",
    endpoints.CHANGE_BACKUP: "backup",
    endpoints.CREATE_RESTORE: "restore",
    endpoints.LAUNCH_RESTORE: "restore",
    endpoints.CHANGE_CONFIGURATION: "backupConfiguration",
    endpoints.CHANGE_ALLOCATION: "host",
    endpoints.CHANGE_TUNNEL: "tunnel",
    endpoints.START_DEPLOY: "deploy_status",
}
"""What a body is called where parameters have names (spec §13 no. 26)."""

_PLACES: Final = {
    "query": ParameterPlace.QUERY,
    "header": ParameterPlace.HEADER,
    "path": ParameterPlace.PATH,
}
_DATA_TYPES: Final = {"integer": "Long", "boolean": "Boolean", "array": "Array"}


@dataclass(frozen=True, slots=True)
class Documentation:
    """All rows; endpoints are described once per version, and so is the tree of their paths."""

    endpoints: tuple[EndpointDescription, ...]
    resources: tuple[ResourceDescription, ...]
    served: Mapping[int, Endpoint]  # by the id of the row

    def roots(self, version: str) -> tuple[int, ...]:
        """Ids of the resources of ``version`` that have no parent."""
        return tuple(
            each.id
            for each in self.resources
            if each.version == version and each.parent_resource_id is None
        )


def build_documentation(
    served: Sequence[Endpoint], versions: Iterable[ApiVersion], openapi: OPENAPI
) -> Documentation:
    """Describe ``served`` in each of ``versions``, with the texts of ``openapi``; ids count up."""
    rows: list[EndpointDescription] = []
    resources: list[ResourceDescription] = []
    by_id: dict[int, Endpoint] = {}
    for version in versions:
        tree = _build_tree(served, version.version, first_id=len(resources) + 1)
        ids = {node.path: node.id for node in tree}
        below: dict[int, list[int]] = {}
        for endpoint in served:
            row = _describe(endpoint, openapi).model_copy(
                update={
                    "id": len(rows) + 1,
                    "version": version.version,
                    "deprecated": version.deprecated,
                    "resource_id": ids[endpoint.path],
                }
            )
            rows.append(row)
            by_id[row.id] = endpoint
            below.setdefault(ids[endpoint.path], []).append(row.id)
        resources += [
            node.model_copy(update={"endpoint_ids": tuple(below.get(node.id, ()))}) for node in tree
        ]
    return Documentation(tuple(rows), tuple(resources), by_id)


def add_slashes(  # noqa: PLR0911 - one for each kind of node
    condition: Bound,
) -> Bound:
    """Let a filter give ``path`` without its leading slash, too (spec §14 no. 23)."""
    match condition:
        case And(conditions):
            return And(tuple(add_slashes(each) for each in conditions))
        case Or(conditions):
            return Or(tuple(add_slashes(each) for each in conditions))
        case Not(opposite):
            return Not(add_slashes(opposite))
        case Compare(member, _, value) if member.path == ("path",):
            return replace(condition, value=_slashed(value))
        case Among(member, values) if member.path == ("path",):
            return replace(condition, values=tuple(_slashed(each) for each in values))
        case Between(member, low, high) if member.path == ("path",):
            return replace(condition, low=_slashed(low), high=_slashed(high))
        case Like(member, pattern) if member.path == ("path",) and pattern[:1] not in "%_":
            return replace(condition, pattern=str(_slashed(pattern)))
        case _:
            return condition


def _slashed(value: Scalar) -> Scalar:
    text = str(value)
    return text if text.startswith("/") else f"/{text}"


def _build_tree(
    served: Iterable[Endpoint], version: str, first_id: int
) -> list[ResourceDescription]:
    """Build a node for each path and each of its beginnings; parents come before children."""
    paths: dict[str, None] = {}
    for endpoint in served:
        steps = endpoint.path.strip("/").split("/")
        for length in range(1, len(steps) + 1):
            paths["/" + "/".join(steps[:length])] = None
    ordered = sorted(paths)
    ids = {path: first_id + position for position, path in enumerate(ordered)}
    children: dict[str, list[int]] = {}
    for path in ordered:
        children.setdefault(path.rpartition("/")[0], []).append(ids[path])
    return [
        ResourceDescription(
            id=ids[path],
            version=version,
            resource=path.rpartition("/")[2],
            path=path,
            parent_resource_id=ids.get(path.rpartition("/")[0]),
            child_resource_ids=tuple(children.get(path, ())),
        )
        for path in ordered
    ]


def _describe(endpoint: Endpoint, openapi: OPENAPI) -> EndpointDescription:
    operation = openapi["paths"][API_ROOT + endpoint.path][endpoint.method.lower()]
    summary = operation["summary"]
    parameters = [
        _describe_parameter(_resolve(openapi, each)) for each in operation.get("parameters", ())
    ]
    if endpoint in _BODY_NAMES:
        body = ParameterMimeType(mime_type=JSON, data_type="Object")
        parameters.append(
            ParameterDescription(
                parameter_name=_BODY_NAMES[endpoint],
                type=ParameterPlace.BODY,
                description="the members to set",
                mime_types=(body,),
            )
        )
    return EndpointDescription(
        id=0,
        last_modified_version=_LAST_CHANGES.get(endpoint, _OLDEST_CHANGE),
        path=endpoint.path,
        http_method=endpoint.method,
        summary=summary,
        description=summary,
        response_description=_phrase(endpoint.success),
        parameters=tuple(parameters),
        response_mime_types=(
            ResponseMimeType(mime_type=endpoint.media_type, media_type=endpoint.media_type),
        ),
        success_responses=(
            SuccessDescription(
                response_code=endpoint.success,
                response_code_description=_phrase(endpoint.success),
                description=summary,
            ),
        ),
        error_responses=tuple(
            RefusalDescription(
                response_code=row.http_status,
                response_code_description=_phrase(row.http_status),
                unique_code=row.code,
                description=row.description,
            )
            for row in (*FrameworkErrors, *endpoint.refusals)
        ),
    )


def _resolve(openapi: OPENAPI, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference to a component; anything else is returned as it is."""
    found: Any = value
    if "$ref" in value:
        found = openapi
        for step in value["$ref"].removeprefix("#/").split("/"):
            found = found[step]
    return dict(found)


def _describe_parameter(parameter: Mapping[str, Any]) -> ParameterDescription:
    data_type = _DATA_TYPES.get(parameter.get("schema", {}).get("type", ""), "String")
    return ParameterDescription(
        parameter_name=parameter["name"],
        type=_PLACES[parameter["in"]],
        description=parameter.get("description"),
        mime_types=(ParameterMimeType(mime_type=PLAIN_TEXT, data_type=data_type),),
    )


def _phrase(status: int) -> str:
    known = {each.value: each.phrase for each in HTTPStatus}
    return known.get(status, "API unavailable")  # 550 is the appliance's own
