"""Who may use an engine, and how the operator proves itself to it (architecture §2.5)."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from backup_operator.resources.label_selector import LabelSelector
from backup_operator.resources.parts import Flag, ResourcePart
from backup_operator.resources.rules import LIST_TYPE, CelRule, Matches, broken, with_rules

NAMESPACE_NAME = Matches(
    r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
    "the name of a namespace: small letters, digits and '-', with a letter or digit at both ends",
)
SECRET_NAME = Matches(
    r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
    "the name of a Secret: small letters, digits, '-' and '.', with a letter or digit at both ends",
)
SECRET_KEY = Matches(r"^[A-Za-z0-9._-]+$", "a key of a Secret: letters, digits, '.', '_' and '-'")
CERTIFICATES = Matches(
    r"^\s*-----BEGIN CERTIFICATE-----[\s\S]*-----END CERTIFICATE-----\s*$",
    "certificates in PEM, from '-----BEGIN CERTIFICATE-----' to '-----END CERTIFICATE-----'",
)

Namespace = Annotated[str, Field(min_length=1, max_length=63), NAMESPACE_NAME]


class SecretRef(ResourcePart):
    """Names a Secret; never one of the namespace of a Backup, which may go at any time."""

    namespace: Namespace = Field(description="Namespace of the Secret.")
    name: Annotated[str, Field(min_length=1, max_length=253), SECRET_NAME] = Field(
        description="Name of the Secret."
    )


class TokenSecretRef(SecretRef):
    """Names the token inside a Secret."""

    key: Annotated[str, Field(min_length=1, max_length=253), SECRET_KEY] = Field(
        default="token", description="Key of the token in the Secret."
    )


class CaSecretRef(SecretRef):
    """Names the certificates inside a Secret."""

    key: Annotated[str, Field(min_length=1, max_length=253), SECRET_KEY] = Field(
        default="ca.crt", description="Key of the certificates in the Secret."
    )


class SecTokenAuth(ResourcePart):
    """An authorized service of an appliance, or a token of our engine: the `SEC` header."""

    secret_ref: TokenSecretRef = Field(description="The Secret that holds the token.")


class BasicAuth(ResourcePart):
    """User and password by HTTP basic authentication."""

    secret_ref: SecretRef = Field(
        description="A Secret of type kubernetes.io/basic-auth with `username` and `password`."
    )


class ServiceAccountAuth(ResourcePart):
    """A token of the operator's own ServiceAccount, which our engine has the cluster review."""

    audience: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        default="backup-engine", description="Audience that the token is requested for."
    )


ONE_CREDENTIAL = "exactly one of secToken, basic and serviceAccount"


class EngineAuth(ResourcePart):
    """Credentials of the operator at the engine: one of three."""

    model_config = ConfigDict(
        json_schema_extra=with_rules(
            CelRule(
                "(has(self.secToken) ? 1 : 0) + (has(self.basic) ? 1 : 0)"
                " + (has(self.serviceAccount) ? 1 : 0) == 1",
                ONE_CREDENTIAL,
            )
        )
    )

    sec_token: SecTokenAuth | None = Field(
        default=None,
        description="A token sent in the `SEC` header, for an appliance or our engine.",
    )
    basic: BasicAuth | None = Field(
        default=None, description="User and password by HTTP basic authentication."
    )
    service_account: ServiceAccountAuth | None = Field(
        default=None,
        description="A token of the operator's own ServiceAccount, for our engine only.",
    )

    @model_validator(mode="after")
    def _holds_one_credential(self) -> Self:
        given = (self.sec_token, self.basic, self.service_account)
        if sum(credential is not None for credential in given) != 1:
            raise broken(ONE_CREDENTIAL)
        return self


CA_TWICE = "either caSecretRef or caBundle to name the authorities, not both"
CA_UNUSED = (
    "neither caSecretRef nor caBundle beside insecureSkipVerify, which trusts every certificate"
)


class EngineTls(ResourcePart):
    """Trust in the engine's certificate."""

    model_config = ConfigDict(
        json_schema_extra=with_rules(
            CelRule("!(has(self.caSecretRef) && has(self.caBundle))", CA_TWICE, field="caBundle"),
            CelRule(
                "!(has(self.insecureSkipVerify) && self.insecureSkipVerify)"
                " || !(has(self.caSecretRef) || has(self.caBundle))",
                CA_UNUSED,
                field="insecureSkipVerify",
            ),
        )
    )

    ca_secret_ref: CaSecretRef | None = Field(
        default=None,
        description="A Secret with the authorities to trust, in PEM. Excludes `caBundle`.",
    )
    ca_bundle: Annotated[str, Field(max_length=65536), CERTIFICATES] | None = Field(
        default=None,
        description="The authorities to trust, in PEM. Excludes `caSecretRef`.",
    )
    server_name: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None,
        description="Name that the certificate must bear; absent: the host of the URL.",
    )
    insecure_skip_verify: Flag = Field(
        default=False,
        description="True accepts every certificate, for trials only: credentials can be stolen.",
    )

    @model_validator(mode="after")
    def _trusts_in_one_way(self) -> Self:
        if self.ca_secret_ref is not None and self.ca_bundle is not None:
            raise broken(CA_TWICE)
        if self.insecure_skip_verify and (self.ca_secret_ref or self.ca_bundle) is not None:
            raise broken(CA_UNUSED)
        return self


ONE_WAY = "exactly one of names and selector"


class AllowedNamespaces(ResourcePart):
    """Namespaces by name or by label."""

    model_config = ConfigDict(
        json_schema_extra=with_rules(CelRule("has(self.names) != has(self.selector)", ONE_WAY))
    )

    names: Annotated[tuple[Namespace, ...], Field(max_length=1000)] | None = Field(
        default=None,
        description="Names of the namespaces; an empty list allows none. Excludes `selector`.",
        json_schema_extra={LIST_TYPE: "set"},
    )
    selector: LabelSelector | None = Field(
        default=None, description="Labels of the namespaces. Excludes `names`."
    )

    @model_validator(mode="after")
    def _chooses_in_one_way(self) -> Self:
        if (self.names is None) == (self.selector is None):
            raise broken(ONE_WAY)
        return self

    def include(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Return whether the namespace, which has these labels, is among them."""
        if self.selector is not None:
            return self.selector.matches(labels)
        return namespace in (self.names or ())
