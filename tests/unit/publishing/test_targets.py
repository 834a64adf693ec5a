"""Addresses of models on hubs."""

from __future__ import annotations

import pytest

from ftapp.common.errors import RecipeError
from ftapp.publishing.kaggle import check_framework
from ftapp.publishing.targets import KaggleTarget, parse_target


@pytest.mark.parametrize("text", ["hf://owner/my_model-1.0", "kaggle://owner/my-model/keras/base"])
def test_addresses_are_read(text: str) -> None:
    assert str(parse_target(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("owner/name", "'owner/name' is no place of a model; .*; did you mean 'hf://owner/name'"),
        ("https://huggingface.co/owner/name", "did you mean 'hf://owner/name'"),
        ("hf:owner/name", "did you mean 'hf://owner/name'"),
        ("", "'' is no place of a model; it is hf://OWNER/NAME or kaggle://OWNER/MODEL/FRAMEWORK/VARIATION$"),
        ("hf://name", "'hf://name' does not have the form hf://OWNER/NAME"),
        ("hf://a/b/c", "does not have the form"),
        ("hf://a/../b", "does not have the form"),
        ("hf://a/b--c", "no '--' or '..'"),
        ("hf://a/" + "b" * 97, "at most 96 characters"),
        ("hf://a/naïve", "does not have the form"),
        ("kaggle://owner/model", "does not have the form kaggle://OWNER/MODEL/FRAMEWORK/VARIATION"),
    ],
)
def test_other_addresses_are_refused_with_the_nearest_one(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_target(text)


def test_frameworks_are_those_of_kaggle() -> None:
    for name in ("keras", "tensorFlow2", "pyTorch", "pytorch", "onnx", "transformers"):
        check_framework(KaggleTarget(f"owner/model/{name}/base"))
    with pytest.raises(RecipeError, match="Kaggle has no framework 'kerras'; did you mean 'keras'"):
        check_framework(KaggleTarget("owner/model/kerras/base"))
