"""Groups and order: each kind has exactly one place."""

import pytest

from backup_api.restores import RestoreGroup
from backup_engine.restore.groups import (
    BUILT_IN_GROUPS,
    SINGLE_KINDS,
    WHOLE_GROUPS,
    WITHOUT_KINDS,
    choose_group,
    is_custom,
)
from backup_engine.restore.order import DEFINITIONS, NAMESPACES, find_wave

RBAC = "rbac.authorization.k8s.io"
ADMISSION = "admissionregistration.k8s.io"


@pytest.mark.parametrize(
    ("kind", "group"),
    [
        (("", "serviceaccounts"), RestoreGroup.USERS_CONFIG),
        ((RBAC, "clusterrolebindings"), RestoreGroup.USERS_CONFIG),
        (("", "namespaces"), RestoreGroup.DEPLOYMENT_CONFIG),
        (("", "secrets"), RestoreGroup.DEPLOYMENT_CONFIG),
        (("", "resourcequotas"), RestoreGroup.DEPLOYMENT_CONFIG),
        (("apps", "deployments"), RestoreGroup.DEPLOYMENT_CONFIG),
        (("apps", "kinds-of-tomorrow"), RestoreGroup.DEPLOYMENT_CONFIG),
        ((ADMISSION, "validatingadmissionpolicies"), RestoreGroup.CUSTOM_RULES_CONFIG),
        (("networking.k8s.io", "networkpolicies"), RestoreGroup.CUSTOM_RULES_CONFIG),
        (("networking.k8s.io", "ingresses"), RestoreGroup.DEPLOYMENT_CONFIG),
        (("policy", "poddisruptionbudgets"), RestoreGroup.CUSTOM_RULES_CONFIG),
        (("scheduling.k8s.io", "priorityclasses"), RestoreGroup.CUSTOM_RULES_CONFIG),
        (DEFINITIONS, RestoreGroup.INSTALLED_APPS_CONFIG),
        (("apiregistration.k8s.io", "apiservices"), RestoreGroup.INSTALLED_APPS_CONFIG),
        (("zoo.example", "widgets"), RestoreGroup.INSTALLED_APPS_CONFIG),
        (("gateway.networking.k8s.io", "httproutes"), RestoreGroup.INSTALLED_APPS_CONFIG),
    ],
)
def test_a_kind_belongs_to_one_restore_group(kind: tuple[str, str], group: RestoreGroup) -> None:
    assert choose_group(kind) is group


def test_groups_without_kinds_say_so_and_the_others_have_some() -> None:
    with_kinds = {*WHOLE_GROUPS.values(), *SINGLE_KINDS.values(), RestoreGroup.DEPLOYMENT_CONFIG}

    assert set(RestoreGroup) == with_kinds | set(WITHOUT_KINDS)
    assert not with_kinds & set(WITHOUT_KINDS)


def test_the_tables_speak_of_built_in_groups_only() -> None:
    assert WHOLE_GROUPS.keys() <= BUILT_IN_GROUPS
    assert {group for group, _ in SINGLE_KINDS} <= BUILT_IN_GROUPS
    assert is_custom(("zoo.example", "widgets"))
    assert not is_custom(("", "pods"))


def test_what_others_need_comes_first() -> None:
    order = [
        DEFINITIONS,
        NAMESPACES,
        ("storage.k8s.io", "storageclasses"),
        ("", "serviceaccounts"),
        (RBAC, "rolebindings"),
        ("", "secrets"),
        ("", "persistentvolumeclaims"),
        ("networking.k8s.io", "networkpolicies"),
        ("", "pods"),
        ("networking.k8s.io", "ingresses"),
        ("zoo.example", "widgets"),
        ("", "resourcequotas"),
        ("apiregistration.k8s.io", "apiservices"),
        (ADMISSION, "validatingwebhookconfigurations"),
    ]
    waves = [find_wave(kind) for kind in order]

    assert waves == sorted(set(waves))


def test_a_kind_never_heard_of_is_restored_behind_its_namespace() -> None:
    assert find_wave(("apps", "kinds-of-tomorrow")) > find_wave(NAMESPACES)
    assert find_wave(("new.example", "things")) > find_wave(DEFINITIONS)
