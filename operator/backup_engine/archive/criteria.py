"""Which criterion of validity each reason belongs to, as one table. Pure (spec §3.0).

docs/archive-format.md explains the reasons that lie in the archive itself. The last four of the
six criteria of the spec compare it with the engine that holds it.
"""

from typing import Final

from backup_api.extensions.verification import ValidityCriterion as Criterion

ROLE_DIFFERS: Final = "ClusterRoleDiffers"
PRODUCT_DIFFERS: Final = "ProductDiffers"
CLUSTER_DIFFERS: Final = "ClusterDiffers"
ADDRESS_CLASH: Final = "AddressClash"

CRITERIA: Final[dict[str, Criterion]] = {
    "ManifestIncomplete": Criterion.MANIFEST_INCOMPLETE,
    "ManifestMissing": Criterion.MANIFEST_UNREADABLE,
    "ManifestUnreadable": Criterion.MANIFEST_UNREADABLE,
    ROLE_DIFFERS: Criterion.CLUSTER_ROLE,
    PRODUCT_DIFFERS: Criterion.PRODUCT_NAME,
    CLUSTER_DIFFERS: Criterion.CLUSTER_NAME,
    ADDRESS_CLASH: Criterion.ADDRESS,
    "ArchiveMissing": Criterion.PRESENCE,
    "SnapshotMissing": Criterion.PRESENCE,
    "RepositoryMissing": Criterion.PRESENCE,
    "SnapshotDamaged": Criterion.CHECKSUM,
    "CodecUnknown": Criterion.FORMAT,
    "EncryptionUnknown": Criterion.FORMAT,
    "FormatUnknown": Criterion.FORMAT,
    "PartTooLarge": Criterion.FORMAT,
    "ChecksumMismatch": Criterion.CHECKSUM,
    "CountMismatch": Criterion.CHECKSUM,
    "DecryptionFailed": Criterion.CHECKSUM,
    "HeaderMismatch": Criterion.CHECKSUM,
    "IndexMismatch": Criterion.CHECKSUM,
    "IndexUnreadable": Criterion.CHECKSUM,
    "LayoutBroken": Criterion.CHECKSUM,
    "ManifestMismatch": Criterion.CHECKSUM,
    "PartUnreadable": Criterion.CHECKSUM,
    "SignatureMismatch": Criterion.SIGNATURE,
    "SignatureMissing": Criterion.SIGNATURE,
    "SignatureUnreadable": Criterion.SIGNATURE,
    "SignerExpired": Criterion.SIGNATURE,
    "SignerNotYetValid": Criterion.SIGNATURE,
    "SignerUnfit": Criterion.SIGNATURE,
    "SignerUnknown": Criterion.SIGNATURE,
    "IdentityMismatch": Criterion.KEY,
    "IdentityMissing": Criterion.KEY,
}


def find_criterion(reason: str | None) -> Criterion | None:
    """Return the criterion of ``reason``; None if the archive is valid or nothing is said of it."""
    return CRITERIA.get(reason) if reason is not None else None
