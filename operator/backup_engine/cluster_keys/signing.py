"""The keys that sign archives in a Secret, so that every engine trusts what another one signed."""

import asyncio
import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from backup_engine.archive.errors import SigningError
from backup_engine.archive.signing_directory import RENEW_BEFORE, SigningDirectory
from backup_engine.cluster_keys.secrets import (
    OPAQUE,
    ClusterSecrets,
    SecretChangedError,
    SecretError,
    SecretRef,
)

logger = logging.getLogger(__name__)

LOOK_S: Final = 60.0
TRIES: Final = 10
# Ahead of what a single engine would do: a key renewed outside of the Secret would be lost with it.
RENEW_SHARED_BEFORE: Final = RENEW_BEFORE * 2


@dataclass(frozen=True, slots=True)
class SharedSigning:
    """A signing directory that mirrors a Secret; what the Secret lacks is not trusted."""

    secrets: ClusterSecrets
    ref: SecretRef
    directory: SigningDirectory
    clock: Callable[[], dt.datetime]

    async def ensure(self) -> None:
        """Have directory and Secret hold the same keys, made or renewed where needed.

        Keys that a directory already has are the first content of a Secret that does not exist.
        Raises SecretError, SigningError.
        """
        for _ in range(TRIES):
            stored = await self.secrets.find(self.ref)
            if stored is not None:
                await asyncio.to_thread(self.directory.load, stored.data)
            await asyncio.to_thread(self.directory.ensure_signer, self.clock(), RENEW_SHARED_BEFORE)
            content = await asyncio.to_thread(self.directory.dump)
            try:
                if stored is None:
                    await self.secrets.create(self.ref, content, OPAQUE)
                elif content != stored.data:
                    await self.secrets.replace(self.ref, stored, content)
            except SecretChangedError:
                continue  # ours are dropped for those of the engine that was faster
            return
        raise SecretError(
            f"Secret {self.ref}: others keep changing it; who writes it beside the engine?"
        )

    async def keep_fresh(self) -> None:
        """Mirror again and again, until cancelled."""
        is_well = True
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.ensure()
            except (SecretError, SigningError) as trouble:
                if is_well:  # once, not every minute
                    logger.error("%s; the keys in use stay", trouble)  # noqa: TRY400
                is_well = False
            else:
                is_well = True
