"""Label selectors as everywhere in Kubernetes: what they say and what they match."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from backup_operator.resources.parts import ResourcePart
from backup_operator.resources.rules import LIST_TYPE, MAP_TYPE, CelRule, broken, with_rules


class SelectorOperator(StrEnum):
    """How a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


VALUES_WORDS = "values with In and NotIn, and none with Exists and DoesNotExist"


class SelectorRequirement(ResourcePart):
    """One demand on the labels."""

    model_config = ConfigDict(
        json_schema_extra=with_rules(
            CelRule(
                "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                VALUES_WORDS,
                field="values",
            )
        )
    )

    key: Annotated[str, Field(min_length=1, max_length=317)] = Field(
        description="Key of the label."
    )
    operator: SelectorOperator = Field(description="How the label is compared.")
    values: Annotated[tuple[Annotated[str, Field(max_length=63)], ...], Field(max_length=100)] = (
        Field(
            default=(),
            description="Values to compare with, for In and NotIn.",
            json_schema_extra={LIST_TYPE: "atomic"},
        )
    )

    @model_validator(mode="after")
    def _has_values_where_they_count(self) -> Self:
        wants_values = self.operator in {SelectorOperator.IN, SelectorOperator.NOT_IN}
        if wants_values != bool(self.values):
            raise broken(VALUES_WORDS)
        return self

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels meet the demand; an absent label is NotIn everything."""
        match self.operator:
            case SelectorOperator.IN:
                return labels.get(self.key) in self.values
            case SelectorOperator.NOT_IN:
                return labels.get(self.key) not in self.values
            case SelectorOperator.EXISTS:
                return self.key in labels
            case SelectorOperator.DOES_NOT_EXIST:
                return self.key not in labels


class LabelSelector(ResourcePart):
    """Labels that an object must have; an empty selector matches every object."""

    model_config = ConfigDict(json_schema_extra={MAP_TYPE: "atomic"})

    match_labels: dict[str, Annotated[str, Field(max_length=63)]] = Field(
        default={}, max_length=100, description="Labels and the values they must have."
    )
    match_expressions: tuple[SelectorRequirement, ...] = Field(
        default=(),
        max_length=100,
        description="Further demands on the labels; all must be met.",
        json_schema_extra={LIST_TYPE: "atomic"},
    )

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels meet every demand."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            demand.matches(labels) for demand in self.match_expressions
        )
