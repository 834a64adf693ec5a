"""The links of a server: each holds a token, which says who opens it and what that person may do.

All tokens follow from the teacher's by HMAC-SHA256. So whoever knows one cannot make another, and where the teacher's
is kept, no link changes when the server starts again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Sequence

from ftapp.cli.web.class_record import ClassRecord
from ftapp.common.person import TEACHER, Person

_LONGEST = 24  # characters of a name
_SIGNS = " .'’-_"  # beside letters, digits, and the marks that many scripts write letters with
NEWCOMER = Person("", "student")
"""A student who has not said a name yet."""


class Links:
    """The tokens of a server.

    Attributes:
        is_class: Whether there are links for students.
    """

    def __init__(
        self, token: str, people: Sequence[str] = (), *, is_class: bool = False, record: ClassRecord | None = None
    ) -> None:
        """Make the links.

        Args:
            token: The token of the teacher, or of the user of the machine.
            people: The students, each of whom gets a link; without any, all share one link and say their names.
            is_class: Whether there are links for students.
            record: Keeps the names that are taken.
        """
        self.is_class, self._token, self._people = is_class, token, tuple(people)
        self._host = Person(TEACHER if is_class else "")
        self._record = record or ClassRecord()

    @property
    def host_token(self) -> str:
        """The token of the teacher, or of the user of the machine."""
        return self._token

    @property
    def viewer_token(self) -> str:
        """The token of those who only look."""
        return self._derive("viewer")

    def list_student_tokens(self) -> dict[str, str]:
        """List the tokens of students by name; "" is the name for the token that all share."""
        if not self.is_class:
            return {}
        return {name: self.make_token(name) for name in self._people} or {"": self._derive("students")}

    def make_token(self, name: str) -> str:
        """Make the token of a student."""
        coded = base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
        return f"{coded}.{self._derive(f'student {name}')}"

    def find_person(self, token: str) -> Person | None:
        """Find who has a token; None where nobody has it. NEWCOMER has the token that students share."""
        if _is_equal(token, self._token):
            return self._host
        if _is_equal(token, self.viewer_token):
            return Person("", "viewer")
        if not self.is_class:
            return None
        if not self._people and _is_equal(token, self._derive("students")):
            return NEWCOMER
        name = _decode(token.partition(".")[0])
        if name is None or not _is_equal(token, self.make_token(name)):
            return None
        if self._people and name not in self._people:  # no longer, or from a server where all shared a link
            return None
        self._record.see(name)
        return Person(name, "student")

    def take_name(self, wanted: str) -> tuple[str, str]:
        """Give a newcomer a name.

        Args:
            wanted: The name that was typed; empty for a guest.

        Returns:
            The token, and why there is none. One of them is empty.
        """
        name = tidy_name(wanted)
        if not name:
            name = self._make_guest_name()
        if wrong := find_wrong_name(name):
            return "", wrong
        if name.casefold() == TEACHER or self._record.is_taken(name):
            return "", f"{name} is taken. Choose another name, such as {name[: _LONGEST - 2]} 2."
        self._record.see(name)
        return self.make_token(name), ""

    def _make_guest_name(self) -> str:
        while True:
            self._record.guests += 1
            if not self._record.is_taken(name := f"guest-{self._record.guests}"):
                return name

    def _derive(self, label: str) -> str:
        digest = hmac.digest(self._token.encode(), f"ftapp {label}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest[:24]).decode()


def tidy_name(text: str) -> str:
    """Write a name in one way, however it was typed: wide letters and separate accents, for example."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def find_wrong_name(name: str) -> str:
    """Say what is wrong with a name of a student; "" where nothing is."""
    is_spelled = all(each.isalnum() or each in _SIGNS or unicodedata.category(each)[0] == "M" for each in name)
    if is_spelled and name[:1].replace("_", "a").isalnum() and len(name) <= _LONGEST:
        return ""
    return f"{name[:60]!r} is no name; a name has at most {_LONGEST} letters, digits, spaces and . ' - _, such as Ana"


def _is_equal(given: str, known: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), known.encode())


def _decode(coded: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode()
    except ValueError:
        return None
