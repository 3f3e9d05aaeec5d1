"""Keys to sign with: made once, renewed in time, never shown, and the CAs that are trusted."""

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from backup_engine.archive.errors import SigningError
from backup_engine.archive.signing import Signer
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.archive.trust import load_trust

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def test_keys_are_made_on_first_use_for_the_terms_of_the_appliance(
    signing: SigningDirectory,
) -> None:
    signer, authority = signing.ensure_signer(NOON).chain

    assert signer.not_valid_after_utc - signer.not_valid_before_utc == 365 * DAY
    assert authority.not_valid_after_utc - authority.not_valid_before_utc == 730 * DAY
    assert signer.not_valid_before_utc < NOON
    assert [path.stat().st_mode & 0o777 for path in (signing.ca, signing.signer)] == [0o600] * 2
    assert signing.path.stat().st_mode & 0o777 == 0o700
    assert signing.load_trust().authorities == (authority,)


def test_many_first_users_at_once_agree_on_one_signer(signing: SigningDirectory) -> None:
    with ThreadPoolExecutor(8) as users:
        signers = list(users.map(signing.ensure_signer, [NOON] * 8))

    assert {signer.chain for signer in signers} == {signing.ensure_signer(NOON).chain}
    assert len(signing.load_trust().authorities) == 1


def test_a_signer_is_kept_until_thirty_days_before_its_end(signing: SigningDirectory) -> None:
    first = signing.ensure_signer(NOON)

    assert signing.ensure_signer(NOON + 334 * DAY).chain == first.chain
    renewed = signing.ensure_signer(NOON + 336 * DAY)
    assert renewed.chain[0] != first.chain[0]
    assert renewed.chain[1] == first.chain[1]


def test_a_ca_is_renewed_before_it_ends_and_stays_trusted(signing: SigningDirectory) -> None:
    seen = set()
    for day in range(0, 2000, 20):
        signer = signing.ensure_signer(NOON + day * DAY)
        assert signer.chain[0].not_valid_after_utc > NOON + (day + 29) * DAY
        assert signer.chain[0].not_valid_after_utc <= signer.chain[1].not_valid_after_utc
        seen.add(signer.chain[1])

    assert len(seen) > 2
    assert set(signing.load_trust().authorities) == seen


def test_a_ca_taken_out_of_the_truststore_stays_out(signing: SigningDirectory) -> None:
    signing.ensure_signer(NOON)
    for file in signing.truststore.iterdir():
        file.unlink()

    signing.ensure_signer(NOON + DAY)

    assert signing.load_trust().authorities == ()


@pytest.mark.parametrize("content", [b"", b"SECRET", b"-----BEGIN PRIVATE KEY-----\nSECRET\n"])
def test_a_key_that_cannot_be_read_is_neither_replaced_nor_shown(
    signing: SigningDirectory, content: bytes
) -> None:
    signing.ensure_signer(NOON)
    signing.signer.write_bytes(content)

    with pytest.raises(SigningError) as caught:
        signing.ensure_signer(NOON)

    assert caught.value.reason == "SigningKeyUnreadable"
    assert str(signing.signer) in caught.value.message
    assert "SECRET" not in caught.value.message
    assert signing.signer.read_bytes() == content


def test_a_certificate_without_its_key_is_refused(signing: SigningDirectory) -> None:
    signing.ensure_signer(NOON)
    other = Ed25519PrivateKey.generate()
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificates = signing.signer.read_bytes().partition(b"-----END PRIVATE KEY-----\n")[2]
    signing.signer.write_bytes(pem + certificates)

    with pytest.raises(SigningError):
        signing.ensure_signer(NOON)


def test_a_truststore_with_another_file_is_refused(signing: SigningDirectory) -> None:
    signing.ensure_signer(NOON)
    (signing.truststore / "odd.crt").write_text("no certificate")

    with pytest.raises(SigningError, match=r"odd\.crt"):
        load_trust(signing.truststore)


def test_a_signer_never_shows_its_key(signer: Signer) -> None:
    raw = base64.b64encode(signer.key.private_bytes_raw()).decode()

    assert raw not in repr(signer)
    assert "key" not in repr(signer).partition("chain")[0]
