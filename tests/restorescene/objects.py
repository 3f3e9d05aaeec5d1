"""Objects of nearly every kind that a plain API server takes."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
CONTAINERS = [
    {"name": "main", "image": "registry.example/app:1", "env": [{"name": "A", "value": "1"}]}
]


@dataclass(frozen=True, slots=True)
class Scene:
    """Objects in the order in which they can be created; owned ones name ``owner`` first."""

    prefix: str
    objects: tuple[Object, ...]
    owned: tuple[tuple[Object, Object], ...]  # owner, object

    @property
    def namespaces(self) -> tuple[str, ...]:
        return tuple(one["metadata"]["name"] for one in self.objects if one["kind"] == "Namespace")


def make(
    api_version: str, kind: str, name: str, namespace: str | None = None, **members: object
) -> Object:
    metadata: Object = {"name": name, "labels": {"restore-test": "yes"}}
    if namespace is not None:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **members}


def build_crd(prefix: str, plural: str = "widgets", kind: str = "Widget") -> Object:
    return make(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        f"{plural}.{prefix}.example",
        spec={
            "group": f"{prefix}.example",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "spec": {
                                    "type": "object",
                                    "x-kubernetes-preserve-unknown-fields": True,
                                },
                                "status": {
                                    "type": "object",
                                    "x-kubernetes-preserve-unknown-fields": True,
                                },
                            },
                        }
                    },
                }
            ],
        },
    )


def pod_template(app: str) -> Object:
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": CONTAINERS}}


def build_scene(prefix: str, maps: int = 150) -> Scene:
    a, b = f"{prefix}-a", f"{prefix}-b"
    objects = [
        build_crd(prefix),
        make("v1", "Namespace", a),
        make("v1", "Namespace", b),
        *_cluster_objects(prefix, a),
    ]
    for namespace in (a, b):
        objects += _namespaced(prefix, namespace, other=b if namespace == a else a, maps=maps)
    owned = []
    for namespace in (a, b):
        parent = make(f"{prefix}.example/v1", "Widget", "parent", namespace, spec={"size": 1})
        objects.append(parent)
        child = make("v1", "ConfigMap", "child-of-widget", namespace, data={"a": "1"})
        owned.append((parent, child))
        middle = make(f"{prefix}.example/v1", "Widget", "a-child", namespace, spec={"size": 2})
        owned.append((parent, middle))  # before its owner in the order of names
        owned.append(
            (middle, make("v1", "Secret", "grandchild", namespace, data={"p": "cGFzcw=="}))
        )
    return Scene(prefix, tuple(objects), tuple(owned))


def _cluster_objects(prefix: str, namespace: str) -> list[Object]:
    name = prefix
    account = {"kind": "ServiceAccount", "name": "app", "namespace": namespace}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    rbac = "rbac.authorization.k8s.io"
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["secrets"],
        "scope": "*",
    }
    webhook = {
        "name": "hook.test.example",
        "clientConfig": {"service": {"name": "hook", "namespace": namespace, "path": "/x"}},
        "rules": [rule],
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
        "namespaceSelector": selector,
        "objectSelector": {"matchLabels": {"never": "matches"}},
    }
    admission = "admissionregistration.k8s.io/v1"
    return [
        make("scheduling.k8s.io/v1", "PriorityClass", name, value=17, description="test"),
        make("node.k8s.io/v1", "RuntimeClass", name, handler="runc"),
        make("networking.k8s.io/v1", "IngressClass", name, spec={"controller": "test.example/x"}),
        make(
            "storage.k8s.io/v1",
            "StorageClass",
            name,
            provisioner="test.example/none",
            parameters={"csi.storage.k8s.io/provisioner-secret-namespace": namespace},
        ),
        make("storage.k8s.io/v1", "CSIDriver", f"{name}.example", spec={"attachRequired": False}),
        make(
            "storage.k8s.io/v1",
            "VolumeAttributesClass",
            name,
            driverName="test.example",
            parameters={"iops": "7"},
        ),
        make("resource.k8s.io/v1", "DeviceClass", f"{name}.example", spec={}),
        make(
            "flowcontrol.apiserver.k8s.io/v1",
            "PriorityLevelConfiguration",
            name,
            spec={
                "type": "Limited",
                "limited": {"nominalConcurrencyShares": 1, "limitResponse": {"type": "Reject"}},
            },
        ),
        make(
            "flowcontrol.apiserver.k8s.io/v1",
            "FlowSchema",
            name,
            spec={
                "priorityLevelConfiguration": {"name": name},
                "matchingPrecedence": 9000,
                "rules": [
                    {
                        "subjects": [
                            {
                                "kind": "ServiceAccount",
                                "serviceAccount": {"name": "app", "namespace": namespace},
                            }
                        ],
                        "resourceRules": [
                            {
                                "apiGroups": ["none.example"],
                                "resources": ["nothing"],
                                "verbs": ["get"],
                                "namespaces": ["*"],
                            }
                        ],
                    }
                ],
            },
        ),
        make(
            f"{rbac}/v1",
            "ClusterRole",
            name,
            rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
        ),
        make(
            f"{rbac}/v1",
            "ClusterRoleBinding",
            name,
            roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": name},
            subjects=[
                account,
                {
                    "kind": "User",
                    "apiGroup": rbac,
                    "name": f"system:serviceaccount:{namespace}:app",
                },
                {"kind": "Group", "apiGroup": rbac, "name": f"system:serviceaccounts:{namespace}"},
            ],
        ),
        make(
            "v1",
            "PersistentVolume",
            name,
            spec={
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": f"{name}-manual",
                "persistentVolumeReclaimPolicy": "Retain",
                "nfs": {"server": "nfs.example", "path": "/"},
            },
        ),
        make(
            admission,
            "ValidatingAdmissionPolicy",
            name,
            spec={
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "namespaceSelector": selector,
                    "resourceRules": [{k: v for k, v in rule.items() if k != "scope"}],
                },
                "validations": [{"expression": "true"}],
            },
        ),
        make(
            admission,
            "ValidatingAdmissionPolicyBinding",
            name,
            spec={"policyName": name, "validationActions": ["Deny"]},
        ),
        make(admission, "ValidatingWebhookConfiguration", name, webhooks=[webhook]),
        make(admission, "MutatingWebhookConfiguration", name, webhooks=[webhook]),
    ]


def _namespaced(prefix: str, namespace: str, *, other: str, maps: int) -> Iterator[Object]:
    rbac = "rbac.authorization.k8s.io"
    yield make("v1", "ServiceAccount", "app", namespace, imagePullSecrets=[{"name": "pull"}])
    yield make(
        "v1",
        "LimitRange",
        "limits",
        namespace,
        spec={"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "64Gi"}}]},
    )
    yield make(
        "v1", "ResourceQuota", "quota", namespace, spec={"hard": {"count/configmaps": "5000"}}
    )
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
    yield make(f"{rbac}/v1", "Role", "reader", namespace, rules=rules)
    yield make(
        f"{rbac}/v1",
        "RoleBinding",
        "reader",
        namespace,
        roleRef={"apiGroup": rbac, "kind": "Role", "name": "reader"},
        subjects=[
            {"kind": "ServiceAccount", "name": "app", "namespace": namespace},
            {"kind": "ServiceAccount", "name": "app", "namespace": other},
        ],
    )
    for number in range(maps):
        yield make(
            "v1",
            "ConfigMap",
            f"map-{number:03d}",
            namespace,
            data={"n": str(number), "text": "größe\n\u2028"},
        )
    for number in range(30):
        value = base64.b64encode(f"hidden-{number}".encode()).decode()
        yield make(
            "v1", "Secret", f"secret-{number:02d}", namespace, type="Opaque", data={"v": value}
        )
    yield make(
        "v1",
        "Service",
        "web",
        namespace,
        spec={"selector": {"app": "web"}, "ports": [{"port": 80}]},
    )
    yield make(
        "v1", "Service", "headless", namespace, spec={"clusterIP": "None", "ports": [{"port": 80}]}
    )
    yield make(
        "v1",
        "Service",
        "outside",
        namespace,
        spec={
            "type": "NodePort",
            "selector": {"app": "web"},
            "ports": [{"port": 443, "name": "s"}],
        },
    )
    slice_ = make(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        "headless-by-hand",
        namespace,
        addressType="IPv4",
        endpoints=[{"addresses": ["192.0.2.7"]}],
        ports=[{"port": 80, "protocol": "TCP", "name": ""}],
    )
    slice_["metadata"]["labels"]["kubernetes.io/service-name"] = "headless"
    yield slice_
    yield from _workloads(namespace)
    yield make(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "web",
        namespace,
        spec={
            "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "absent"},
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 50},
                    },
                }
            ],
        },
    )
    yield make(
        "networking.k8s.io/v1",
        "Ingress",
        "web",
        namespace,
        spec={
            "ingressClassName": prefix,
            "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
        },
    )
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": other}}}
    yield make(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "web",
        namespace,
        spec={"podSelector": {}, "ingress": [{"from": [peer]}], "policyTypes": ["Ingress"]},
    )
    yield make(
        "policy/v1",
        "PodDisruptionBudget",
        "web",
        namespace,
        spec={"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    )
    if namespace.endswith("-a"):
        yield make(
            "v1",
            "PersistentVolumeClaim",
            "data",
            namespace,
            spec={
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": f"{prefix}-manual",
                "resources": {"requests": {"storage": "1Gi"}},
            },
        )
    device = {"requests": [{"name": "one", "exactly": {"deviceClassName": f"{prefix}.example"}}]}
    yield make("resource.k8s.io/v1", "ResourceClaim", "device", namespace, spec={"devices": device})
    yield make(
        "resource.k8s.io/v1",
        "ResourceClaimTemplate",
        "device",
        namespace,
        spec={"spec": {"devices": device}},
    )
    for number in range(20):
        spec = {"label": "größe\n\u2028", "ratio": 0.5 + number, "list": [1, {"a": []}]}
        yield make(f"{prefix}.example/v1", "Widget", f"widget-{number:02d}", namespace, spec=spec)


def _workloads(namespace: str) -> Iterator[Object]:
    def selected(app: str) -> Object:
        return {"selector": {"matchLabels": {"app": app}}, "template": pod_template(app)}

    yield make("apps/v1", "Deployment", "web", namespace, spec={"replicas": 2, **selected("web")})
    yield make(
        "apps/v1", "ReplicaSet", "alone", namespace, spec={"replicas": 1, **selected("alone")}
    )
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "none",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    yield make(
        "apps/v1",
        "StatefulSet",
        "db",
        namespace,
        spec={
            "replicas": 1,
            "serviceName": "headless",
            **selected("db"),
            "volumeClaimTemplates": [claim],
        },
    )
    yield make("apps/v1", "DaemonSet", "agent", namespace, spec=selected("agent"))
    yield make(
        "v1",
        "ReplicationController",
        "old",
        namespace,
        spec={"replicas": 1, "selector": {"app": "old"}, "template": pod_template("old")},
    )
    once = {"metadata": {}, "spec": {"containers": CONTAINERS, "restartPolicy": "Never"}}
    yield make("batch/v1", "Job", "once", namespace, spec={"template": once, "suspend": True})
    yield make(
        "batch/v1",
        "CronJob",
        "nightly",
        namespace,
        spec={"schedule": "0 3 1 1 *", "jobTemplate": {"spec": {"template": once}}},
    )
    yield make("v1", "PodTemplate", "template", namespace, template=pod_template("template"))
    yield make(
        "v1", "Pod", "bare", namespace, spec={"containers": CONTAINERS, "serviceAccountName": "app"}
    )
