"""Who is calling: read from a signed token (RFC 7519) and nothing else.

The algorithm is the configuration's and never the token's (RFC 8725, section 3.1), so that a public key is never taken
for a secret; issuer, audience and expiry must be there and hold.
"""

import re
from typing import Any

import jwt

from serin_services.registry.api.jwks import Keys
from serin_services.registry.api.problems import RequestError
from serin_services.registry.artifacts.layout import check_segment
from serin_services.registry.core.access import Caller, Role
from serin_services.registry.errors import InvalidError
from serin_services.registry.settings import Settings

# More than any issuer writes, and read before anything is parsed.
MAX_TOKEN = 8192
MAX_SUBJECT = 253
MAX_OFFICES = 32
_REQUIRED = ["exp", "iss", "aud", "sub"]


class Identity:
    """Turns the `Authorization` header into a caller."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret else ""
        self._keys = Keys(
            settings.jwks_url, settings.jwt_algorithm, settings.jwks_seconds, settings.jwks_interval_seconds
        )

    async def identify(self, authorization: str | None) -> Caller:
        """Give the caller.

        Raises:
            RequestError: 401 with what is wrong with the token, as far as its sender may know.
            errors.UnavailableError: the issuer's keys cannot be had.
        """
        token = _read_bearer(authorization)
        try:
            key = await self._find_key(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=[self._settings.jwt_algorithm],
                audience=self._settings.jwt_audience,
                issuer=self._settings.jwt_issuer,
                leeway=self._settings.jwt_leeway_seconds,
                options={"require": _REQUIRED},
            )
        except jwt.PyJWTError as error:
            raise refuse(_explain(error)) from None
        return _make_caller(claims)

    async def _find_key(self, token: str) -> Any:  # noqa: ANN401 - a secret or a key
        header = jwt.get_unverified_header(token)
        if header.get("alg") != self._settings.jwt_algorithm:
            raise jwt.InvalidAlgorithmError
        if self._settings.jwt_algorithm == "HS256":
            return self._secret
        kid = header.get("kid")
        found = await self._keys.find(kid) if isinstance(kid, str) else None
        if found is None:
            raise jwt.InvalidKeyError
        return found


def refuse(message: str) -> RequestError:
    """Make the refusal of a token, in the form of RFC 6750."""
    challenge = f'Bearer realm="serin-registry", error="invalid_token", error_description="{message}"'
    return RequestError(401, message, {"WWW-Authenticate": challenge})


# What went wrong, as far as it helps an honest caller; of a forged token nothing more is said.
_SENTENCES: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "the token has expired"),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidAudienceError, "the token is for another audience"),
    (jwt.InvalidIssuerError, "the token is of another issuer"),
    (jwt.MissingRequiredClaimError, f"the token lacks one of {', '.join(_REQUIRED)}"),
)


def _explain(error: jwt.PyJWTError) -> str:
    return next((sentence for kind, sentence in _SENTENCES if isinstance(error, kind)), "the token is not valid")


def _read_bearer(authorization: str | None) -> str:
    if authorization is None:
        raise RequestError(
            401, "a token is needed: Authorization: Bearer …", {"WWW-Authenticate": 'Bearer realm="serin-registry"'}
        )
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
        raise refuse("expected Authorization: Bearer and one token")
    return token.strip()


def _make_caller(claims: dict[str, Any]) -> Caller:
    """Read the claims: who, of which tenant, in which role, with which offices.

    Raises:
        RequestError: one is missing or cannot be what it should be.
    """
    subject, tenant, role = claims.get("sub"), claims.get("tenant"), claims.get("role")
    offices = claims.get("offices", [])
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_SUBJECT or not subject.isprintable():
        raise refuse("the claim sub is no subject")
    if not isinstance(tenant, str) or not _is_segment(tenant):
        raise refuse("the claim tenant is no tenant")
    if not isinstance(role, str) or role.upper() not in Role.__members__:
        raise refuse(f"the claim role is none of {', '.join(each.name.lower() for each in Role)}")
    if (
        not isinstance(offices, list)
        or len(offices) > MAX_OFFICES
        or not all(isinstance(each, str) for each in offices)
    ):
        raise refuse("the claim offices is no list of offices")
    return Caller(subject, tenant, Role[role.upper()], frozenset(offices))


def _is_segment(tenant: str) -> bool:
    # A tenant is the first part of every key in the store.
    try:
        check_segment("tenant", tenant)
    except InvalidError:
        return False
    return re.fullmatch(r"[A-Za-z0-9._-]+", tenant) is not None
