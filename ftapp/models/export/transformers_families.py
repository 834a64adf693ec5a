"""KerasHub's classifiers as those of Hugging Face Transformers: configurations, and names and shapes of weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[Any]]
"""Weights by their paths in KerasHub's backbone, or by their names in Transformers."""


@dataclass(frozen=True)
class Family:
    """A family of models that both libraries have.

    Attributes:
        architecture: The name of Transformers' classifier.
        configure: Gives its `config.json` for a backbone's configuration, without the labels.
        convert: Gives its weights for a backbone's weights, without the classifier's linear layer.
        find_fault: Says why a backbone's configuration has no counterpart; None where it has one.
    """

    architecture: str
    configure: Callable[[Mapping[str, Any]], dict[str, Any]]
    convert: Callable[[Weights, Mapping[str, Any]], dict[str, NDArray[Any]]]
    find_fault: Callable[[Mapping[str, Any]], str | None]


def _dense(found: dict[str, NDArray[Any]], name: str, weights: Weights, path: str, *, joined: int = 1) -> None:
    """Add a dense layer, whose kernel Transformers keeps as (outputs, inputs).

    Args:
        found: The weights so far.
        name: Its name in Transformers.
        weights: KerasHub's weights.
        path: Its path there.
        joined: How many leading axes of KerasHub's kernel are inputs.
    """
    kernel = weights[f"{path}/kernel"]
    found[f"{name}.weight"] = kernel.reshape(int(np.prod(kernel.shape[:joined])), -1).T
    if f"{path}/bias" in weights:
        found[f"{name}.bias"] = weights[f"{path}/bias"].reshape(-1)


def _norm(found: dict[str, NDArray[Any]], name: str, weights: Weights, path: str) -> None:
    found[f"{name}.weight"], found[f"{name}.bias"] = weights[f"{path}/gamma"], weights[f"{path}/beta"]


def _configure_bert(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model_type": "bert",
        "vocab_size": config["vocabulary_size"],
        "num_hidden_layers": config["num_layers"],
        "num_attention_heads": config["num_heads"],
        "hidden_size": config["hidden_dim"],
        "intermediate_size": config["intermediate_dim"],
        "max_position_embeddings": config["max_sequence_length"],
        "type_vocab_size": config["num_segments"],
        "hidden_act": "gelu_new",  # KerasHub's BERT has the approximation by tanh
        "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": config["dropout"],
        "attention_probs_dropout_prob": config["dropout"],
    }


def _convert_bert(weights: Weights, config: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    found = {
        "bert.embeddings.word_embeddings.weight": weights["token_embedding/embeddings"],
        "bert.embeddings.position_embeddings.weight": weights["position_embedding/embeddings"],
        "bert.embeddings.token_type_embeddings.weight": weights["segment_embedding/embeddings"],
    }
    _norm(found, "bert.embeddings.LayerNorm", weights, "embeddings_layer_norm")
    for index in range(config["num_layers"]):
        ours, theirs = f"transformer_layer_{index}", f"bert.encoder.layer.{index}"
        for part in ("query", "key", "value"):
            _dense(found, f"{theirs}.attention.self.{part}", weights, f"{ours}/self_attention_layer/{part}")
        output = f"{ours}/self_attention_layer/attention_output"
        _dense(found, f"{theirs}.attention.output.dense", weights, output, joined=2)
        _norm(found, f"{theirs}.attention.output.LayerNorm", weights, f"{ours}/self_attention_layer_norm")
        _dense(found, f"{theirs}.intermediate.dense", weights, f"{ours}/feedforward_intermediate_dense")
        _dense(found, f"{theirs}.output.dense", weights, f"{ours}/feedforward_output_dense")
        _norm(found, f"{theirs}.output.LayerNorm", weights, f"{ours}/feedforward_layer_norm")
    _dense(found, "bert.pooler.dense", weights, "pooled_dense")
    return found


def _configure_vit(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model_type": "vit",
        "image_size": config["image_shape"][0],
        "patch_size": config["patch_size"][0],
        "num_channels": 3,
        "num_hidden_layers": config["num_layers"],
        "num_attention_heads": config["num_heads"],
        "hidden_size": config["hidden_dim"],
        "intermediate_size": config["mlp_dim"],
        "hidden_act": "gelu",
        "layer_norm_eps": config["layer_norm_epsilon"],
        "hidden_dropout_prob": config["dropout_rate"],
        "attention_probs_dropout_prob": config["attention_dropout"],
        "qkv_bias": config["use_mha_bias"],
    }


def _convert_vit(weights: Weights, config: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    start = "vit_patching_and_embedding"
    found = {
        "vit.embeddings.cls_token": weights[f"{start}/class_token"],
        "vit.embeddings.position_embeddings": weights[f"{start}/position_embedding/embeddings"][None],
        "vit.embeddings.patch_embeddings.projection.weight": weights[f"{start}/patch_embedding/kernel"].transpose(
            3, 2, 0, 1
        ),
        "vit.embeddings.patch_embeddings.projection.bias": weights[f"{start}/patch_embedding/bias"],
    }
    for index in range(config["num_layers"]):
        ours, theirs = f"vit_encoder/transformer_block_{index + 1}", f"vit.encoder.layer.{index}"
        for part in ("query", "key", "value"):
            _dense(found, f"{theirs}.attention.attention.{part}", weights, f"{ours}/mha/{part}")
        _dense(found, f"{theirs}.attention.output.dense", weights, f"{ours}/mha/attention_output", joined=2)
        _norm(found, f"{theirs}.layernorm_before", weights, f"{ours}/ln_1")
        _norm(found, f"{theirs}.layernorm_after", weights, f"{ours}/ln_2")
        _dense(found, f"{theirs}.intermediate.dense", weights, f"{ours}/mlp/dense_1")
        _dense(found, f"{theirs}.output.dense", weights, f"{ours}/mlp/dense_2")
    _norm(found, "vit.layernorm", weights, "vit_encoder/ln")
    return found


def _find_fault_of_vit(config: Mapping[str, Any]) -> str | None:
    height, width, _ = config["image_shape"]
    rows, columns = config["patch_size"]
    if height != width or rows != columns:
        return f"Transformers' ViT has square images and patches, and this one has {height} x {width} pixels"
    lacking = [name for name in ("use_class_token", "use_mlp_bias", "use_patch_bias") if not config[name]]
    return f"Transformers' ViT has what this one was built without ({lacking[0]} = false)" if lacking else None


FAMILIES: Mapping[str, Family] = {
    "BertBackbone": Family("BertForSequenceClassification", _configure_bert, _convert_bert, lambda config: None),
    "ViTBackbone": Family("ViTForImageClassification", _configure_vit, _convert_vit, _find_fault_of_vit),
}
"""The families by the class of KerasHub's backbone."""
