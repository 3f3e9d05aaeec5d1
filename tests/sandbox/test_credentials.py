"""Certificates, keys and kubeconfigs."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509.verification import PolicyBuilder, Store

from backup_sandbox.certificates import (
    ADMIN,
    APISERVER,
    AUTHORITY,
    CONTROLLERS,
    ETCD,
    ETCD_CLIENT,
    LEAVES,
    build_credentials,
    ensure_credentials,
)
from backup_sandbox.kubeconfig import build_kubeconfig
from backup_sandbox.layout import Layout

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FILES = build_credentials(NOON)


def certificate(name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(FILES[f"{name}.crt"])


def policy() -> PolicyBuilder:
    return PolicyBuilder().store(Store([certificate(AUTHORITY)])).time(NOON)


@pytest.mark.parametrize("host", ["localhost", "kubernetes.default.svc", "kubernetes"])
def test_the_api_server_is_known_by_its_names(host: str) -> None:
    verifier = policy().build_server_verifier(x509.DNSName(host))

    assert verifier.verify(certificate(APISERVER), [])


@pytest.mark.parametrize("name", [ADMIN, CONTROLLERS, ETCD_CLIENT, ETCD])
def test_clients_are_accepted_as_clients(name: str) -> None:
    # A subject alternative name is what this verifier asks of a client; Kubernetes does not.
    usages = certificate(name).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    assert x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH in usages
    certificate(name).verify_directly_issued_by(certificate(AUTHORITY))


def test_only_the_admin_is_a_master() -> None:
    masters = [
        name for name in LEAVES if "O=system:masters" in certificate(name).subject.rfc4514_string()
    ]

    assert masters == [ADMIN]
    assert certificate(CONTROLLERS).subject.rfc4514_string() == "CN=system:kube-controller-manager"


def test_the_admin_certificate_serves_no_server() -> None:
    usages = certificate(ADMIN).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    assert list(usages) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]


def test_certificates_count_from_now_even_on_a_clock_that_is_slow() -> None:
    for name in (AUTHORITY, *LEAVES):
        assert certificate(name).not_valid_before_utc < NOON
        assert certificate(name).not_valid_after_utc.year > NOON.year + 5


def test_keys_are_elliptic_and_tokens_are_signed_by_rsa() -> None:
    for name in LEAVES:
        key = load_pem_private_key(FILES[f"{name}.key"], password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert key.public_key() == certificate(name).public_key()
    tokens = load_pem_private_key(FILES["service-accounts.key"], password=None)
    assert isinstance(tokens, rsa.RSAPrivateKey)
    assert tokens.public_key() == load_pem_public_key(FILES["service-accounts.pub"])


def test_the_authority_key_is_never_stored() -> None:
    assert f"{AUTHORITY}.key" not in FILES


def test_credentials_are_private_and_survive_a_second_start(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    ensure_credentials(layout, NOON)
    before = {path.name: path.read_bytes() for path in layout.certificates.iterdir()}

    ensure_credentials(layout, datetime.now(UTC))

    assert {path.name: path.read_bytes() for path in layout.certificates.iterdir()} == before
    assert {path.stat().st_mode & 0o777 for path in layout.certificates.iterdir()} == {0o600}


def test_a_kubeconfig_needs_no_other_file() -> None:
    text = build_kubeconfig("https://127.0.0.1:6443", b"authority", b"certificate", b"key")

    document = yaml.safe_load(text)
    (cluster,), (user,), (context,) = (
        document["clusters"],
        document["users"],
        document["contexts"],
    )
    assert document["current-context"] == context["name"] == "backup-sandbox"
    assert context["context"] == {"cluster": cluster["name"], "user": user["name"]}
    assert cluster["cluster"]["server"] == "https://127.0.0.1:6443"
    embedded = {**cluster["cluster"], **user["user"]}
    assert base64.b64decode(embedded["certificate-authority-data"]) == b"authority"
    assert base64.b64decode(embedded["client-certificate-data"]) == b"certificate"
    assert base64.b64decode(embedded["client-key-data"]) == b"key"
