"""Secrets of the cluster, read and written with the precondition that nobody else wrote."""

import asyncio
import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from backup_engine.cluster import ClusterConnection, ClusterError
from backup_engine.cluster_access.service_account import OWN_NAMESPACE
from backup_engine.errors import EngineError

REQUEST_TIMEOUT_S: Final = 30.0
OPAQUE: Final = "Opaque"
TLS: Final = "kubernetes.io/tls"
MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "backup-engine"}

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)


class SecretError(EngineError):
    """A Secret that cannot be read or written; the text says what is missing."""


class SecretChangedError(Exception):
    """Somebody else created or changed the Secret meanwhile; read it again."""


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Which Secret; ``namespace`` None: the one of the pod this runs in."""

    name: str
    namespace: str | None = None

    def resolve(self, own_namespace_file: Path = OWN_NAMESPACE) -> "SecretRef":
        """Fill in the pod's namespace; raises SecretError outside of a pod."""
        if self.namespace is not None:
            return self
        try:
            own = own_namespace_file.read_text().strip()
        except OSError as trouble:
            raise SecretError(
                f"Secret {self.name}: outside of a pod its namespace has to be named, as"
                f" NAMESPACE/{self.name}"
            ) from trouble
        return SecretRef(self.name, own)

    def __str__(self) -> str:
        return self.name if self.namespace is None else f"{self.namespace}/{self.name}"


def parse_secret_ref(text: str) -> SecretRef:
    """Read ``NAME`` or ``NAMESPACE/NAME``; raises ValueError."""
    namespace, separator, name = text.rpartition("/")
    if not _NAME.fullmatch(name) or (separator and not _NAME.fullmatch(namespace)):
        raise ValueError(f"expected NAME or NAMESPACE/NAME of a Secret, found {text!r}")
    return SecretRef(name, namespace or None)


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A Secret as it was read."""

    resource_version: str
    data: Mapping[str, bytes] = field(repr=False)


class ClusterSecrets:
    """The Secrets of one cluster."""

    def __init__(self, cluster: ClusterConnection) -> None:
        self._cluster = cluster

    async def find(self, ref: SecretRef) -> StoredSecret | None:
        """Find a Secret; None: there is none. Raises SecretError."""
        answer = await self._ask("GET", ref, f"{_collection(ref)}/{_segment(ref.name)}")
        return None if answer is None else _parse(ref, answer)

    async def create(self, ref: SecretRef, data: Mapping[str, bytes], kind: str) -> None:
        """Create a Secret; raises SecretChangedError if one has the name, SecretError."""
        await self._ask("POST", ref, _collection(ref), _body(ref, data, kind))

    async def replace(
        self, ref: SecretRef, stored: StoredSecret, data: Mapping[str, bytes]
    ) -> None:
        """Replace the data of ``stored``; labels and all else stay.

        Raises SecretChangedError if somebody else changed or removed it, and SecretError.
        """
        change: dict[str, str | None] = dict.fromkeys(stored.data)
        change.update(_encode(data))
        body = {"metadata": {"resourceVersion": stored.resource_version}, "data": change}
        path = f"{_collection(ref)}/{_segment(ref.name)}"
        if await self._ask("PATCH", ref, path, body) is None:
            raise SecretChangedError(str(ref))

    async def _ask(
        self, method: str, ref: SecretRef, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any] | None:
        headers = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
        try:
            async with (
                asyncio.timeout(REQUEST_TIMEOUT_S),
                self._cluster.request(method, path, headers=headers, json=body) as response,
            ):
                answer = await response.json(content_type=None)
                status = response.status
        except (ClusterError, TimeoutError, aiohttp.ClientError, ValueError) as trouble:
            said = str(trouble) or type(trouble).__name__
            raise SecretError(f"Secret {ref}: {said}") from trouble
        if status == HTTPStatus.NOT_FOUND and method != "POST":
            return None
        if status == HTTPStatus.CONFLICT:
            raise SecretChangedError(str(ref))
        if status >= HTTPStatus.BAD_REQUEST:
            said = answer.get("message", "") if isinstance(answer, dict) else ""
            raise SecretError(
                f"Secret {ref}: the API server answered {status} to {method}: {said}; the engine"
                " needs get, create and patch on it"
            )
        return answer if isinstance(answer, dict) else {}


def _collection(ref: SecretRef) -> str:
    return f"/api/v1/namespaces/{_segment(ref.namespace or '')}/secrets"


def _segment(text: str) -> str:
    return quote(text, safe="")


def _encode(data: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in data.items()}


def _body(ref: SecretRef, data: Mapping[str, bytes], kind: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {"name": ref.name, "namespace": ref.namespace, "labels": MANAGED_BY},
        "data": _encode(data),
    }


def _parse(ref: SecretRef, body: Mapping[str, Any]) -> StoredSecret:
    try:
        data = {
            name: base64.b64decode(value, validate=True)
            for name, value in (body.get("data") or {}).items()
        }
        return StoredSecret(body["metadata"]["resourceVersion"], data)
    except (KeyError, TypeError, binascii.Error) as trouble:
        raise SecretError(f"Secret {ref}: the API server's answer is no Secret") from trouble
