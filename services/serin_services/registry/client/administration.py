"""Who is calling, how the registry is, what was changed by whom, and what a tenant asks for."""

from collections.abc import Iterator, Sequence
from typing import Any

from serin_services.registry.client import results
from serin_services.registry.client.connection import Connection
from serin_services.registry.client.transport import quote


class Administration(Connection):
    """The part of the client for the registry itself."""

    def me(self) -> results.Caller:
        """Give who the registry takes the caller for."""
        return self.get(results.Caller, quote("me"))

    def health(self) -> results.Health:
        """Give the state of everything that the registry needs; that something is down is an answer, and no error."""
        answer = self.transport.ask("GET", quote("health"), also=frozenset({503}))
        return results.Health.model_validate(answer.json())

    def status(self) -> results.Status:
        """Give how many models and versions the caller may see, and in which stages."""
        return self.get(results.Status, quote("status"))

    def tenants(self) -> list[results.Tenant]:
        """Give the tenants that the caller is of."""
        return self.get(results.TenantList, quote("tenants")).items

    def tenant(self, tenant: str) -> results.Tenant:
        """Give what a tenant asks for."""
        return self.get(results.Tenant, quote("tenants", tenant))

    def ask_sign_off(self, tenant: str, offices: Sequence[str]) -> results.Tenant:
        """Say which offices must approve a version before it goes into production."""
        return results.Tenant.model_validate(
            self.ask("PUT", quote("tenants", tenant), body={"sign_off": list(offices)})
        )

    def audit(self, **filters: Any) -> Iterator[results.AuditEntry]:  # noqa: ANN401 - of the API's query
        """Give what was changed in the caller's tenant, the latest first."""
        return self.pages(results.AuditEntry, quote("audit"), filters)

    def verify_audit(self) -> results.Verdict:
        """Have the audit log's chain checked from its first entry to its last."""
        return self.get(results.Verdict, quote("audit", "verify"))
