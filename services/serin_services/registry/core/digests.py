"""A sha256 as HTTP's fields for digests have it (RFC 9530): both sides of the wire write and read it here."""

import base64
import binascii
import re

# Of a whole file; of a body without a coding `Content-Digest` says the same.
FIELD = "Repr-Digest"
FIELDS = (FIELD, "Content-Digest")
_SHA256 = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):\s*(?=$|,|;)")


def write(sha256: str) -> str:
    """Give a digest, 64 hexadecimal digits, as a field's value."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def read(value: str) -> str:
    """Give the sha256 that a field's value declares in hexadecimal; empty where it declares none."""
    found = _SHA256.search(value)
    try:
        return base64.b64decode(found[1], validate=True).hex() if found else ""
    except binascii.Error:
        return ""
