"""Asking the API server whether it is ready."""

import http.client
import ssl
from collections.abc import Sequence

from backup_sandbox import certificates
from backup_sandbox.layout import Layout

TIMEOUT_S = 2.0

SERVING = ("/readyz", "/api/v1/namespaces/default")
# Pods are refused before the one exists and hang in ContainerCreating before the other does.
CONTROLLED = (
    "/api/v1/namespaces/default/serviceaccounts/default",
    "/api/v1/namespaces/default/configmaps/kube-root-ca.crt",
)


def admin_context(layout: Layout) -> ssl.SSLContext:
    """Return the TLS settings of the sandbox's admin: only this sandbox's server is trusted."""
    context = ssl.create_default_context(cafile=layout.certificate(certificates.AUTHORITY))
    admin = certificates.ADMIN
    context.load_cert_chain(layout.certificate(admin), layout.key(admin))
    return context


def answers(address: str, port: int, context: ssl.SSLContext, paths: Sequence[str]) -> bool:
    """Tell whether every one of ``paths`` is there; a silent server counts as no."""
    return all(find(address, port, context, path) is not None for path in paths)


def find(address: str, port: int, context: ssl.SSLContext, path: str) -> bytes | None:
    """Return what the server has at ``path``; None if nothing, or if it is silent."""
    connection = http.client.HTTPSConnection(address, port, timeout=TIMEOUT_S, context=context)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return content if answer.status == http.HTTPStatus.OK else None
