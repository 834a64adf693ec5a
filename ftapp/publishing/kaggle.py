"""Sends a folder to a model of Kaggle, through its own library, which finds the token itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from ftapp.common.errors import Problem, RecipeError, RunError, suggest_nearest
from ftapp.publishing.hub_errors import explain_refusals
from ftapp.publishing.targets import KaggleTarget

_LOGIN = "set KAGGLE_API_TOKEN, or put the token into ~/.kaggle/access_token"


def check_framework(target: KaggleTarget) -> None:
    """Check the framework of an address.

    Raises:
        RecipeError: Kaggle has no such framework.
    """
    from kagglehub.handle import parse_model_handle
    from kagglesdk.models.types.model_enums import ModelFramework

    try:
        parse_model_handle(target.handle).framework_enum()
    except Exception:
        start = "MODEL_FRAMEWORK_"
        names = [each.name.removeprefix(start).replace("_", "").lower() for each in ModelFramework]
        known = [name for name in names if name != "unspecified"]
        message = f"Kaggle has no framework '{target.framework}'; {suggest_nearest(target.framework.lower(), known)}"
        raise RecipeError([Problem("", "", message)]) from None


def check_login(target: KaggleTarget) -> None:
    """Check that there is a token, before a model is exported for it.

    Raises:
        RunError: There is none, or its file is damaged.
    """
    from kagglehub.config import get_kaggle_credentials

    with _explain(target):
        if get_kaggle_credentials() is None:
            raise RunError(f"there is no token for Kaggle; {_LOGIN}; --dry-run shows what would be sent without one")


def push(target: KaggleTarget, folder: Path, message: str, license_name: str | None) -> str:
    """Send the files of a folder, as a new version if the variation is there. A new model is private.

    Args:
        target: The variation.
        folder: The folder.
        message: The notes of the version.
        license_name: The licence, as Kaggle calls it; None for none.

    Returns:
        The address of the variation.

    Raises:
        RunError: Kaggle refuses.
    """
    import kagglehub
    from kagglehub.handle import parse_model_handle

    logging.getLogger("kagglehub").setLevel(logging.WARNING)  # it tells of each file, and again of its end
    with _explain(target):
        kagglehub.model_upload(target.handle, str(folder), license_name=license_name, version_notes=message)
        return str(parse_model_handle(target.handle).to_url())


def _explain(target: KaggleTarget) -> AbstractContextManager[None]:
    return explain_refusals("Kaggle", str(target), _LOGIN, _list_secrets)


def _list_secrets() -> Sequence[str]:
    from kagglehub.config import get_kaggle_credentials

    try:
        found = get_kaggle_credentials()
    except ValueError:  # the file of credentials is damaged
        return []
    return [found.key or "", found.api_key or ""] if found else []
