"""The current context of a kubeconfig.

Read here, not by the official client: to import that takes 25 MB and half a second (ADR 13).
"""

import asyncio
import base64
import binascii
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from backup_engine.cluster_access.access import (
    ClientCertificate,
    ClusterAccess,
    ClusterError,
    ClusterSettingsError,
    ReadToken,
    build_context,
    nothing,
    token_file,
)
from backup_engine.cluster_access.exec_plugin import ExecPlugin

Section = Mapping[str, Any]

_UNKNOWN: Final = {
    "auth-provider": "kubectl has dropped it, too; use an exec plugin",
    "as": "give the identity its own credentials instead",
}


async def load_kubeconfig(path: Path) -> ClusterAccess:
    """Read the current context of a kubeconfig; raises ClusterSettingsError."""
    content = await asyncio.to_thread(_read_document, path)
    try:
        context = find_named(content, "contexts", content["current-context"])["context"]
        cluster = find_named(content, "clusters", context["cluster"])["cluster"]
        user = find_user(content, context.get("user"))
        url = str(cluster["server"]).rstrip("/")
    except KeyError as trouble:
        raise ClusterSettingsError(
            f"kubeconfig {path}: the current context cannot be used: {trouble} is missing"
        ) from trouble
    except (AttributeError, TypeError) as trouble:
        raise ClusterSettingsError(f"kubeconfig {path}: this is no kubeconfig") from trouble
    for key, remedy in _UNKNOWN.items():
        if key in user:
            raise ClusterSettingsError(f"kubeconfig {path}: {key} is not supported: {remedy}")
    tls: ssl.SSLContext | bool = True
    if url.startswith("https"):
        try:
            tls = await asyncio.to_thread(_build_tls, cluster, user, path.parent)
        except (OSError, ValueError, ssl.SSLError) as trouble:
            raise ClusterSettingsError(
                f"kubeconfig {path}: certificates for {url}: {trouble}"
            ) from trouble
    try:
        read_token = await _choose_token(cluster, user, path.parent, tls)
    except (KeyError, TypeError) as trouble:
        raise ClusterSettingsError(
            f"kubeconfig {path}: the exec plugin cannot be used: {trouble} is missing"
        ) from trouble
    except ClusterError as trouble:
        raise ClusterSettingsError(f"kubeconfig {path}: {trouble}") from trouble
    return ClusterAccess(
        url=url,
        tls=tls,
        server_name=cluster.get("tls-server-name") or None,
        proxy=cluster.get("proxy-url") or None,
        read_token=read_token,
    )


def _read_document(path: Path) -> Any:  # noqa: ANN401 - YAML
    try:
        return yaml.safe_load(path.read_text())
    except OSError as trouble:
        raise ClusterSettingsError(f"kubeconfig {path}: {trouble.strerror or trouble}") from trouble
    except (UnicodeDecodeError, yaml.YAMLError) as trouble:
        # the cause is left out on purpose: a parser's message shows the line, and what is in it
        raise ClusterSettingsError(f"kubeconfig {path}: no YAML{_find_line(trouble)}") from None


def _find_line(trouble: Exception) -> str:
    mark = trouble.problem_mark if isinstance(trouble, yaml.MarkedYAMLError) else None
    return f", line {mark.line + 1}" if mark is not None else ""


def find_named(kubeconfig: Section, section: str, name: str) -> Section:
    """Return the entry of that name; raises KeyError, which says what is missing."""
    for entry in kubeconfig.get(section) or ():
        if entry.get("name") == name:
            return dict(entry)
    raise KeyError(f"{section}[{name}]")


def find_user(kubeconfig: Section, name: str | None) -> Section:
    """Return the ``user`` settings of that name in a parsed kubeconfig, empty if there is none."""
    for user in kubeconfig.get("users") or []:
        if user.get("name") == name:
            return dict(user.get("user") or {})
    return {}


def _build_tls(cluster: Section, user: Section, directory: Path) -> ssl.SSLContext:
    """Build the context; raises OSError, ValueError, SSLError."""
    context = build_context(
        _read(cluster, "certificate-authority", directory),
        is_verified=not cluster.get("insecure-skip-tls-verify"),
    )
    chain = _read(user, "client-certificate", directory)
    if chain is not None:
        key = _read(user, "client-key", directory)
        ClientCertificate(chain, key if key is not None else chain).load_into(context)
    return context


def _read(section: Section, name: str, directory: Path) -> bytes | None:
    """Read what is given as data or, less strongly, as a file beside the kubeconfig."""
    if section.get(f"{name}-data"):
        try:
            return base64.b64decode(section[f"{name}-data"], validate=True)
        except (binascii.Error, TypeError) as trouble:
            raise ValueError(f"{name}-data is not base64") from trouble
    if section.get(name):
        return directory.joinpath(section[name]).read_bytes()
    return None


async def _choose_token(
    cluster: Section, user: Section, directory: Path, tls: ssl.SSLContext | bool
) -> ReadToken:
    """Choose what gives the Authorization header, and keeps it fresh."""
    if "exec" in user:
        plugin = ExecPlugin(user["exec"], cluster, directory, tls)
        await plugin.read_token()  # what is wrong with it is told at the start
        return plugin.read_token
    if user.get("tokenFile"):
        return token_file(directory / user["tokenFile"])
    if user.get("token"):
        return _fixed(f"Bearer {user['token']}")
    if user.get("username") and user.get("password"):
        pair = f"{user['username']}:{user['password']}".encode()
        return _fixed(f"Basic {base64.b64encode(pair).decode()}")
    return nothing


def _fixed(value: str) -> ReadToken:
    async def read() -> str | None:
        return value

    return read
