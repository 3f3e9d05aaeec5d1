"""Keys and certificates: one authority, EC P-256, and an RSA key for ServiceAccount tokens."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from backup_sandbox.layout import Layout
from backup_sandbox.node.addresses import Addresses
from backup_sandbox.node.configuration import NODE_NAME
from backup_sandbox.node.volumes import USER as PROVISIONER_USER

LIFETIME = timedelta(days=3650)
CLOCK_SKEW = timedelta(hours=1)

AUTHORITY = "ca"
APISERVER = "apiserver"
ETCD = "etcd"
ETCD_CLIENT = "etcd-client"
ADMIN = "admin"
CONTROLLERS = "controller-manager"
TOKENS = "service-accounts"
KUBELET_CLIENT = "apiserver-kubelet"  # the API server's, as a client of the kubelet: logs, exec
KUBELET_SERVER = "kubelet-server"
KUBELET = "kubelet"
SCHEDULER = "scheduler"
PROXY = "proxy"
DNS = "dns"
PROVISIONER = "provisioner"

SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
LOOPBACK = IPv4Address("127.0.0.1")
SERVICE_NETWORK_FIRST = IPv4Address("10.96.0.1")  # the ClusterIP of Service kubernetes
API_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """What one certificate says; for Kubernetes the name is the user, organization its group."""

    name: str
    organization: str | None = None
    usages: tuple[x509.ObjectIdentifier, ...] = (CLIENT,)
    hosts: tuple[str, ...] = ()
    addresses: tuple[IPv4Address, ...] = ()


LEAVES = {
    APISERVER: Leaf(
        "kube-apiserver",
        usages=(SERVER,),
        hosts=API_NAMES,
        addresses=(LOOPBACK, SERVICE_NETWORK_FIRST),
    ),
    # etcd calls itself, as a peer and as a client of its own gateway: hence both usages.
    ETCD: Leaf("etcd", usages=(SERVER, CLIENT), hosts=("localhost",), addresses=(LOOPBACK,)),
    ETCD_CLIENT: Leaf("kube-apiserver-etcd-client"),
    ADMIN: Leaf("backup-sandbox-admin", organization="system:masters"),
    CONTROLLERS: Leaf("system:kube-controller-manager"),
}


def leaves_with_node(addresses: Addresses) -> dict[str, Leaf]:
    """Return the certificates of a cluster that has a node with these addresses."""
    server = LEAVES[APISERVER]
    known = (*server.addresses, addresses.host, addresses.api_service)
    node = f"system:node:{NODE_NAME}"  # with its group the name that the Node authorizer knows
    nodes = "system:nodes"
    return {
        **LEAVES,
        APISERVER: replace(server, addresses=known),
        KUBELET_CLIENT: Leaf("kube-apiserver-kubelet"),
        KUBELET_SERVER: Leaf(
            node, nodes, usages=(SERVER,), hosts=(NODE_NAME,), addresses=(addresses.node,)
        ),
        KUBELET: Leaf(node, nodes),
        SCHEDULER: Leaf("system:kube-scheduler"),
        PROXY: Leaf("system:kube-proxy"),
        DNS: Leaf("system:coredns"),
        PROVISIONER: Leaf(PROVISIONER_USER),
    }


def build_credentials(now: datetime, leaves: Mapping[str, Leaf] | None = None) -> dict[str, bytes]:
    """Build all PEM files of a cluster, by file name; ``now`` is the time they start to count."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _sign_authority(authority_key, now)
    files = {f"{AUTHORITY}.crt": _certificate_pem(authority)}
    for name, leaf in (LEAVES if leaves is None else leaves).items():
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _sign_leaf(leaf, key, authority, authority_key, now)
        files[f"{name}.crt"] = _certificate_pem(certificate)
        files[f"{name}.key"] = _key_pem(key)
    tokens = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    files[f"{TOKENS}.key"] = _key_pem(tokens)
    files[f"{TOKENS}.pub"] = tokens.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return files


def ensure_credentials(
    layout: Layout, now: datetime, leaves: Mapping[str, Leaf] | None = None
) -> None:
    """Write all PEM files, unless they are there: tokens of earlier runs must stay good."""
    if layout.certificates.is_dir():
        return
    unfinished = layout.certificates.with_name(f".certificates.{os.getpid()}")
    unfinished.mkdir(mode=0o700)
    for name, content in build_credentials(now, leaves).items():
        with open(unfinished / name, "xb", opener=_open_private) as output:
            output.write(content)
    unfinished.rename(layout.certificates)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _sign_authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = _subject("backup-sandbox", None)
    return (
        _begin(name, name, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(is_authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _sign_leaf(
    leaf: Leaf,
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = (
        _begin(_subject(leaf.name, leaf.organization), authority.subject, key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(leaf.usages), critical=False)
        .add_extension(signer, critical=False)
    )
    names: Sequence[x509.GeneralName] = [
        *(x509.DNSName(host) for host in leaf.hosts),
        *(x509.IPAddress(address) for address in leaf.addresses),
    ]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _subject(name: str, organization: str | None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if organization is not None:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
