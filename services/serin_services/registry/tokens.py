"""Tokens of a registry that signs them itself (HS256), for one person or a trial: what they say stands here alone."""

import datetime as dt
from collections.abc import Sequence

import jwt


def sign(  # noqa: PLR0913 - each is a claim
    secret: str,
    *,
    issuer: str,
    audience: str,
    subject: str,
    tenant: str,
    role: str,
    offices: Sequence[str] = (),
    now: dt.datetime,
    days: float,
) -> str:
    """Sign a token that is good for so many days from now."""
    claims = {
        "sub": subject,
        "tenant": tenant,
        "role": role,
        "offices": list(offices),
        "iss": issuer,
        "aud": audience,
        "iat": now,
        "exp": now + dt.timedelta(days=days),
    }
    return jwt.encode(claims, secret, algorithm="HS256")
