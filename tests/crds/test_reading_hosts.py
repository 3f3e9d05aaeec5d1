from collections.abc import Mapping
from typing import Any

import pytest

from backup_operator.resources.errors import InvalidSpecError
from backup_operator.resources.host import BackupHostResource

DATA: Mapping[str, Any] = {
    "type": "Data",
    "volumes": [{"namespace": "shop", "claimNames": ["data-0"]}],
}


def a_host(spec: Mapping[str, Any], name: str = "shop") -> BackupHostResource:
    return BackupHostResource.from_body(
        {"kind": "BackupHost", "metadata": {"name": name, "uid": "u"}, "spec": spec}
    )


def problems_of(spec: Mapping[str, Any], name: str = "shop") -> dict[str, str]:
    with pytest.raises(InvalidSpecError) as caught:
        a_host(spec, name)
    return {problem.field: problem.expected for problem in caught.value.problems}


def test_a_console_without_more_narrows_nothing() -> None:
    spec = a_host({"type": "Console"}).spec

    assert (spec.scope, spec.success_policy, spec.volumes) == (None, None, ())


def test_the_console_has_one_name_at_the_engine_and_a_data_host_its_own() -> None:
    assert a_host({"type": "Console"}, "everything").hostname == "console"
    assert a_host(DATA, "shop-volumes").hostname == "shop-volumes"


@pytest.mark.parametrize(
    ("spec", "field", "expected"),
    [
        ({}, "spec.type", "a value"),
        ({"type": "Data"}, "spec", "volumes with type Data, and only there"),
        ({**DATA, "type": "Console"}, "spec", "volumes with type Data, and only there"),
        ({**DATA, "scope": {}}, "spec", "scope only with type Console"),
        ({**DATA, "successPolicy": {}}, "spec", "successPolicy only with type Console"),
        (
            {"type": "Data", "volumes": [{"namespace": "shop"}]},
            "spec.volumes[0]",
            "exactly one of claimNames and selector",
        ),
    ],
)
def test_a_spec_that_breaks_a_rule_is_named_by_field(
    spec: Mapping[str, Any], field: str, expected: str
) -> None:
    assert problems_of(spec) == {field: expected}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("console", "another name than console"), ("x" * 64, "at most 63 characters")],
)
def test_a_name_that_breaks_a_rule_is_named(name: str, expected: str) -> None:
    assert problems_of(DATA, name) == {"metadata.name": expected}
