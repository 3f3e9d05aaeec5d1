import json
import shutil
import subprocess
import tarfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from backup_engine.archive.encryption import Recipients, make_identity
from backup_engine.archive.errors import ArchiveUntrustedError, SigningError
from backup_engine.archive.protection import UNPROTECTED, Protection
from backup_engine.archive.reading import ArchiveReader
from backup_engine.archive.signing import Signer
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.trust import Trust
from backup_engine.archive.verifying import Verification, verify_archive

WriteArchive = Callable[..., Awaitable[str]]
NOON_MS = 1_795_435_200_000
NOON = datetime.fromtimestamp(NOON_MS / 1000, tz=UTC)
DAY = timedelta(days=1)


@pytest.fixture
async def signed(
    store: ArchiveStore, write_archive: WriteArchive, archives: Path, signer: Signer
) -> Path:
    """The small archive, signed, as a file."""
    return archives / await write_archive(store, Protection(signer=signer))


async def verdict_on(content: bytes, archive: Path, trust: Trust) -> Verification:
    store = ArchiveStore.open("memory:///")
    async with store.writer(archive.name) as place:
        await place.write(content)
    return await verify_archive(store, archive.name, trust=trust)


async def write_elsewhere(write_archive: WriteArchive, protection: Protection) -> bytes:
    """Write the small archive to another place and return its bytes."""
    store = ArchiveStore.open("memory:///")
    name = await write_archive(store, protection)
    size = await store.find_size(name)
    assert size is not None
    return await store.reader(name).read(0, size)


async def reason_for(
    write_archive: WriteArchive, archives: Path, signer: Signer, trust: Trust
) -> str:
    content = await write_elsewhere(write_archive, Protection(signer=signer))
    verdict = await verdict_on(content, archives / "backup.x.y_1.1_1_2026.config.0.tar", trust)
    assert verdict.is_valid is (verdict.reason == "Verified")
    return verdict.reason


async def test_a_signed_archive_is_trusted_by_the_truststore_of_its_maker(
    signed: Path, store: ArchiveStore, signing: SigningDirectory
) -> None:
    trust = signing.load_trust(is_signature_required=True)

    assert await verify_archive(store, signed.name, trust=trust) == Verification(
        is_valid=True,
        reason="Verified",
        message="9 objects of 3 kinds in 3 parts, signature trusted",
    )
    reader = await ArchiveReader.open(store.reader(signed.name), trust=trust)
    assert reader.manifest.totals.objects == 9


async def test_without_a_truststore_a_signature_is_not_judged_and_that_is_said(
    signed: Path, store: ArchiveStore
) -> None:
    verdict = await verify_archive(store, signed.name)

    assert verdict.is_valid
    assert verdict.message.endswith("signature not judged")


async def test_the_same_input_signed_by_the_same_key_gives_the_same_bytes(
    write_archive: WriteArchive, signer: Signer
) -> None:
    protection = Protection(signer=signer)

    assert await write_elsewhere(write_archive, protection) == (
        await write_elsewhere(write_archive, protection)
    )


async def test_a_bit_flipped_anywhere_in_a_signed_archive_is_found(
    signed: Path, signing: SigningDirectory
) -> None:
    content = content_of(signed)
    trust = signing.load_trust()
    missed = []
    for place in range(0, len(content), 17):
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place % 8)
        if (await verdict_on(bytes(flipped), signed, trust)).is_valid:
            missed.append(place)

    assert missed == []


@pytest.mark.parametrize("is_required", [True, False])
async def test_an_unsigned_archive_is_refused_only_where_a_signature_is_required(
    archive: Path, store: ArchiveStore, signing: SigningDirectory, is_required: bool
) -> None:
    trust = signing.load_trust(is_signature_required=is_required)

    verdict = await verify_archive(store, archive.name, trust=trust)

    assert verdict.is_valid is not is_required
    assert verdict.reason == ("SignatureMissing" if is_required else "Verified")


