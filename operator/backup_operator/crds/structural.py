"""Check what the API server demands of a schema, without one at hand.

The real API server has the last word; this check names the faulty field before it is asked.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from backup_operator.crds.schema import RULE_MEMBERS
from backup_operator.resources.rules import LIST_MAP_KEYS, LIST_TYPE, MAP_TYPE, VALIDATIONS

_ANY_TYPE = frozenset({"type", "description", "default", "enum", VALIDATIONS})
_ALLOWED: Mapping[str, frozenset[str]] = {
    "object": frozenset(
        {"properties", "required", "additionalProperties", "maxProperties", "minProperties"}
        | {MAP_TYPE}
    ),
    "array": frozenset({"items", "maxItems", "minItems", LIST_TYPE, LIST_MAP_KEYS}),
    "string": frozenset({"format", "pattern", "minLength", "maxLength"}),
    "integer": frozenset({"format", "minimum", "maximum"}),
    "boolean": frozenset(),
}
_LIST_TYPES = frozenset({"atomic", "set", "map"})
_LONGEST_MESSAGE = 2048  # characters, a limit of the API server

Schema = Mapping[str, Any]


class NotStructuralError(ValueError):
    """A generated schema would be refused by the API server; ``faults`` name field and rule."""

    def __init__(self, name: str, faults: list[str]) -> None:
        self.faults = faults
        super().__init__(f"schema of {name}: {'; '.join(faults)}")


def check_structural(name: str, schema: Schema) -> None:
    """Raise NotStructuralError unless every node keeps to the rules of structural schemas."""
    faults = list(find_faults(schema))
    if faults:
        raise NotStructuralError(name, faults)


def find_faults(schema: Schema, path: str = "", *, is_under_rule: bool = False) -> Iterator[str]:
    """Yield every fault below ``path``; ``is_under_rule``: a CEL rule further up may read this."""
    here = path or "(root)"
    type_ = str(schema.get("type"))
    if type_ not in _ALLOWED:
        yield f"{here}: expected one type of {sorted(_ALLOWED)}, found {type_!r}"
        return
    for keyword in sorted(schema.keys() - _ANY_TYPE - _ALLOWED[type_]):
        yield f"{here}: {keyword} is not allowed for type {type_}"
    if path and not schema.get("description") and not path.endswith(("[]", "{}")):
        yield f"{here}: no description"
    yield from (f"{here}: {fault}" for fault in _find_rule_faults(schema))
    is_under_rule = is_under_rule or VALIDATIONS in schema
    if is_under_rule and not _is_bounded(schema):
        yield f"{here}: needs an upper bound, for a CEL rule may read it"
    match type_:
        case "object":
            yield from _find_object_faults(schema, path, is_under_rule=is_under_rule)
        case "array":
            yield from _find_list_faults(schema, path, is_under_rule=is_under_rule)


def _find_object_faults(schema: Schema, path: str, *, is_under_rule: bool) -> Iterator[str]:
    here = path or "(root)"
    members = schema.get("properties", {})
    values = schema.get("additionalProperties")
    if values is not None:
        if members:
            yield f"{here}: properties and additionalProperties exclude each other"
        yield from find_faults(values, f"{path}{{}}", is_under_rule=is_under_rule)
    for name in schema.get("required", ()):
        if name not in members:
            yield f"{here}: requires {name}, which is no property"
        elif "default" in members[name]:
            yield f"{here}: {name} has a default and is required"
    if schema.get(MAP_TYPE, "granular") not in {"atomic", "granular"}:
        yield f"{here}: unknown {MAP_TYPE} {schema[MAP_TYPE]!r}"
    for name, member in members.items():
        yield from find_faults(
            member, f"{path}.{name}" if path else name, is_under_rule=is_under_rule
        )


def _find_list_faults(schema: Schema, path: str, *, is_under_rule: bool) -> Iterator[str]:
    items = schema.get("items")
    if not isinstance(items, Mapping):
        yield f"{path}: expected one schema of items, found {items!r}"
        return
    list_type = schema.get(LIST_TYPE)
    keys = schema.get(LIST_MAP_KEYS)
    if list_type not in _LIST_TYPES:
        yield f"{path}: expected {LIST_TYPE} of {sorted(_LIST_TYPES)}, found {list_type!r}"
    if (list_type == "map") != bool(keys):
        yield f"{path}: {LIST_MAP_KEYS} belong to lists of type map, which need them"
    for key in keys or ():
        if key not in items.get("required", ()) and "default" not in items.get(
            "properties", {}
        ).get(key, {}):
            yield f"{path}: map key {key} is neither required nor defaulted"
    yield from find_faults(items, f"{path}[]", is_under_rule=is_under_rule)


def _find_rule_faults(schema: Schema) -> Iterator[str]:
    for rule in schema.get(VALIDATIONS, ()):
        text = rule.get("message", "")
        if not text or len(text) > _LONGEST_MESSAGE or "\n" in text:
            yield f"rule {rule.get('rule')!r} needs a message of one line"
        for member in sorted(rule.keys() - set(RULE_MEMBERS)):
            yield f"rule {rule.get('rule')!r} has an unknown member {member}"
        field = rule.get("fieldPath", "").removeprefix(".")
        if field and field not in schema.get("properties", {}):
            yield f"rule {rule['rule']!r} points at {field}, which is no property"


def _is_bounded(schema: Schema) -> bool:
    """Tell whether the server can estimate the most that a CEL rule may cost here."""
    match schema["type"]:
        case "string":
            return bool(schema.keys() & {"maxLength", "enum", "format"})
        case "array":
            return "maxItems" in schema
        case "object":
            return "additionalProperties" not in schema or "maxProperties" in schema
    return True
