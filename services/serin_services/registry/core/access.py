"""Who is calling, and what they may do: the one place that knows the roles.

What a caller may *see* is a rule over rows and stands in `database/visibility.py`; the facts that it needs are here.
"""

import dataclasses
import enum

# The tenant whose models everyone sees.
PLATFORM = "platform"


class Role(enum.IntEnum):
    """What a caller is trusted with in a tenant; each role may do all that those before it may."""

    VIEWER = 1
    DEVELOPER = 2
    APPROVER = 3
    ADMIN = 4


class Visibility(enum.StrEnum):
    """Who sees a model: everyone, its tenant, or the one user who owns it."""

    PLATFORM = "platform"
    TENANT = "tenant"
    USER = "user"


class Operation(enum.StrEnum):
    """What can be asked of the registry, as far as roles are concerned."""

    READ = "read"
    REGISTER = "register"
    CHANGE = "change"
    REPORT = "report"
    DEPLOY = "deploy"
    APPROVE = "approve"
    PROMOTE = "promote"
    ROLL_BACK = "roll back"
    STOP = "stop"
    AUDIT = "audit"
    ADMINISTER = "administer"


# Taking traffic away is safe, so whoever may deploy may also roll back and stop; giving more of it is not.
NEEDED: dict[Operation, Role] = {
    Operation.READ: Role.VIEWER,
    Operation.REGISTER: Role.DEVELOPER,
    Operation.CHANGE: Role.DEVELOPER,
    Operation.REPORT: Role.DEVELOPER,
    Operation.DEPLOY: Role.DEVELOPER,
    Operation.ROLL_BACK: Role.DEVELOPER,
    Operation.STOP: Role.DEVELOPER,
    Operation.APPROVE: Role.APPROVER,
    Operation.PROMOTE: Role.APPROVER,
    Operation.AUDIT: Role.ADMIN,
    Operation.ADMINISTER: Role.ADMIN,
}


@dataclasses.dataclass(frozen=True)
class Caller:
    """Who is calling: a subject of one tenant, with one role there.

    `system` is the registry itself, which follows the cluster and keeps the tables: it sees every tenant. `offices` are the
    sign-off roles that the subject holds, such as technical lead.
    """

    subject: str
    tenant: str
    role: Role
    offices: frozenset[str] = frozenset()
    system: bool = False

    def may(self, operation: Operation) -> bool:
        """Say whether the caller's role is enough for the operation."""
        return self.system or self.role >= NEEDED[operation]


SYSTEM = Caller(subject="serin-registry", tenant=PLATFORM, role=Role.ADMIN, system=True)


def refusal(caller: Caller, operation: Operation) -> str | None:
    """Say in a sentence why the caller may not, or nothing where they may."""
    if caller.may(operation):
        return None
    needed, has = NEEDED[operation].name.lower(), caller.role.name.lower()
    return f"to {operation} in tenant {caller.tenant!r} takes the role {needed}; {caller.subject!r} has the role {has}"