async def test_a_forged_archive_with_right_digests_and_no_signature_is_refused(
    signed: Path, write_archive: WriteArchive, store: ArchiveStore, signing: SigningDirectory
) -> None:
    forged = await write_elsewhere(write_archive, UNPROTECTED)  # whole, and by nobody
    trust = signing.load_trust(is_signature_required=True)

    assert (await verdict_on(forged, signed, Trust(()))).is_valid
    assert (await verdict_on(forged, signed, trust)).reason == "SignatureMissing"
    replace_content(signed, forged)
    with pytest.raises(ArchiveUntrustedError):
        await ArchiveReader.open(store.reader(signed.name), trust=trust)


class AnotherOnesSignature(Signer):
    """Signs other bytes than it is asked to, like a signature copied from another archive."""

    def sign(self, content: bytes) -> bytes:
        return super().sign(content + b" ")


async def test_a_signature_of_another_archive_does_not_fit(
    write_archive: WriteArchive, archives: Path, signer: Signer, signing: SigningDirectory
) -> None:
    swapped = AnotherOnesSignature(signer.key, signer.chain)

    reason = await reason_for(write_archive, archives, swapped, signing.load_trust())

    assert reason == "SignatureMismatch"


async def test_a_signer_of_an_unknown_ca_is_not_trusted(
    signed: Path, store: ArchiveStore, tmp_path: Path
) -> None:
    stranger = SigningDirectory(tmp_path / "stranger")
    stranger.ensure_signer(NOON)

    for trust in (stranger.load_trust(), Trust(())):
        verdict = await verify_archive(store, signed.name, trust=trust)
        assert (verdict.is_valid, verdict.reason) == (False, "SignerUnknown")


async def test_a_ca_of_the_same_name_is_not_the_same_ca(
    write_archive: WriteArchive, archives: Path, tmp_path: Path, signing: SigningDirectory
) -> None:
    impostor = SigningDirectory(tmp_path / "impostor").ensure_signer(NOON)
    signing.ensure_signer(NOON)
    assert impostor.chain[1].subject == signing.load_trust().authorities[0].subject

    reason = await reason_for(write_archive, archives, impostor, signing.load_trust())

    assert reason == "SignerUnknown"


@pytest.mark.parametrize(
    ("begin", "end", "reason"),
    [
        (NOON - 2 * DAY, NOON + DAY, "Verified"),
        (NOON - 2 * DAY, NOON - DAY, "SignerExpired"),
        (NOON + DAY, NOON + 2 * DAY, "SignerNotYetValid"),
    ],
)
async def test_certificates_are_judged_at_the_time_of_signing(
    write_archive: WriteArchive,
    archives: Path,
    signing: SigningDirectory,
    begin: datetime,
    end: datetime,
    reason: str,
) -> None:
    class CarelessSigner(Signer):
        def choose_time_ms(self, time_initiated_ms: int) -> int:
            return time_initiated_ms

    made = issue(signing, begin=begin, end=end)
    careless = CarelessSigner(made.key, made.chain)

    assert await reason_for(write_archive, archives, careless, signing.load_trust()) == reason


async def test_an_old_archive_stays_trusted_after_its_certificates_have_ended(
    signed: Path, store: ArchiveStore, signing: SigningDirectory
) -> None:
    signing.ensure_signer(NOON + 3000 * DAY)

    verdict = await verify_archive(store, signed.name, trust=signing.load_trust())

    assert verdict.is_valid


async def test_an_expired_signer_signs_nothing_more(
    write_archive: WriteArchive, store: ArchiveStore, signing: SigningDirectory
) -> None:
    old = issue(signing, begin=NOON - 2 * DAY, end=NOON - DAY)

    with pytest.raises(SigningError) as caught:
        await write_archive(store, Protection(signer=old))

    assert caught.value.reason == "SignerExpired"
    assert await store.list_names() == []


@pytest.mark.parametrize(
    "wrong", [{"usage": ExtendedKeyUsageOID.SERVER_AUTH}, {"is_ca": True}, {"is_signing": False}]
)
async def test_a_certificate_that_is_not_for_signing_does_not_count(
    write_archive: WriteArchive,
    archives: Path,
    signing: SigningDirectory,
    wrong: dict[str, bool],
) -> None:
    unfit = issue(signing, **wrong)  # type: ignore[arg-type]

    reason = await reason_for(write_archive, archives, unfit, signing.load_trust())

    assert reason == "SignerUnfit"


