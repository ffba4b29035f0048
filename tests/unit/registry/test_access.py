import itertools

import pytest

from serin_services.registry.core import access
from serin_services.registry.core.access import Caller, Operation, Role


def caller(role: Role) -> Caller:
    return Caller("ada", "trading", role)


V, DV, AP, AD = Role.VIEWER, Role.DEVELOPER, Role.APPROVER, Role.ADMIN
MATRIX = {
    Operation.READ: (V, DV, AP, AD),
    Operation.REGISTER: (DV, AP, AD),
    Operation.CHANGE: (DV, AP, AD),
    Operation.REPORT: (DV, AP, AD),
    Operation.DEPLOY: (DV, AP, AD),
    Operation.ROLL_BACK: (DV, AP, AD),
    Operation.STOP: (DV, AP, AD),
    Operation.APPROVE: (AP, AD),
    Operation.PROMOTE: (AP, AD),
    Operation.AUDIT: (AD,),
    Operation.ADMINISTER: (AD,),
}


@pytest.mark.parametrize(
    ("role", "operation"),
    [
        pytest.param(role, operation, id=f"{role.name.lower()} {operation}")
        for role, operation in itertools.product(Role, Operation)
    ],
)
def test_each_role_may_do_what_the_matrix_says(role: Role, operation: Operation) -> None:
    allowed = role in MATRIX[operation]
    assert caller(role).may(operation) is allowed
    assert (access.refusal(caller(role), operation) is None) is allowed


def test_every_operation_has_its_role() -> None:
    assert set(access.NEEDED) == set(Operation) == set(MATRIX)


def test_whoever_may_promote_may_also_take_the_traffic_away() -> None:
    assert access.NEEDED[Operation.STOP] <= access.NEEDED[Operation.PROMOTE]
    assert access.NEEDED[Operation.ROLL_BACK] <= access.NEEDED[Operation.PROMOTE]


def test_a_refusal_says_what_it_takes_and_what_the_caller_has() -> None:
    said = access.refusal(caller(Role.VIEWER), Operation.PROMOTE)
    assert said == "to promote in tenant 'trading' takes the role approver; 'ada' has the role viewer"


def test_the_registry_itself_may_do_everything() -> None:
    assert all(access.SYSTEM.may(operation) for operation in Operation)
    weak = Caller("ada", "trading", Role.VIEWER, system=True)
    assert all(weak.may(operation) for operation in Operation)


def test_a_caller_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        caller(Role.VIEWER).role = Role.ADMIN  # type: ignore[misc]
