"""Places of models on hubs, by the addresses that `ftapp push` takes. Imports no hub's library."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ftapp.common.errors import Problem, RecipeError

_PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_LONGEST = 96  # characters of a name on Hugging Face
_FORMS = {"hf": "hf://OWNER/NAME", "kaggle": "kaggle://OWNER/MODEL/FRAMEWORK/VARIATION"}


@dataclass(frozen=True)
class HuggingFaceTarget:
    """A repository of Hugging Face.

    Attributes:
        name: OWNER/NAME.
    """

    name: str

    def __str__(self) -> str:
        return f"hf://{self.name}"


@dataclass(frozen=True)
class KaggleTarget:
    """A variation of a model on Kaggle.

    Attributes:
        handle: OWNER/MODEL/FRAMEWORK/VARIATION.
    """

    handle: str

    @property
    def framework(self) -> str:
        """The framework, such as keras."""
        return self.handle.split("/")[2]

    def __str__(self) -> str:
        return f"kaggle://{self.handle}"


Target = HuggingFaceTarget | KaggleTarget


def parse_target(text: str) -> Target:
    """Read an address.

    Args:
        text: The address, such as hf://OWNER/NAME.

    Raises:
        RecipeError: It is none.
    """
    scheme, _, path = text.partition("://")
    forms = " or ".join(_FORMS.values())
    if scheme not in _FORMS or not path:
        guess = text.removeprefix("https://huggingface.co/").removeprefix("hf:").strip("/")
        nearest = f"; did you mean 'hf://{guess}'?" if _is_name(guess, 2) else ""
        raise _refuse(f"'{text}' is no place of a model; it is {forms}{nearest}")
    form = _FORMS[scheme]
    if not _is_name(path, form.count("/") - 1):
        rule = "each part has the letters A-Z and a-z, digits, and between them '-', '_' and '.'"
        raise _refuse(f"'{text}' does not have the form {form}; {rule}")
    if scheme == "kaggle":
        return KaggleTarget(path)
    if "--" in path or ".." in path or len(path.partition("/")[2]) > _LONGEST:
        raise _refuse(
            f"'{text}' is no name of Hugging Face, which has at most {_LONGEST} characters and no '--' or '..'"
        )
    return HuggingFaceTarget(path)


def _is_name(path: str, parts: int) -> bool:
    found = path.split("/")
    return len(found) == parts and all(map(_PART.fullmatch, found))


def _refuse(message: str) -> RecipeError:
    return RecipeError([Problem("", "", message)])
