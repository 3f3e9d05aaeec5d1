"""In which order kinds are restored: waves, each begun when the one before has ended. Pure."""

from typing import Final

from backup_engine.restore.groups import (
    ADMISSION,
    API_REGISTRATION,
    CORE,
    FLOW_CONTROL,
    NETWORKING,
    RBAC,
    is_custom,
)
from backup_engine.restore.identity import KindKey

DEFINITIONS: Final[KindKey] = ("apiextensions.k8s.io", "customresourcedefinitions")
NAMESPACES: Final[KindKey] = (CORE, "namespaces")

_BEFORE: Final[tuple[tuple[KindKey, ...], ...]] = (
    (DEFINITIONS,),  # their kinds are served only a moment later
    (NAMESPACES,),
    (  # classes, which others name
        ("node.k8s.io", "runtimeclasses"),
        ("scheduling.k8s.io", "priorityclasses"),
        ("storage.k8s.io", "csidrivers"),
        ("storage.k8s.io", "storageclasses"),
        ("storage.k8s.io", "volumeattributesclasses"),
        ("resource.k8s.io", "deviceclasses"),
        (NETWORKING, "ingressclasses"),
        (NETWORKING, "servicecidrs"),
        (FLOW_CONTROL, "prioritylevelconfigurations"),
        (FLOW_CONTROL, "flowschemas"),
        (CORE, "limitranges"),
    ),
    (  # a binding is refused to an account that does not hold the role's rights itself
        (CORE, "serviceaccounts"),
        (RBAC, "clusterroles"),
        (RBAC, "roles"),
    ),
    ((RBAC, "clusterrolebindings"), (RBAC, "rolebindings")),
    ((CORE, "secrets"), (CORE, "configmaps"), (CORE, "persistentvolumes")),
    (  # volumes first: a claim would else be provisioned anew
        (CORE, "persistentvolumeclaims"),
        (CORE, "podtemplates"),
        ("resource.k8s.io", "resourceclaimtemplates"),
        ("resource.k8s.io", "resourceclaims"),
    ),
    (  # no pod runs for a moment without its rules
        (CORE, "services"),
        (CORE, "endpoints"),
        ("discovery.k8s.io", "endpointslices"),
        (NETWORKING, "networkpolicies"),
        ("policy", "poddisruptionbudgets"),
    ),
    (
        (CORE, "pods"),
        (CORE, "replicationcontrollers"),
        ("apps", "controllerrevisions"),
        ("apps", "daemonsets"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "statefulsets"),
        ("batch", "cronjobs"),
        ("batch", "jobs"),
    ),
)

_AFTER: Final[tuple[tuple[KindKey, ...], ...]] = (
    # a new quota refuses everything until its status is computed, and these objects fitted once
    ((CORE, "resourcequotas"),),
    ((API_REGISTRATION, "apiservices"),),  # without its server it only slows discovery down
)

_PLACES: Final = {kind: place for place, kinds in enumerate(_BEFORE) for kind in kinds} | {
    kind: len(_BEFORE) + 2 + place for place, kinds in enumerate(_AFTER) for kind in kinds
}
_OTHER_BUILT_IN: Final = len(_BEFORE)
_CUSTOM: Final = _OTHER_BUILT_IN + 1
_ADMISSION: Final = _CUSTOM + 1 + len(_AFTER)


def find_wave(kind: KindKey) -> int:
    """Return the number of the wave of ``kind``; lower ones come first. Total.

    Admission webhooks and policies come last: before that they would judge, or block, the restore.
    """
    if kind[0] == ADMISSION:
        return _ADMISSION
    if is_custom(kind):
        return _CUSTOM
    return _PLACES.get(kind, _OTHER_BUILT_IN)
