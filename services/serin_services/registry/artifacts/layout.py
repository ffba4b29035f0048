"""Where an artifact lies in the store: its key is made of its place and the digest of its content.

`tenant/[users/user/]model/version/digest/name`, so that a digest is written once, and a tenant's, a user's, a model's
or a version's artifacts are those below a prefix. What is encrypted at rest lies at `digest.age`: a key tells how its
bytes are to be read, whatever they look like.
"""

import dataclasses
import hashlib
import re
from typing import Self

from serin_services.registry import errors

USERS = "users"
ENCRYPTED = ".age"
MAX_SEGMENT = 128
# No separator of any system, nothing that a shell or a URL reads, and no dot in front: that is for the store's own.
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+=-]*")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ALLOWED = "1 to 128 of the letters A-Z and a-z, digits and . _ @ + = -, the first one a letter, a digit or _"
# The number of segments of a tenant's own key, and of a user's.
_OF_TENANT, _OF_USER = 5, 7


@dataclasses.dataclass(frozen=True)
class Place:
    """Whose artifact it is, of which model and version, and its name; the user is empty where the tenant's own."""

    tenant: str
    model: str
    version: str
    name: str
    user: str = ""

    def __post_init__(self) -> None:
        for field in ("tenant", "model", "version", "name"):
            check_segment(field, getattr(self, field))
        if self.model == USERS:
            raise _invalid("model", f"expected a name other than {USERS!r}, which stands for the users' own models")

    @property
    def prefix(self) -> str:
        """What the keys of this version begin with."""
        owner = [USERS, encode(self.user)] if self.user else []
        return "/".join([self.tenant, *owner, self.model, self.version])

    def key(self, sha256: str, *, encrypted: bool) -> str:
        """Give the key of a content with this digest at this place."""
        return f"{self.prefix}/{sha256}{ENCRYPTED if encrypted else ''}/{self.name}"


@dataclasses.dataclass(frozen=True)
class Key:
    """A key, read: the digest of the content, and whether it is encrypted at rest."""

    text: str
    sha256: str
    encrypted: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key that was given earlier.

        Raises:
            errors.InvalidError: it is none.
        """
        segments = text.split("/")
        for segment in segments:
            check_segment("key", segment)
        of_user = segments[1] == USERS if len(segments) > 1 else False
        if len(segments) != (_OF_USER if of_user else _OF_TENANT):
            raise _invalid("key", f"expected tenant/[users/user/]model/version/sha256/name, got {len(segments)} parts")
        digest = segments[-2].removesuffix(ENCRYPTED)
        check_digest("key", digest)
        return cls(text, digest, segments[-2].endswith(ENCRYPTED))


def encode(text: str) -> str:
    """Write any text as one segment that is no other text's: a person's subject, a name with folders in it.

    What a segment cannot hold becomes `=` and its hexadecimal bytes; of a text that would be too long or begin with
    such a one, the digest stands behind its beginning.
    """
    written = "".join(char if re.fullmatch("[A-Za-z0-9._@-]", char) else _hexadecimal(char) for char in text)
    if written and len(written) <= MAX_SEGMENT and written[0] not in ".@=-":
        return written
    return f"{_beginning(written)}=={hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def check_segment(where: str, text: str) -> None:
    """Refuse what cannot be one part of a key.

    Raises:
        errors.InvalidError: it is empty or too long, or has a character that is not allowed.
    """
    if len(text) > MAX_SEGMENT or not _SEGMENT.fullmatch(text):
        shown = repr(text if len(text) <= 40 else f"{text[:40]}...")
        raise _invalid(where, f"expected {_ALLOWED}; got {shown} of {len(text)} characters")


def check_digest(where: str, text: str) -> None:
    """Refuse what is no SHA-256 in lower case.

    Raises:
        errors.InvalidError: it is something else.
    """
    if not _DIGEST.fullmatch(text):
        raise _invalid(where, f"expected a SHA-256 as 64 hexadecimal digits in lower case, got {text[:80]!r}")


def _hexadecimal(char: str) -> str:
    return "".join(f"={byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


def _beginning(written: str) -> str:
    return "_" + re.sub("[^A-Za-z0-9_-]", "", written)[:32]


def _invalid(where: str, message: str) -> errors.InvalidError:
    return errors.InvalidError(f"{where}: {message}", errors.Fault(where, message))
