"""Credentials from a program, as kubeconfigs name one (client.authentication.k8s.io)."""

import asyncio
import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from backup_engine.cluster_access.access import (
    ClientCertificate,
    ClusterSettingsError,
    ClusterUnreachableError,
)

PLUGIN_TIMEOUT_S: Final = 30.0
AHEAD: Final = timedelta(minutes=1)  # before their end credentials are asked for again

_LONGEST_COMPLAINT: Final = 500


class PluginError(ClusterSettingsError):
    """The plugin gave nothing that can be used."""


class PluginSilentError(ClusterUnreachableError):
    """The plugin gave no answer in time."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a plugin gave; ``until`` None: good for as long as this process runs."""

    token: str | None
    certificate: ClientCertificate | None
    until: datetime | None

    def is_fresh(self, now: datetime) -> bool:
        """Tell whether they can still be used."""
        return self.until is None or now + AHEAD < self.until


class ExecPlugin:
    """The plugin that a user of a kubeconfig in ``directory`` has; it is asked when needed.

    A client certificate that it gives goes into ``tls``.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        cluster: Mapping[str, Any],
        directory: Path,
        tls: ssl.SSLContext | bool,
    ) -> None:
        command = str(settings["command"])
        if settings.get("interactiveMode") == "Always":
            raise PluginError(f"exec plugin {command!r} wants a terminal, and there is none")
        # as kubectl: what has a slash is a path beside the kubeconfig, else it is on PATH
        self._command = str(directory / command) if os.sep in command else command
        self._arguments = [str(argument) for argument in settings.get("args") or ()]
        self._api_version = str(settings["apiVersion"])
        self._environment = {one["name"]: one["value"] for one in settings.get("env") or ()}
        self._cluster = dict(cluster) if settings.get("provideClusterInfo") else None
        self._tls = tls
        self._credentials: Credentials | None = None

    async def read_token(self) -> str | None:
        """Give the Authorization header; None where the plugin gives a client certificate.

        Raises PluginError, PluginSilentError.
        """
        given = self._credentials
        if given is None or not given.is_fresh(datetime.now(UTC)):
            given = await self._ask()
            if given.certificate is not None and isinstance(self._tls, ssl.SSLContext):
                await asyncio.to_thread(given.certificate.load_into, self._tls)
            self._credentials = given
        return None if given.token is None else f"Bearer {given.token}"

    async def _ask(self) -> Credentials:
        spec: dict[str, Any] = {"interactive": False}
        if self._cluster is not None:
            spec["cluster"] = _tell_cluster(self._cluster)
        asked = {"apiVersion": self._api_version, "kind": "ExecCredential", "spec": spec}
        told = {"KUBERNETES_EXEC_INFO": json.dumps(asked)}
        try:
            plugin = await asyncio.create_subprocess_exec(
                self._command,
                *self._arguments,
                env={**os.environ, **self._environment, **told},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as trouble:
            raise self._complain(f"cannot be run: {trouble.strerror}") from trouble
        try:
            async with asyncio.timeout(PLUGIN_TIMEOUT_S):
                answer, complaint = await plugin.communicate()
        except TimeoutError as trouble:
            raise PluginSilentError(
                f"exec plugin {self._command!r} gave no answer within {PLUGIN_TIMEOUT_S:.0f} s"
            ) from trouble
        finally:
            if plugin.returncode is None:
                plugin.kill()
                await plugin.wait()
        if plugin.returncode != 0:
            said = complaint.decode(errors="replace").strip()[:_LONGEST_COMPLAINT]
            raise self._complain(f"ended with {plugin.returncode}: {said or 'it said nothing'}")
        return self._parse(answer)

    def _parse(self, answer: bytes) -> Credentials:
        try:
            document = json.loads(answer)
            version, status = document["apiVersion"], document["status"]
            token = status.get("token")
            chain, key = status.get("clientCertificateData"), status.get("clientKeyData")
            until = status.get("expirationTimestamp")
            ends = datetime.fromisoformat(until).astimezone(UTC) if until else None
        except (ValueError, KeyError, TypeError, AttributeError):
            # from None: the library's words could repeat the answer, and with it a token
            raise self._complain("gave no ExecCredential with a status") from None
        if version != self._api_version:
            raise self._complain(f"answered in {version}, expected {self._api_version}")
        if not token and not (chain and key):
            raise self._complain("gave neither a token nor a client certificate with its key")
        certificate = ClientCertificate(chain.encode(), key.encode()) if chain and key else None
        return Credentials(token or None, certificate, ends)

    def _complain(self, what: str) -> PluginError:
        return PluginError(f"exec plugin {self._command!r} {what}; run it by hand to see why")


def _tell_cluster(cluster: Mapping[str, Any]) -> dict[str, Any]:
    names = (
        "server",
        "tls-server-name",
        "insecure-skip-tls-verify",
        "certificate-authority-data",
        "proxy-url",
    )
    return {name: cluster[name] for name in names if name in cluster}
