"""The command line of each component. Pure: paths and ports in, arguments out."""

from pathlib import Path

from backup_sandbox import certificates
from backup_sandbox.layout import Layout
from backup_sandbox.node.addresses import Addresses
from backup_sandbox.ports import Ports

SERVICE_NETWORK = "10.96.0.0/16"
ISSUER = "https://kubernetes.default.svc.cluster.local"
DATABASE_LIMIT_BYTES = 8 << 30


def etcd_arguments(binary: Path, layout: Layout, ports: Ports) -> list[str]:
    """Build etcd's command line; only holders of our client certificate may connect."""
    client, peer = f"https://127.0.0.1:{ports.etcd}", f"https://127.0.0.1:{ports.etcd_peer}"
    authority = layout.certificate(certificates.AUTHORITY)
    certificate = layout.certificate(certificates.ETCD)
    key = layout.key(certificates.ETCD)
    return [
        str(binary),
        "--name=sandbox",
        f"--data-dir={layout.etcd}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=sandbox={peer}",
        "--client-cert-auth",
        f"--trusted-ca-file={authority}",
        f"--cert-file={certificate}",
        f"--key-file={key}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={authority}",
        f"--peer-cert-file={certificate}",
        f"--peer-key-file={key}",
        # A sandbox outlives the death of its processes, but not that of its machine.
        "--unsafe-no-fsync",
        f"--quota-backend-bytes={DATABASE_LIMIT_BYTES}",
        # A lone member has nobody to hear from: it need not wait a second to elect itself.
        "--heartbeat-interval=10",
        "--election-timeout=100",
        "--log-level=warn",
    ]


# Who asked for what, and with which result; no bodies, for they may hold secrets.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata"}],
}


def apiserver_arguments(
    binary: Path,
    layout: Layout,
    ports: Ports,
    *,
    audit: bool = False,
    addresses: Addresses | None = None,
) -> list[str]:
    """Build the kube-apiserver's command line, with the authorization of a real cluster."""
    audited = [f"--audit-policy-file={layout.audit_policy}", f"--audit-log-path={layout.audit_log}"]
    tokens = layout.key(certificates.TOKENS)
    return [
        str(binary),
        f"--etcd-servers=https://127.0.0.1:{ports.etcd}",
        f"--etcd-cafile={layout.certificate(certificates.AUTHORITY)}",
        f"--etcd-certfile={layout.certificate(certificates.ETCD_CLIENT)}",
        f"--etcd-keyfile={layout.key(certificates.ETCD_CLIENT)}",
        f"--bind-address={ports.address}",
        f"--secure-port={ports.apiserver}",
        f"--advertise-address={ports.address}",
        *(_without_node() if addresses is None else _with_node(layout, addresses)),
        f"--tls-cert-file={layout.certificate(certificates.APISERVER)}",
        f"--tls-private-key-file={layout.key(certificates.APISERVER)}",
        f"--client-ca-file={layout.certificate(certificates.AUTHORITY)}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-signing-key-file={tokens}",
        f"--service-account-key-file={tokens.with_suffix('.pub')}",
        "--allow-privileged=true",
        "--profiling=false",
        *(audited if audit else ()),
    ]


def _without_node() -> list[str]:
    # Nobody reaches the API through Service kubernetes, and 127.0.0.1 is no valid endpoint.
    return ["--endpoint-reconciler-type=none", f"--service-cluster-ip-range={SERVICE_NETWORK}"]


def _with_node(layout: Layout, addresses: Addresses) -> list[str]:
    return [
        f"--service-cluster-ip-range={addresses.services}",
        f"--kubelet-client-certificate={layout.certificate(certificates.KUBELET_CLIENT)}",
        f"--kubelet-client-key={layout.key(certificates.KUBELET_CLIENT)}",
        f"--kubelet-certificate-authority={layout.certificate(certificates.AUTHORITY)}",
        "--kubelet-preferred-address-types=InternalIP",
    ]


def controllers_arguments(binary: Path, layout: Layout, kubeconfig: Path) -> list[str]:
    """Build the kube-controller-manager's command line; it serves no port of its own."""
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        f"--service-account-private-key-file={layout.key(certificates.TOKENS)}",
        f"--root-ca-file={layout.certificate(certificates.AUTHORITY)}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
        # The default of 20 requests a second holds the start of the controllers back by seconds.
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
    ]
