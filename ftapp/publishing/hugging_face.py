"""Sends a folder to a repository of Hugging Face, through its own library, which finds the token itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ftapp.common import downloads
from ftapp.common.errors import RunError
from ftapp.publishing.hub_errors import explain_refusals
from ftapp.publishing.targets import HuggingFaceTarget

_LOGIN = "log in by `hf auth login`, or set HF_TOKEN"


def check_login(target: HuggingFaceTarget) -> None:
    """Check that the hub answers and knows the token, before a model is exported for it.

    Raises:
        RunError: There is no token, the hub does not accept it, or it cannot be reached.
    """
    from huggingface_hub import get_token

    if not get_token():
        raise RunError(f"there is no token for Hugging Face; {_LOGIN}; --dry-run shows what would be sent without one")
    downloads.reach(_get_server(), str(target), any_answer=True)  # the library tries for half a minute
    with _explain(target):
        _make_api().whoami()


def push(
    target: HuggingFaceTarget, folder: Path, message: str, *, is_private: bool = False, revision: str | None = None
) -> str:
    """Send the files of a folder, in one commit or more.

    Large files go through Xet or LFS, whichever the hub and the library agree on. Files of the repository that the
    folder does not have stay there.

    Args:
        target: The repository, which is made if it is not there.
        folder: The folder.
        message: The message of the commit.
        is_private: Whether a new repository is private.
        revision: The branch, which is made if it is not there; None for the main one.

    Returns:
        The address of the repository, or of its branch.

    Raises:
        RunError: The hub refuses.
    """
    api = _make_api()
    with _explain(target):
        made = api.create_repo(target.name, private=is_private or None, exist_ok=True)
        if revision is not None:
            api.create_branch(target.name, branch=revision, exist_ok=True)
        api.upload_folder(repo_id=target.name, folder_path=folder, commit_message=message, revision=revision)
        return f"{made}/tree/{revision}" if revision else str(made)


def _make_api() -> Any:
    from huggingface_hub import HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    return HfApi(endpoint=_get_server())


def _get_server() -> str:
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def _explain(target: HuggingFaceTarget) -> AbstractContextManager[None]:
    return explain_refusals("Hugging Face", str(target), _LOGIN, _list_secrets)


def _list_secrets() -> Sequence[str]:
    from huggingface_hub import get_token

    return [get_token() or ""]
