"""Rules that hold twice: in Python for what was stored, in the schema for what is applied."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

VALIDATIONS = "x-kubernetes-validations"
LIST_TYPE = "x-kubernetes-list-type"
LIST_MAP_KEYS = "x-kubernetes-list-map-keys"
MAP_TYPE = "x-kubernetes-map-type"


@dataclass(frozen=True, slots=True)
class CelRule:
    """One CEL rule of the schema; ``message`` says what is expected.

    ``field`` makes the API server report the rule of an object at one of its members.
    """

    rule: str
    message: str
    field: str | None = None

    def as_schema(self) -> dict[str, str]:
        """Return the rule as an item of ``x-kubernetes-validations``."""
        item = {"rule": self.rule, "message": self.message}
        if self.field is not None:
            item["fieldPath"] = f".{self.field}"
        return item

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return self.add_to(handler(schema))

    def add_to(self, json_schema: JsonSchemaValue) -> JsonSchemaValue:
        """Return a copy of the schema with this rule behind its others."""
        return json_schema | {VALIDATIONS: [*json_schema.get(VALIDATIONS, []), self.as_schema()]}


@dataclass(frozen=True, slots=True)
class Matches:
    """A string that matches ``pattern`` (RE2 and Python alike); ``words`` says it in English."""

    pattern: str
    words: str

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        rule = CelRule(f"self.matches({cel_string(self.pattern)})", f"must be {self.words}")
        return rule.add_to(handler(schema) | {"pattern": self.pattern})

    def _check(self, text: str) -> str:
        if re.fullmatch(self.pattern, text) is None:
            raise broken(self.words)
        return text


@dataclass(frozen=True, slots=True)
class OneOf:
    """A string out of ``choices``, where another module already lists them."""

    choices: tuple[str, ...]

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {"enum": list(self.choices)}

    def _check(self, text: str) -> str:
        if text not in self.choices:
            raise broken(f"one of {', '.join(self.choices)}")
        return text


def cel_string(text: str) -> str:
    """Quote ``text`` as a CEL string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def with_rules(*rules: CelRule) -> dict[str, Any]:
    """Return what a model or field carries in ``json_schema_extra`` for these rules."""
    return {VALIDATIONS: [rule.as_schema() for rule in rules]}


def immutable(field: str) -> CelRule:
    """Build the rule that ``field`` of an object keeps its value, or stays absent.

    It belongs to the object: a transition rule of the field itself does not run when the field
    is added or removed.
    """
    unchanged = (
        f"has(self.{field}) == has(oldSelf.{field})"
        f" && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    )
    words = f"{field} cannot be changed, added or removed once the object exists; create another"
    return CelRule(unchanged, words, field=field)


def broken(expected: str) -> PydanticCustomError:
    """Build the error of a rule that pydantic has no type for."""
    return PydanticCustomError("rule", "{expected}", {"expected": expected})