async def test_a_signer_is_no_ca_even_in_the_truststore(
    write_archive: WriteArchive, archives: Path, signing: SigningDirectory
) -> None:
    signer = signing.ensure_signer(NOON)

    reason = await reason_for(write_archive, archives, signer, Trust(signer.chain[:1]))

    assert reason == "SignerUnknown"


@pytest.mark.parametrize(
    "change",
    [
        {"algorithm": "HS256"},
        {"signature": "not base64!"},
        {"certificates": []},
        {"certificates": ["no certificate"]},
    ],
)
async def test_a_signature_that_cannot_be_read_is_told_apart(
    write_archive: WriteArchive,
    archives: Path,
    signer: Signer,
    signing: SigningDirectory,
    change: dict[str, object],
) -> None:
    class GarblingSigner(Signer):
        def sign(self, content: bytes) -> bytes:
            return json.dumps(json.loads(super().sign(content)) | change).encode()

    garbling = GarblingSigner(signer.key, signer.chain)

    reason = await reason_for(write_archive, archives, garbling, signing.load_trust())

    assert reason == "SignatureUnreadable"


async def test_the_signature_of_an_encrypted_archive_is_judged_without_a_key(
    write_archive: WriteArchive, signed: Path, signer: Signer, signing: SigningDirectory
) -> None:
    recipients = Recipients([make_identity(NOON).recipient])
    content = await write_elsewhere(write_archive, Protection(recipients, signer))
    trust = signing.load_trust(is_signature_required=True)

    verdict = await verdict_on(content, signed, trust)
    forged = await write_elsewhere(write_archive, Protection(recipients))

    assert (verdict.is_valid, verdict.reason) == (True, "StoredBytesVerified")
    assert verdict.message.endswith("signature trusted")
    assert (await verdict_on(forged, signed, trust)).reason == "SignatureMissing"


def test_the_documented_commands_verify_a_signature(
    signed: Path, signing: SigningDirectory, tmp_path: Path
) -> None:
    page = Path(__file__).parents[2] / "docs" / "archive-format.md"
    commands = page.read_text(encoding="utf-8").partition("```shell\njq --raw-output .signature")[2]
    commands = "jq --raw-output .signature" + commands.partition("```")[0]
    place = tmp_path / "unpacked"
    place.mkdir()
    with tarfile.open(signed) as tar:
        tar.extractall(place, filter="data")
    (certificate,) = signing.truststore.glob("*.crt")
    shutil.copy(certificate, place / "truststore.crt")

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    done = check()
    assert (done.returncode, done.stderr) == (0, "")
    assert "Signature Verified Successfully" in done.stdout
    table = place / "members.json"
    table.write_bytes(table.read_bytes().replace(b"sizeBytes", b"sizeBites", 1))
    assert check().returncode != 0


def issue(
    signing: SigningDirectory,
    *,
    begin: datetime = NOON - DAY,
    end: datetime = NOON + DAY,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
    is_ca: bool = False,
    is_signing: bool = True,
) -> Signer:
    """Let the CA of ``signing``, valid around noon, issue a certificate of any kind."""
    if not signing.ca.exists():
        signing.ensure_signer(NOON - 30 * DAY)
    pem = signing.ca.read_bytes()
    ca_key = load_pem_private_key(pem, password=None)
    authority = x509.load_pem_x509_certificate(pem)
    assert isinstance(ca_key, Ed25519PrivateKey)
    key = Ed25519PrivateKey.generate()
    flags = dict.fromkeys(
        [
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ],
        False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issued")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=is_signing, key_cert_sign=is_ca, **flags),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        .sign(ca_key, algorithm=None)
    )
    return Signer(key, (certificate, authority))


def content_of(archive: Path) -> bytes:
    return archive.read_bytes()


def replace_content(archive: Path, content: bytes) -> None:
    archive.write_bytes(content)
