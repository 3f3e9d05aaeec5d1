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


def answers(port: int, context: ssl.SSLContext, paths: Sequence[str]) -> bool:
    """Tell whether every one of ``paths`` is there; a silent server counts as no."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_S, context=context)
    try:
        for path in paths:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            if answer.status != http.HTTPStatus.OK:
                return False
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
