"""Docker's health check: ask the program in this container how it is.

Kubernetes has probes of its own and does not look at this.
"""

import os
import ssl
import sys
import urllib.request

TIMEOUT_S = 4
ENGINE = os.environ.get("BACKUP_ENGINE_LISTEN")
METRICS = os.environ.get("BACKUP_OPERATOR_METRICS_PORT")


def main() -> int:
    """Exit with 0 if the program answers /healthz well, with 1 if not or if none is configured."""
    if ENGINE:
        context = ssl.create_default_context()
        # Its own loopback: the certificate names the Service, and nothing secret is sent.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        url = f"https://127.0.0.1:{ENGINE.rpartition(':')[2]}/healthz"
    elif METRICS:
        context = None
        url = f"http://127.0.0.1:{METRICS}/healthz"
    else:
        sys.stderr.write("neither BACKUP_ENGINE_LISTEN nor BACKUP_OPERATOR_METRICS_PORT is set\n")
        return 1
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S, context=context):  # noqa: S310
            return 0
    except OSError as problem:
        sys.stderr.write(f"{url}: {problem}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
