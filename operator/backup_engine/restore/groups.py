"""Which restore group of the wire (spec §4.0) brings back which kind (architecture §3). Pure."""

from typing import Final

from backup_api.restores import RestoreGroup
from backup_engine.restore.identity import KindKey

CORE: Final = ""
ADMISSION: Final = "admissionregistration.k8s.io"
API_EXTENSIONS: Final = "apiextensions.k8s.io"
API_REGISTRATION: Final = "apiregistration.k8s.io"
FLOW_CONTROL: Final = "flowcontrol.apiserver.k8s.io"
NETWORKING: Final = "networking.k8s.io"
RBAC: Final = "rbac.authorization.k8s.io"

BUILT_IN_GROUPS: Final = frozenset(
    {
        CORE,
        ADMISSION,
        API_EXTENSIONS,
        API_REGISTRATION,
        FLOW_CONTROL,
        NETWORKING,
        RBAC,
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "extensions",
        "internal.apiserver.k8s.io",
        "node.k8s.io",
        "policy",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)
"""Groups that the API server itself serves; whatever lies outside is a custom resource."""

WHOLE_GROUPS: Final[dict[str, RestoreGroup]] = {
    RBAC: RestoreGroup.USERS_CONFIG,
    ADMISSION: RestoreGroup.CUSTOM_RULES_CONFIG,
    FLOW_CONTROL: RestoreGroup.CUSTOM_RULES_CONFIG,
    API_EXTENSIONS: RestoreGroup.INSTALLED_APPS_CONFIG,
    API_REGISTRATION: RestoreGroup.INSTALLED_APPS_CONFIG,
}

SINGLE_KINDS: Final[dict[KindKey, RestoreGroup]] = {
    (CORE, "serviceaccounts"): RestoreGroup.USERS_CONFIG,
    (NETWORKING, "networkpolicies"): RestoreGroup.CUSTOM_RULES_CONFIG,
    ("policy", "poddisruptionbudgets"): RestoreGroup.CUSTOM_RULES_CONFIG,
    ("scheduling.k8s.io", "priorityclasses"): RestoreGroup.CUSTOM_RULES_CONFIG,
}

WITHOUT_KINDS: Final[dict[RestoreGroup, str]] = {
    RestoreGroup.LICENSE_CONFIG: "a cluster has no licences",
    RestoreGroup.QVM_CONFIG: "a cluster has no vulnerability manager",
    RestoreGroup.REPORT_TEMPLATES: "a cluster has no report templates",
    RestoreGroup.ASSETS_DATA: "assets of an appliance have no counterpart among API objects",
    RestoreGroup.OFFENSES_DATA: "offenses of an appliance have no counterpart among API objects",
}
"""Groups of an appliance that bring nothing back here, and why."""


def is_custom(kind: KindKey) -> bool:
    """Tell whether objects of ``kind`` are custom (or of an aggregated API), not built in."""
    return kind[0] not in BUILT_IN_GROUPS


def choose_group(kind: KindKey) -> RestoreGroup:
    """Return the one group that ``kind`` belongs to; total, also for kinds never heard of."""
    if is_custom(kind):
        return RestoreGroup.INSTALLED_APPS_CONFIG
    single = SINGLE_KINDS.get(kind)
    if single is not None:
        return single
    return WHOLE_GROUPS.get(kind[0], RestoreGroup.DEPLOYMENT_CONFIG)
