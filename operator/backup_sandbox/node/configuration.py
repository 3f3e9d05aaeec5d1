"""The configuration files of a node's components. Pure: paths and addresses in, text out."""

import json
from pathlib import Path
from typing import Any

import yaml

from backup_sandbox.node.addresses import Addresses
from backup_sandbox.node.places import Places
from backup_sandbox.versions import PAUSE

NODE_NAME = "sandbox"
DOMAIN = "cluster.local"
HOST_NAME = "host.sandbox.test"  # servers beside the sandbox, as pods call them
PAUSE_IMAGE = f"localhost/pause:{PAUSE}"
RUNTIME_SOCKET = Path("/run/containerd/containerd.sock")  # short, and private to the namespaces
DNS_PORT = 5353


def build_containerd(places: Places, cni: Path, snapshotter: str) -> str:
    """Build containerd's own file (version 2, which 1.6 to 2.x read)."""
    return f"""\
version = 2
root = "{places.runtime}"
state = "{RUNTIME_SOCKET.parent}"
oom_score = 0

[grpc]
address = "{RUNTIME_SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
path = "{places.plugins}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
# Root in a container may not lower the score, and every pod would fail with it.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni}"
conf_dir = "{places.cni}"

[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "runc"
snapshotter = "{snapshotter}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def build_cni(places: Places, addresses: Addresses) -> str:
    """Build the list of CNI plugins: each pod has a link of its own, and everything is routed.

    A bridge would need br_netfilter, or a pod that calls a Service of its own node hears nothing.
    """
    address_management = {
        "type": "host-local",
        "dataDir": str(places.addresses),
        "ranges": [[{"subnet": str(addresses.pods)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins: list[dict[str, Any]] = [
        {"type": "ptp", "ipMasq": False, "ipam": address_management},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return _json({"cniVersion": "0.4.0", "name": "sandbox", "plugins": plugins})


def build_kubelet(
    places: Places, addresses: Addresses, authority: Path, certificate: Path, key: Path
) -> str:
    """Build the kubelet's configuration."""
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": str(addresses.node),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(authority)},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(certificate),
            "tlsPrivateKeyFile": str(key),
            "containerRuntimeEndpoint": f"unix://{RUNTIME_SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{addresses.cgroup}",
            "failCgroupV1": False,
            "clusterDNS": [str(addresses.dns)],
            "clusterDomain": DOMAIN,
            "resolvConf": str(places.resolver),
            "podLogsDir": str(places.pod_logs),
            "volumePluginDir": str(places.volume_plugins),
            "staticPodPath": "",
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "healthzBindAddress": "127.0.0.1",
            # Imported images come from no registry: what is collected could not be had again.
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "evictionHard": {
                "memory.available": "50Mi",
                "nodefs.available": "1%",
                "imagefs.available": "1%",
            },
            "shutdownGracePeriod": "0s",
        }
    )


def build_proxy(addresses: Addresses, kubeconfig: Path) -> str:
    """Build kube-proxy's configuration; it listens on the node's loopback only."""
    return _json(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            "clusterCIDR": str(addresses.pods),
            "hostnameOverride": NODE_NAME,
            "nodePortAddresses": [str(addresses.link)],
            "bindAddress": "127.0.0.1",
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "oomScoreAdj": 0,
            # Leaves the host's settings of connection tracking alone.
            "conntrack": {
                "maxPerCore": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }
    )


def build_dns(addresses: Addresses, kubeconfig: Path) -> str:
    """Build the Corefile: the cluster's names, the host's one name, and no other."""
    return f"""\
.:{DNS_PORT} {{
    bind {addresses.node}
    errors
    ready 127.0.0.1:8181
    hosts {{
        {addresses.host} {HOST_NAME}
        fallthrough
    }}
    kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        ttl 5
    }}
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
"""


def build_resources(addresses: Addresses, provisioner: str, user: str, storage_class: str) -> str:
    """Build what the cluster is told of its node: DNS, the rights of the components, storage."""
    return yaml.safe_dump_all(
        [
            *_dns_service(addresses),
            _role(
                "backup-sandbox:dns",
                [
                    _rule("", ["services", "pods", "namespaces"]),
                    _rule("discovery.k8s.io", ["endpointslices"]),
                ],
            ),
            _binding("backup-sandbox:dns", "backup-sandbox:dns", "system:coredns"),
            _binding(
                "backup-sandbox:kubelet-api", "system:kubelet-api-admin", "kube-apiserver-kubelet"
            ),
            _binding("backup-sandbox:provisioner", "system:persistent-volume-provisioner", user),
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {
                    "name": storage_class,
                    "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
                },
                "provisioner": provisioner,
                "volumeBindingMode": "WaitForFirstConsumer",
                "reclaimPolicy": "Delete",
            },
        ],
        sort_keys=False,
    )


def _dns_service(addresses: Addresses) -> list[dict[str, Any]]:
    ports = [("dns", "UDP"), ("dns-tcp", "TCP")]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system"},
            "spec": {  # no selector: the server is no pod
                "clusterIP": str(addresses.dns),
                "ports": [
                    {"name": name, "protocol": protocol, "port": 53, "targetPort": DNS_PORT}
                    for name, protocol in ports
                ],
            },
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kube-dns-node",
                "namespace": "kube-system",
                "labels": {"kubernetes.io/service-name": "kube-dns"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [str(addresses.node)], "conditions": {"ready": True}}],
            "ports": [
                {"name": name, "protocol": protocol, "port": DNS_PORT} for name, protocol in ports
            ],
        },
    ]


def _role(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def _rule(group: str, resources: list[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]}


def _binding(name: str, role: str, user: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1)
