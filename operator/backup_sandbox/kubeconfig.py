"""The kubeconfigs of a sandbox, with the credentials embedded: one file is enough to connect."""

from base64 import b64encode

import yaml

CONTEXT = "backup-sandbox"


def build_kubeconfig(server: str, authority: bytes, certificate: bytes, key: bytes) -> str:
    """Build a kubeconfig with one context; the last three are PEM."""
    user = {"client-certificate-data": _encoded(certificate), "client-key-data": _encoded(key)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": CONTEXT,
                "cluster": {"server": server, "certificate-authority-data": _encoded(authority)},
            }
        ],
        "users": [{"name": CONTEXT, "user": user}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
        "current-context": CONTEXT,
    }
    return yaml.safe_dump(document, sort_keys=False)


def _encoded(pem: bytes) -> str:
    return b64encode(pem).decode()
