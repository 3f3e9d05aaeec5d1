"""The OpenAPI document as it is published: what FastAPI builds, made fit to generate clients from.

``publish`` is pure but for its argument, which it takes over.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI

from backup_api.endpoints import API_ROOT
from backup_api.errors import ErrorBody
from backup_engine.routes.documentation import SCHEMAS
from backup_engine.routes.examples import ANSWERS

Json = dict[str, Any]

_CHAPTER: Final = re.compile(r" ?\(spec [^)]*\)")
_WHOLE: Final = {"ErrorBody", "HttpResponse"}
_METHODS: Final = ("get", "post", "put", "delete")

_ABOUT: Final = """\
The backup and restore API of an IBM QRadar or Juniper JSA console, served by the in-cluster engine.

- Every refusal has the body `ErrorBody`. Branch on method, path, HTTP status and `code`, never on
  texts.
- Times are milliseconds since the epoch, sizes are bytes, durations are milliseconds.
- With `fields` only the named members come, so no member of an answer is certain to be there.
- Unknown members of a request body, unknown query parameters and unknown headers are ignored."""

TAGS: Final[Mapping[str, str]] = {
    "backups": "Make, watch, describe, cancel and delete backups",
    "restores": "Restore a CONFIG backup, in two steps: create, launch",
    "configurations": "What the nightly run does, where archives go; staged, and deployed",
    "hosts": "What can be backed up",
    "tunnels": "Tunnels between hosts, of which a cluster has none",
    "deploys": "Put what is staged in force",
    "servers": "The servers behind the hosts",
    "descriptions": "Product version and API versions",
    "help": "The API described by itself, and what the caller may do",
    "archives": "Extension: look into archives, compare them, download them",
    "engine": "Extension: what the engine is",
    "volumes": "Extension: the volumes of DATA backups, and restores of them",
    "high availability": "Operations of the appliance that are refused here",
}

_SECURITY: Final[Mapping[str, Json]] = {
    "sec": {
        "type": "apiKey",
        "in": "header",
        "name": "SEC",
        "description": "Token of an authorized service",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "Token of a Kubernetes ServiceAccount, for the audience backup-engine",
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "User and password, where the engine has a users file. The answer sets a "
        "cookie SEC that authenticates from then on",
    },
}

PARAMETERS: Final[Mapping[str, Json]] = {
    "Version": {
        "name": "Version",
        "in": "header",
        "description": "API version; absent: the newest. Above 26.0 means 26.0; below 24.0 is "
        "answered with a header Deprecated",
        "schema": {
            "type": "string",
            "pattern": r"^(9|[1-9][0-9]{1,3})(\.(0|[1-9][0-9]{0,3}))?$",
        },
        "example": "26.0",
    },
    "Range": {
        "name": "Range",
        "in": "header",
        "description": "Positions items=x-y, from zero, both included; absent: the whole list. "
        "Beyond the end of the list there is nothing, and no error",
        "schema": {"type": "string", "format": "items-range", "pattern": "^items=[0-9]+-[0-9]+$"},
        "example": "items=0-49",
    },
}

_HEADERS: Final[Mapping[str, Json]] = {
    "X-Request-Id": {
        "description": "Id of the request in the engine's log; the one sent, where one was sent",
        "required": True,
        "schema": {"type": "string"},
    },
    "Deprecated": {
        "description": "The version that was asked for is deprecated",
        "schema": {"type": "string"},
    },
    "Content-Range": {
        "description": "items x-y/total, or items */total where nothing came; total counts the "
        "whole filtered list",
        "required": True,
        "schema": {"type": "string", "pattern": r"^items ([0-9]+-[0-9]+|\*)/[0-9]+$"},
    },
    "WWW-Authenticate": {
        "description": "Ways to authenticate besides SEC",
        "required": True,
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds for which no password of this client is looked at",
        "schema": {"type": "integer"},
    },
}


class PublishedApi(FastAPI):
    """The app; its OpenAPI document is made fit to be published."""

    def openapi(self) -> Json:
        """Build the document at the first call, and return the same one ever after."""
        if self.openapi_schema is None:
            self.openapi_schema = publish(super().openapi())
        return self.openapi_schema


def publish(document: Json) -> Json:
    """Build the published document from the one that FastAPI builds."""
    schemas: Json = {name: dict(each) for name, each in document["components"]["schemas"].items()}
    error_body = ErrorBody.model_json_schema(ref_template=SCHEMAS + "{model}")
    schemas |= {**error_body.pop("$defs"), "ErrorBody": error_body}
    for endpoint, example in ANSWERS.items():  # here, for FastAPI would drop every null in them
        operation = document["paths"].get(API_ROOT + endpoint.path, {}).get(endpoint.method.lower())
        if operation is not None:
            content = operation["responses"][str(endpoint.success)]["content"]
            content[endpoint.media_type]["example"] = example
    selectable = _find_selectable(document["paths"], schemas)
    paths = {
        path: {
            method: _publish_operation(operation, schemas) if method in _METHODS else operation
            for method, operation in item.items()
        }
        for path, item in document["paths"].items()
    }
    return {
        **document,
        "info": {**document["info"], "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "security": [{name: []} for name in _SECURITY],
        "paths": paths,
        "components": {
            "securitySchemes": dict(_SECURITY),
            "parameters": dict(PARAMETERS),
            "headers": dict(_HEADERS),
            "schemas": {
                name: _publish_schema(schemas[name], name in selectable) for name in sorted(schemas)
            },
        },
    }


def _publish_operation(operation: Json, schemas: Json) -> Json:
    first, _, rest = _CHAPTER.sub("", operation.get("description", "")).partition("\n")
    published = {**operation, "summary": first.rstrip("."), "description": rest.strip()}
    if not published["description"]:
        del published["description"]
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        published["requestBody"] = {
            **operation["requestBody"],
            "content": {kind: _hoist(each, schemas) for kind, each in content.items()},
        }
    published["responses"] = {
        status: _untitled(answer) for status, answer in sorted(operation["responses"].items())
    }
    return published


def _hoist(content: Json, schemas: Json) -> Json:
    """Move the schema of a body, and those in it, to the components."""
    schema = dict(content["schema"])
    name = schema.get("title")
    if name is None:
        return content
    schemas.update(schema.pop("$defs", {}))
    schemas[name] = schema
    return {**content, "schema": {"$ref": SCHEMAS + name}}


def _untitled(answer: Json) -> Json:
    content = {
        kind: {
            key: {k: v for k, v in each.items() if k != "title"} if key == "schema" else each
            for key, each in body.items()
        }
        for kind, body in answer.get("content", {}).items()
    }
    return {**answer, "content": content} if content else answer


def _find_selectable(paths: Json, schemas: Json) -> set[str]:
    """Find the schemas of answers that ``fields`` reduces, and of what is in them."""
    found: set[str] = set()
    waiting: list[object] = [
        operation["responses"]
        for item in paths.values()
        for operation in item.values()
        if any(each.get("name") == "fields" for each in operation.get("parameters", ()))
    ]
    while waiting:
        match waiting.pop():
            case {"$ref": str(reference)}:
                name = reference.removeprefix(SCHEMAS)
                if name in schemas and name not in found | _WHOLE:
                    found.add(name)
                    waiting.append(schemas[name])
            case dict(inner):
                waiting += inner.values()
            case list(inner):
                waiting += inner
            case _:
                pass
    return found


def _publish_schema(schema: Json, is_selectable: bool) -> Json:
    published = dict(schema)
    if "description" in published:
        published["description"] = _CHAPTER.sub("", published["description"]).replace("``", "`")
    if "properties" not in published:
        return published
    published["properties"] = {
        member: _publish_member(each) for member, each in published["properties"].items()
    }
    if published.get("title") in _WHOLE:
        published["required"] = list(published["properties"])
    elif is_selectable:
        published.pop("required", None)  # any member may be left out
    return published


def _publish_member(schema: Json) -> Json:
    """Write null as a type among others, name the width of integers, drop what says nothing."""
    member = {key: value for key, value in schema.items() if key != "title"}
    if member.get("default", 0) is None or member.get("default", 0) == []:
        del member["default"]
    options = member.pop("anyOf", None)
    if options is not None:
        member = _without_union(member, options)
    if member.get("type") in ("integer", ["integer", "null"]):
        member.setdefault("format", "int64")
    return member


def _without_union(member: Json, options: list[Json]) -> Json:
    given = [option for option in options if option != {"type": "null"}]
    if "type" in member:  # the contract rules null out
        only = given[0] if len(given) == 1 else {}
        return {**{key: value for key, value in only.items() if key != "type"}, **member}
    if len(given) == 1 and "type" in given[0] and len(options) > 1:
        return {**given[0], "type": [given[0]["type"], "null"], **member}
    return {"anyOf": options, **member}
