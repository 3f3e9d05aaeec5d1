"""The start-up probe (spec §9): who the server is, and which version to speak with it."""

from dataclasses import dataclass, replace

from backup_api.about import SystemAbout
from backup_api.client import BackupApiClient, ClientOptions
from backup_api.versions import choose_version


@dataclass(frozen=True, slots=True)
class Probe:
    """What a server told about itself; ``api_version`` None: none that is known here."""

    about: SystemAbout
    api_version: str | None


async def probe(client: BackupApiClient) -> Probe:
    """Ask for the product version, then choose the API version (spec §2.3).

    Raises BackupApiError: address, trust and credentials are tried by the first request.
    """
    about = await client.about()
    return Probe(about, choose_version(await client.list_versions()))


def options_from(options: ClientOptions, found: Probe) -> ClientOptions:
    """Build the options to go on with: the chosen version is sent from then on."""
    return replace(options, api_version=found.api_version)
