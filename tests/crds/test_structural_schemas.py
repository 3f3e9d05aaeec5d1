from typing import Annotated, Any

import pytest
from pydantic import Field

from backup_operator.crds.build import RESOURCES, Resource
from backup_operator.crds.schema import UnsupportedSchemaError, build_schema
from backup_operator.crds.structural import NotStructuralError, check_structural, find_faults
from backup_operator.resources.parts import Integer, ResourcePart
from backup_operator.resources.rules import CelRule, Matches, cel_string, immutable

RULE = {"rule": "self.size() > 0", "message": "must hold something"}
TEXT = {"type": "string", "description": "A text."}


def an_object(**members: object) -> dict[str, Any]:
    return {"type": "object", "properties": members}


def a_list(**keywords: object) -> dict[str, Any]:
    return {
        "type": "array",
        "description": "A list.",
        "x-kubernetes-list-type": "atomic",
        "items": {"type": "string"},
        **keywords,
    }


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: str(resource.kind.kind))
def test_our_schemas_have_no_fault(resource: Resource) -> None:
    for model in (resource.spec, resource.status):
        assert list(find_faults(build_schema(model))) == []


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({}, "(root): expected one type of"),
        (an_object(a={"description": "No type."}), "a: expected one type of"),
        (an_object(a={"type": "null", "description": "Null."}), "a: expected one type of"),
        (an_object(a={"$ref": "#/$defs/A", **TEXT}), "a: $ref is not allowed for type string"),
        (an_object(a={"anyOf": [], **TEXT}), "a: anyOf is not allowed for type string"),
        (an_object(a={"title": "A", **TEXT}), "a: title is not allowed for type string"),
        (an_object(a={"uniqueItems": True, **a_list()}), "a: uniqueItems is not allowed"),
        (an_object(a={"x-kubernetes-preserve-unknown-fields": True, **an_object()}), "a: x-kub"),
        (an_object(a={"type": "string"}), "a: no description"),
        (an_object() | {"required": ["a"]}, "(root): requires a, which is no property"),
        (
            an_object(a={**TEXT, "default": "x"}) | {"required": ["a"]},
            "(root): a has a default and is required",
        ),
        (
            an_object(a=TEXT) | {"additionalProperties": {"type": "string"}},
            "(root): properties and additionalProperties exclude each other",
        ),
        ({"type": "object", "additionalProperties": {}}, "{}: expected one type of"),
        (an_object() | {"x-kubernetes-map-type": "set"}, "(root): unknown x-kubernetes-map-type"),
        (an_object(a=a_list(items=[])), "a: expected one schema of items"),
        (an_object(a=a_list(items={})), "a[]: expected one type of"),
        (
            an_object(a=a_list(**{"x-kubernetes-list-type": "bag"})),
            "a: expected x-kubernetes-list-type of",
        ),
        (
            an_object(a=a_list(**{"x-kubernetes-list-type": "map"})),
            "a: x-kubernetes-list-map-keys belong to lists of type map",
        ),
        (
            an_object(
                a=a_list(
                    items=an_object(id=TEXT),
                    **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]},
                )
            ),
            "a: map key id is neither required nor defaulted",
        ),
        (
            an_object() | {"x-kubernetes-validations": [{"rule": "true"}]},
            "(root): rule 'true' needs a message of one line",
        ),
        (
            an_object() | {"x-kubernetes-validations": [{**RULE, "level": "warn"}]},
            "(root): rule 'self.size() > 0' has an unknown member level",
        ),
        (
            an_object() | {"x-kubernetes-validations": [{**RULE, "fieldPath": ".gone"}]},
            "(root): rule 'self.size() > 0' points at gone, which is no property",
        ),
        (
            an_object(a={**TEXT, "x-kubernetes-validations": [RULE]}),
            "a: needs an upper bound, for a CEL rule may read it",
        ),
        (
            an_object(a=an_object(b=a_list())) | {"x-kubernetes-validations": [RULE]},
            "a.b: needs an upper bound, for a CEL rule may read it",
        ),
        (
            an_object(a={"type": "object", "additionalProperties": {"type": "boolean"}})
            | {"x-kubernetes-validations": [RULE]},
            "a: needs an upper bound, for a CEL rule may read it",
        ),
    ],
)
def test_what_the_api_server_would_refuse_is_found_and_named(
    schema: dict[str, Any], fault: str
) -> None:
    assert [found for found in find_faults(schema) if found.startswith(fault)]


def test_the_error_names_the_schema_and_every_fault() -> None:
    with pytest.raises(NotStructuralError, match=r"schema of Backup\.spec: .*b: no") as caught:
        check_structural("Backup.spec", an_object(a={"type": "string"}, b={"type": "string"}))

    assert caught.value.faults == ["a: no description", "b: no description"]


class Inner(ResourcePart):
    """Something inside."""

    count: Integer = Field(description="How many.")


class Outer(ResourcePart):
    """Something outside."""

    own_words: Inner = Field(description="In its own words.")
    maybe: Inner | None = Field(default=None, description="Perhaps.")
    some_names: tuple[str, ...] = Field(default=(), description="Names.")
    code: Annotated[str, Matches("^[a-z]$", "a letter"), CelRule("true", "nothing")] = Field(
        default="a", description="Code."
    )


def test_shared_definitions_and_nulls_are_written_out() -> None:
    inner = {
        "type": "object",
        "required": ["count"],
        "properties": {"count": {"description": "How many.", "type": "integer", "format": "int64"}},
    }
    assert build_schema(Outer) == {
        "description": "Something outside.",
        "type": "object",
        "required": ["ownWords"],
        "properties": {
            "ownWords": {"description": "In its own words.", **inner},
            "maybe": {"description": "Perhaps.", **inner},
            "someNames": {"description": "Names.", "type": "array", "items": {"type": "string"}},
            "code": {
                "description": "Code.",
                "type": "string",
                "default": "a",
                "pattern": "^[a-z]$",
                "x-kubernetes-validations": [
                    {"rule": "self.matches('^[a-z]$')", "message": "must be a letter"},
                    {"rule": "true", "message": "nothing"},
                ],
            },
        },
    }


class Undecided(ResourcePart):
    """One of two types, which no structural schema can say."""

    either: int | str = Field(description="Either.")


def test_a_type_without_a_structural_form_is_refused() -> None:
    with pytest.raises(UnsupportedSchemaError, match="expected one type or null"):
        build_schema(Undecided)


def test_cel_texts_are_quoted() -> None:
    assert cel_string(r"^\s'$") == r"'^\\s\'$'"


def test_the_rule_of_an_immutable_field_also_holds_when_it_comes_or_goes() -> None:
    assert immutable("name").as_schema() == {
        "rule": (
            "has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)"
        ),
        "message": (
            "name cannot be changed, added or removed once the object exists; create another"
        ),
        "fieldPath": ".name",
    }
