"""From a resource model to the structural OpenAPI v3 schema of the API server.

pydantic's JSON schema refers to shared definitions, spells "absent" as ``anyOf … null`` and knows
no 64-bit format; a structural schema has none of that, so each node is rewritten.
"""

import re
from collections.abc import Mapping
from typing import Any

from backup_operator.resources.parts import ResourcePart
from backup_operator.resources.rules import VALIDATIONS

RULE_MEMBERS = ("rule", "message", "fieldPath")

_SOURCE = re.compile(r" \(spec §[^)]*\)")  # of no use to whoever asks kubectl
_DROPPED = frozenset({"title", "$defs"})
_LONG = 2**63
_REFERENCE = "#/$defs/"

Schema = dict[str, Any]


class UnsupportedSchemaError(ValueError):
    """A model says something that a structural schema has no words for."""


def build_schema(model: type[ResourcePart]) -> Schema:
    """Build the structural schema of ``model``, with descriptions, defaults and CEL rules."""
    # In serialization mode defaults and types are those of the cluster: "1h", not PT1H.
    source = model.model_json_schema(mode="serialization", by_alias=True)
    return _rewrite(source, source.get("$defs", {}))


def _rewrite(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    node = _without_null(_resolve(node, definitions), definitions)
    schema: Schema = {}
    for keyword, value in node.items():
        match keyword:
            case "properties":
                schema[keyword] = {
                    name: _rewrite(member, definitions) for name, member in value.items()
                }
            case "items" | "additionalProperties":
                schema[keyword] = _rewrite(value, definitions)
            case "default" if value is None or isinstance(value, Mapping) or value in ([], ""):
                pass  # absent means the same, and an object stays as small as it was written
            case "description":
                schema[keyword] = _SOURCE.sub("", value).replace("``", "`")
            case _ if keyword == VALIDATIONS:
                schema[keyword] = [
                    {member: rule[member] for member in RULE_MEMBERS if member in rule}
                    for rule in value
                ]
            case _ if keyword not in _DROPPED:
                schema[keyword] = value
    if schema.get("type") == "integer":
        schema = _long(schema)
    return _in_order(schema)


def _resolve(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """Put a definition in the place of its reference; what stands beside the reference wins."""
    reference = node.get("$ref")
    if reference is None:
        return dict(node)
    definition = definitions[reference.removeprefix(_REFERENCE)]
    beside = {keyword: value for keyword, value in node.items() if keyword != "$ref"}
    return _resolve(definition, definitions) | beside


def _without_null(node: Schema, definitions: Mapping[str, Any]) -> Schema:
    """Turn "this or null" into this: in the cluster an optional member is absent, never null."""
    choices = node.pop("anyOf", None)
    if choices is None:
        return node
    others = [choice for choice in choices if choice.get("type") != "null"]
    if len(others) != 1:
        raise UnsupportedSchemaError(f"expected one type or null, found {others}")
    return _without_null(_resolve(others[0], definitions), definitions) | node


def _long(schema: Schema) -> Schema:
    """Say int64 by its format instead of by its bounds."""
    bounds = {"minimum": -_LONG, "exclusiveMaximum": _LONG}
    kept = {key: value for key, value in schema.items() if bounds.get(key) != value}
    return {**kept, "format": "int64"}


_ORDER = ("description", "type", "format", "enum", "default")
_LAST = ("required", "properties", "items", "additionalProperties")


def _in_order(schema: Schema) -> Schema:
    """Put what a reader looks for first, and what is long last."""
    middle = [key for key in schema if key not in {*_ORDER, *_LAST}]
    return {key: schema[key] for key in (*_ORDER, *middle, *_LAST) if key in schema}
