"""Secrets and ServiceAccount tokens, read from the cluster when they are needed and not kept."""

from datetime import datetime
from typing import Any
from urllib.parse import quote

from backup_operator.cluster.api import ClusterApi, ClusterError, ForbiddenError, GoneError
from backup_operator.decisions.facts import Trouble
from backup_operator.errors import AccessError

ACCOUNT_PREFIX = "system:serviceaccount:"


class ClusterSecrets:
    """The Secrets of a cluster and the tokens of the operator's own ServiceAccount."""

    def __init__(self, cluster: ClusterApi) -> None:
        self._cluster = cluster

    async def find_secret(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Find a Secret; None: there is none. Raises AccessError."""
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/secrets/{quote(name, safe='')}"
        try:
            return await self._cluster.get(path)
        except GoneError:
            return None
        except ForbiddenError as refusal:
            message = (
                f"The operator may not read Secret {namespace}/{name}; grant its ServiceAccount"
                " get on it."
            )
            raise AccessError(Trouble("SecretForbidden", message, needs_people=True)) from refusal
        except ClusterError as trouble:
            message = f"Secret {namespace}/{name} could not be read: {trouble}"
            raise AccessError(Trouble("SecretUnreadable", message)) from trouble

    async def request_token(self, audience: str, lifetime_s: int) -> tuple[str, datetime]:
        """Request a token of the operator's own ServiceAccount, and when it expires.

        Raises AccessError if the operator does not run as one.
        """
        try:
            namespace, account = await self._who_am_i()
            answer = await self._cluster.create(
                f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
                {
                    "apiVersion": "authentication.k8s.io/v1",
                    "kind": "TokenRequest",
                    "spec": {"audiences": [audience], "expirationSeconds": lifetime_s},
                },
            )
        except ClusterError as trouble:
            message = f"No token for audience {audience}: {trouble}"
            raise AccessError(Trouble("TokenRefused", message, needs_people=True)) from trouble
        status = answer["status"]
        return status["token"], datetime.fromisoformat(status["expirationTimestamp"])

    async def _who_am_i(self) -> tuple[str, str]:
        review = await self._cluster.create(
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
        )
        user = str(review["status"]["userInfo"].get("username", ""))
        namespace, _, account = user.removeprefix(ACCOUNT_PREFIX).partition(":")
        if not user.startswith(ACCOUNT_PREFIX) or not account:
            message = (
                f"spec.auth.serviceAccount needs an operator that runs as a ServiceAccount, and it"
                f" runs as {user!r}; use secToken or basic, or run it in the cluster."
            )
            raise AccessError(Trouble("NoServiceAccount", message, needs_people=True))
        return namespace, account
