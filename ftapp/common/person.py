"""The person who uses this process: the user of the machine, or someone in a browser that `ftapp serve` answers.

`ftapp serve` tells each interface who uses it by two variables. What the person may do follows from the role alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["teacher", "student", "viewer"]
"""A teacher may do everything, as the user of the machine. A viewer changes nothing."""
Access = Literal["look", "use", "change", "manage"]
"""Looking changes nothing. Using begins something new. Changing is about something that someone has begun. Managing is
about what all share, and up to the teacher."""

NAME, ROLE = "FTAPP_PERSON", "FTAPP_ROLE"
TEACHER = "teacher"  # also the name of the person


@dataclass(frozen=True)
class Person:
    """A person.

    Attributes:
        name: The name, which is written into the runs that the person starts; "" for the user of the machine.
        role: What the person may do.
    """

    name: str = ""
    role: Role = "teacher"

    @classmethod
    def read(cls) -> Person:
        """Read who uses this process. An unknown role is that of a viewer."""
        role = os.environ.get(ROLE, "teacher")
        known: Role = next((each for each in get_args(Role) if each == role), "viewer")
        return cls(os.environ.get(NAME, ""), known)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that tell a process who uses it."""
        return {NAME: self.name, ROLE: self.role}

    def find_obstacle(self, access: Access, owner: str = "") -> str | None:
        """Explain why the person may not do something; None where nothing speaks against it.

        Args:
            access: What is to be done.
            owner: The name of the person who has begun what is to be changed; "" for the user of the machine.
        """
        if access == "look" or self.role == "teacher":
            return None
        if self.role == "viewer":
            return "This link only shows. It starts and changes nothing."
        if access == "manage":
            return "Only the teacher can do this."
        if access == "use" or (owner and owner == self.name):
            return None
        whose = f"This is {owner}'s" if owner and owner != TEACHER else "This is the teacher's"
        return f"{whose}. Whoever has started a run can change it, and the teacher can."
