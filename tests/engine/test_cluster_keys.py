"""Certificates and signing keys in Secrets: several engines, one set of keys."""

import asyncio
import base64
import datetime as dt
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509

from backup_engine.archive.errors import SigningError
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.cluster import ClusterConnection
from backup_engine.cluster_keys.certificate import SharedCertificate, renew
from backup_engine.cluster_keys.secrets import (
    OPAQUE,
    ClusterSecrets,
    SecretChangedError,
    SecretError,
    SecretRef,
    parse_secret_ref,
)
from backup_engine.cluster_keys.signing import SharedSigning
from backup_engine.tls.certificates import names_of
from backup_engine.tls.errors import TlsError
from backup_engine.tls.serving import build_server_context
from fixtures.cluster import Cluster, Kubectl
from fixtures.engine import EngineProcess

NOW = dt.datetime.now(dt.UTC)
NAMES = ("localhost", "engine.backup.svc")
YEARS = dt.timedelta(days=365)


def first_of(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificates(pem)[0]


def test_what_is_good_is_left_alone() -> None:
    made = renew({}, NAMES, NOW)

    assert made is not None
    assert renew(made, NAMES, NOW) is None
    assert renew(made, tuple(reversed(NAMES)), NOW) is None


def test_a_new_name_or_an_end_in_sight_renews_under_the_same_ca() -> None:
    made = renew({}, NAMES, NOW) or {}

    for names, now in (((*NAMES, "more"), NOW), (NAMES, NOW + YEARS)):
        renewed = renew(made, names, now)
        assert renewed is not None
        assert renewed["ca.crt"] == made["ca.crt"]
        assert renewed["tls.crt"] != made["tls.crt"]
        assert names_of(first_of(renewed["tls.crt"])) == set(names)


def test_a_new_ca_stands_before_the_one_that_clients_still_trust() -> None:
    made = renew({}, NAMES, NOW) or {}

    renewed = renew(made, NAMES, NOW + 9 * YEARS) or {}
    bundle = x509.load_pem_x509_certificates(renewed["ca.crt"])

    assert len(bundle) == 2
    assert bundle[1] == first_of(made["ca.crt"])
    first_of(renewed["tls.crt"]).verify_directly_issued_by(bundle[0])
    assert (
        len(
            x509.load_pem_x509_certificates(
                (renew(renewed, NAMES, NOW + 30 * YEARS) or {})["ca.crt"]
            )
        )
        == 1
    )


def test_a_certificate_of_somebody_else_is_only_read() -> None:
    made = renew({}, NAMES, NOW) or {}
    foreign = {name: made[name] for name in ("tls.crt", "tls.key")}

    assert renew(foreign, ("other",), NOW + 20 * YEARS) is None
    with pytest.raises(TlsError, match=r"expected the keys tls\.crt and tls\.key"):
        renew({"tls.crt": b"x"}, NAMES, NOW)


@pytest.mark.parametrize("text", ["", "/name", "ns/", "a/b/c", "Upper", "sp ace"])
def test_a_reference_that_names_no_secret_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected NAME or NAMESPACE/NAME"):
        parse_secret_ref(text)


def test_a_reference_without_namespace_means_the_pods_own(tmp_path: Path) -> None:
    own = tmp_path / "namespace"
    own.write_text("backup-system\n")

    assert parse_secret_ref("keys").resolve(own) == SecretRef("keys", "backup-system")
    with pytest.raises(SecretError, match="as NAMESPACE/keys"):
        parse_secret_ref("keys").resolve(tmp_path / "absent")


def test_a_directory_holds_what_was_dumped_and_nothing_else(tmp_path: Path) -> None:
    one, two = SigningDirectory(tmp_path / "1"), SigningDirectory(tmp_path / "2")
    signer = one.ensure_signer(NOW)
    two.ensure_signer(NOW)

    two.load(one.dump())

    assert two.dump() == one.dump()
    assert two.ensure_signer(NOW).chain == signer.chain
    with pytest.raises(SigningError, match=r"found \.\./ca\.crt"):
        two.load({"../ca.crt": b""})


@pytest.fixture
async def secrets(sandbox: Cluster) -> AsyncIterator[ClusterSecrets]:
    async with ClusterConnection.from_kubeconfig(sandbox.kubeconfig) as cluster:
        yield ClusterSecrets(cluster)


def shared(secrets: ClusterSecrets, namespace: str, directory: Path) -> SharedCertificate:
    ref = SecretRef("engine-tls", namespace)
    return SharedCertificate(secrets, ref, directory, NAMES, lambda: NOW)


@pytest.mark.cluster
async def test_engines_that_start_together_serve_one_certificate(
    secrets: ClusterSecrets, namespace: str, tmp_path: Path, kubectl: Kubectl
) -> None:
    engines = [shared(secrets, namespace, tmp_path / str(number)) for number in range(5)]

    assert all(await asyncio.gather(*(engine.ensure() for engine in engines)))
    assert not any(await asyncio.gather(*(engine.ensure() for engine in engines)))

    assert len({engine.files.certificate.read_bytes() for engine in engines}) == 1
    build_server_context(engines[0].files)
    stored = json.loads(kubectl("-n", namespace, "get", "secret", "engine-tls", "-o=json").stdout)
    public = json.loads(
        kubectl("-n", namespace, "get", "secret", "engine-tls-ca", "-o=json").stdout
    )
    assert stored["type"] == "kubernetes.io/tls"
    assert public["data"] == {"ca.crt": stored["data"]["ca.crt"]}


@pytest.mark.cluster
async def test_engines_that_start_together_trust_one_another(
    secrets: ClusterSecrets, namespace: str, tmp_path: Path
) -> None:
    ref = SecretRef("engine-signing", namespace)
    engines = [
        SharedSigning(secrets, ref, SigningDirectory(tmp_path / str(number)), lambda: NOW)
        for number in range(5)
    ]

    await asyncio.gather(*(engine.ensure() for engine in engines))

    contents = [engine.directory.dump() for engine in engines]
    assert all(content == contents[0] for content in contents)
    stored = await secrets.find(ref)
    assert stored is not None
    assert stored.data == contents[0]


@pytest.mark.cluster
async def test_a_ca_removed_from_the_secret_is_trusted_no_more(
    secrets: ClusterSecrets, namespace: str, tmp_path: Path
) -> None:
    ref = SecretRef("engine-signing", namespace)
    engine = SharedSigning(secrets, ref, SigningDirectory(tmp_path / "1"), lambda: NOW)
    await engine.ensure()
    stored = await secrets.find(ref)
    assert stored is not None
    (stolen,) = (name for name in stored.data if name.endswith(".crt"))

    await secrets.replace(ref, stored, {})
    await engine.ensure()

    after = await secrets.find(ref)
    assert after is not None
    assert stolen not in after.data
    assert not (engine.directory.truststore / stolen).exists()
    with pytest.raises(SecretChangedError):
        await secrets.replace(ref, stored, {"x": b""})


@pytest.mark.cluster
async def test_a_secret_of_another_kind_is_told_by_name_and_left_alone(
    secrets: ClusterSecrets, namespace: str, tmp_path: Path
) -> None:
    ref = SecretRef("engine-tls", namespace)
    await secrets.create(ref, {"password": b"hunter2"}, OPAQUE)

    with pytest.raises(TlsError, match=f"Secret {namespace}/engine-tls: expected the keys") as told:
        await shared(secrets, namespace, tmp_path).ensure()

    assert "hunter2" not in str(told.value)
    stored = await secrets.find(ref)
    assert stored is not None
    assert stored.data == {"password": b"hunter2"}


@pytest.mark.cluster
@pytest.mark.process
def test_two_engines_share_certificate_and_keys(
    tmp_path: Path, sandbox: Cluster, namespace: str, kubectl: Kubectl
) -> None:
    options = (
        *("--tls-secret", f"{namespace}/engine-tls"),
        *("--signing-secret", f"{namespace}/engine-signing"),
    )
    engines = [
        EngineProcess(tmp_path / name, sandbox.kubeconfig, options) for name in ("one", "two")
    ]
    try:
        for engine in engines:
            engine.start()
        read = kubectl("-n", namespace, "get", "secret", "engine-tls-ca", "-o=jsonpath={.data.*}")
        ca = base64.b64decode(read.stdout).decode()
        for engine in engines:
            port = int(engine.url.rpartition(":")[2])
            assert ssl.get_server_certificate(("127.0.0.1", port))
            context = ssl.create_default_context(cadata=ca)
            asyncio.run(greet(port, context))
        truststores = [
            {path.name for path in (engine.data_dir / "signing" / "truststore").iterdir()}
            for engine in engines
        ]
        assert truststores[0] == truststores[1] != set()
        for engine in engines:
            assert engine.stop() == 0
    finally:
        for engine in engines:
            engine.kill()


async def greet(port: int, context: ssl.SSLContext) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.close()
    await writer.wait_closed()
