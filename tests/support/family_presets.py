"""Tiny random presets of today's families, with the tokenizers and image converters of their own."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from keras_hub import layers
from keras_hub import models as hub

from ftapp.models.backbone_config import config_completed
from tests.support.family_models import DINO, GEMMA, GROUPED, HEADS, VIT, efficientnet
from tests.support.presets import BAD, GOOD, OTHER, byte_tokens, set_weights

_SIZE = (32, 32)  # pixels of images
_TOKENS = 16


def save_preset(name: str, folder: Path) -> None:
    """Save the tiny preset of a family.

    Args:
        name: A key of `PRESETS`.
        folder: The new folder.
    """
    backbone, preprocessor = PRESETS[name]()
    set_weights(backbone, 4)
    with config_completed(backbone):
        backbone.save_to_preset(str(folder))
    preprocessor.save_to_preset(str(folder))


def _sized(sizes: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    return {**sizes, "vocabulary_size": tokenizer.vocabulary_size()}


def _byte_pairs(kind: Any, specials: Iterable[str]) -> Any:
    words = [*specials, *byte_tokens(), "th", "the"]
    return kind(vocabulary={word: index for index, word in enumerate(words)}, merges=["t h", "th e"])


def _sentence_pieces(size: int, *, byte_fallback: bool = False, **specials: str) -> bytes:
    """Train pieces on a few words. specials: the special tokens, by the names of the trainer, in their order."""
    import sentencepiece

    special: dict[str, Any] = {f"{name}_id": index for index, name in enumerate(specials)}
    special |= {f"{name}_piece": piece for name, piece in specials.items()}
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join([*GOOD, *BAD, *OTHER])] * 4),
        model_writer=model,
        vocab_size=size,
        byte_fallback=byte_fallback,
        hard_vocab_limit=False,
        minloglevel=2,
        **special,
    )
    return model.getvalue()


def _efficientnet() -> tuple[Any, Any]:
    converter = layers.EfficientNetImageConverter(image_size=_SIZE, scale=1 / 255)
    return efficientnet(num_features=1280), hub.EfficientNetImageClassifierPreprocessor(converter)


def _vit() -> tuple[Any, Any]:
    converter = layers.ViTImageConverter(image_size=(8, 8), scale=1 / 127.5, offset=-1)
    return hub.ViTBackbone(**VIT, mlp_dim=16), hub.ViTImageClassifierPreprocessor(converter)


def _dinov2() -> tuple[Any, Any]:
    converter = layers.DINOV2ImageConverter(image_size=(8, 8), scale=1 / 255)
    backbone = hub.DINOV2Backbone(**DINO, position_embedding_shape=(16, 16, 3))
    return backbone, hub.ImageClassifierPreprocessor(converter)


def _swin() -> tuple[Any, Any]:
    converter = layers.SwinTransformerImageConverter(image_size=(16, 16), scale=1 / 255)
    backbone = hub.SwinTransformerBackbone((16, 16, 3), 8, (2, 1), (2, 2), window_size=2, patch_size=2)
    return backbone, hub.SwinTransformerImageClassifierPreprocessor(converter)


def _deberta() -> tuple[Any, Any]:
    tokenizer = hub.DebertaV3Tokenizer(_sentence_pieces(48, pad="[PAD]", bos="[CLS]", eos="[SEP]", unk="[UNK]"))
    backbone = hub.DebertaV3Backbone(**_sized(HEADS, tokenizer), max_sequence_length=_TOKENS)
    return backbone, hub.DebertaV3TextClassifierPreprocessor(tokenizer, sequence_length=_TOKENS)


def _gemma3() -> tuple[Any, Any]:
    # With a piece for each byte, so that any text has tokens.
    proto = _sentence_pieces(300, pad="<pad>", eos="<eos>", bos="<bos>", unk="<unk>", byte_fallback=True)
    tokenizer = hub.Gemma3Tokenizer(proto, has_vision_tokens=False)
    backbone = hub.Gemma3Backbone(
        image_size=16, **_sized(GEMMA, tokenizer), use_post_ffw_norm=True, use_post_attention_norm=True
    )
    return backbone, hub.Gemma3CausalLMPreprocessor(tokenizer, sequence_length=_TOKENS)


def _qwen3() -> tuple[Any, Any]:
    tokenizer = _byte_pairs(hub.Qwen3Tokenizer, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    backbone = hub.Qwen3Backbone(**_sized(GEMMA, tokenizer), tie_word_embeddings=True)
    return backbone, hub.Qwen3CausalLMPreprocessor(tokenizer, sequence_length=_TOKENS)


def _llama3() -> tuple[Any, Any]:
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
    tokenizer = _byte_pairs(hub.Llama3Tokenizer, specials)
    backbone = hub.Llama3Backbone(**_sized(GROUPED, tokenizer), tie_word_embeddings=True)
    return backbone, hub.Llama3CausalLMPreprocessor(tokenizer, sequence_length=_TOKENS)


PRESETS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "efficientnet": _efficientnet,
    "vit": _vit,
    "dinov2": _dinov2,
    "swin": _swin,
    "deberta_v3": _deberta,
    "gemma3": _gemma3,
    "qwen3": _qwen3,
    "llama3": _llama3,
}
"""What builds the backbone and the preprocessor of each preset, by its name."""
