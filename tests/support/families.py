"""A small model of each family of KerasHub, with the blocks, attention and MLP layers that it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras_hub import models as hub

from tests.support.family_models import (
    DECODER,
    DELTA,
    DINO,
    EXPERTS,
    GEMMA,
    GROUPED,
    HEADS,
    VIT,
    blip2,
    cspnet,
    efficientnet,
    gemma3,
    gemma3n,
    gemma4,
    gemma4_experts,
    hgnetv2,
    mit,
    mobilenet,
    mobilenetv5,
    paligemma,
    parseq,
    qwen3_5_moe,
    resnet,
    resnet_v2,
    rwkv7,
    smollm3,
)


@dataclass(frozen=True)
class Block:
    """What one repeated block holds: a glob for its layers' paths, and the names of its attention and mlp."""

    layers: str
    attention: str = ""
    mlp: str = ""


@dataclass(frozen=True)
class Family:
    """A tiny backbone; its blocks in the order of the network; the names of its embeddings."""

    make: Callable[[], Any]
    blocks: list[Block]
    embeddings: str = ""


def numbered(pattern: str, attention: str = "", mlp: str = "", start: int = 0) -> list[Block]:
    """Two blocks alike, whose pattern holds their number."""
    return [Block(pattern.format(index), attention, mlp) for index in range(start, start + 2)]


def named(*patterns: str) -> list[Block]:
    """Blocks of convolutions."""
    return [Block(pattern) for pattern in patterns]


QKVO = "query key value attention_output"
QKVO_NORMS = QKVO + " query_norm key_norm"
DENSE_QKVO = "query_dense key_dense value_dense output_dense"
PROJECTIONS = "query_proj key_proj value_proj out_proj"
GATED_DELTA = "linear_attn in_proj_qkv in_proj_z in_proj_b in_proj_a norm out_proj"
TWO = "feedforward_intermediate_dense feedforward_output_dense"
GATED = TWO + " feedforward_gate_dense"
MOE = "sparse_feedforward_gate_dense experts"
FFW = "ffw_gating ffw_gating ffw_linear"
PLAIN_MLP = "mlp_dense mlp_dense"
VIT_MLP = "dense dense"
MIX_FFN = "dense depthwise_conv2d dense"
TOKENS = "token_embedding"
POSITIONS = f"{TOKENS} position_embedding"
VISION = "embedding_conv position_embedding"
FAMILIES = {
    # Image classifiers
    "VGGBackbone": Family(
        lambda: hub.VGGBackbone([1, 2, 1], [4, 4, 4], image_shape=(16, 16, 3)),
        named("block1_*", "block2_*", "block3_*"),
    ),
    "ResNetBackbone": Family(resnet, named("stack0_block0_*", "stack1_block0_*", "stack1_block1_*")),
    "ResNetBackbone v2": Family(resnet_v2, named("stack0_block0_*", "stack1_block0_*", "stack1_block1_*")),
    "CSPNetBackbone": Family(
        lambda: cspnet("dark_block", "csp", 0.5), named("stage_0_block_0_*", "stage_1_block_0_*", "stage_1_block_1_*")
    ),
    "CSPNetBackbone of edge blocks": Family(
        lambda: cspnet("edge_block", "cs3", 0.5), named("stage_0_block_0_*", "stage_1_block_0_*", "stage_1_block_1_*")
    ),
    "CSPNetBackbone of bottlenecks": Family(
        lambda: cspnet("bottleneck_block", "dark", 1.0),
        named("stage_0_block_0_*", "stage_1_block_0_*", "stage_1_block_1_*"),
    ),
    "DenseNetBackbone": Family(
        lambda: hub.DenseNetBackbone([1, 2], image_shape=(32, 32, 3), growth_rate=4),
        named("stack1_block1_*", "stack2_block1_*", "stack2_block2_*"),
    ),
    "EfficientNetBackbone": Family(
        efficientnet, named("block1a_*", "block2a_*", "block2b_*", "block3a_*", "block3b_*", "block4a_*")
    ),
    "HGNetV2Backbone": Family(
        hgnetv2,
        named(*(f"encoder/encoder_stage_{n[0]}/encoder_stage_{n[0]}_block_{n[1]}/*" for n in ("00", "10", "11"))),
    ),
    "MobileNetBackbone": Family(
        mobilenet, named("block_0_0/*", "block_1_0/*", "block_2_0/*", "block_2_1/*", "block_3_0/*")
    ),
    "XceptionBackbone": Family(
        lambda: hub.XceptionBackbone([[8, 8], [8, 16], [16, 24]], [False, True, False], image_shape=(16, 16, 3)),
        named("block1_*", "block2_*", "block3_*"),
    ),
    "MobileNetV5Backbone": Family(
        lambda: mobilenetv5([["er", "er"], ["uir", "mqa", "uir"]], msfa_output_resolution=4),
        [
            *named("edge_residual*", "edge_residual*", "universal_inverted_residual*"),
            Block("mobile_attention*", "query_proj key_proj value_proj output_proj"),
            *named("universal_inverted_residual*"),
        ],
    ),
    "MiTBackbone": Family(
        mit,
        [
            # Its first stage shortens keys and values by a convolution, which a norm follows.
            Block("hierarchical_encoder_0_0/*", "dense dense dense dense conv2d layer_normalization", MIX_FFN),
            *numbered("hierarchical_encoder_1_{}/*", "dense dense dense dense", MIX_FFN),
        ],
        "conv2d layer_normalization conv2d layer_normalization",
    ),
    "SwinTransformerBackbone": Family(
        lambda: hub.SwinTransformerBackbone((16, 16, 3), 8, (2, 1), (2, 2), window_size=2, patch_size=2),
        [
            *numbered("stage_0/blocks_{}/*", "attn attention_qkv attention_projection", "fc1 fc2"),
            Block("stage_1/blocks_0/*", "attn attention_qkv attention_projection", "fc1 fc2"),
        ],
        "conv_projection norm",
    ),
    "ViTBackbone": Family(
        lambda: hub.ViTBackbone(**VIT, mlp_dim=16),
        numbered("vit_encoder/transformer_block_{}/*", QKVO, VIT_MLP, start=1),
        "vit_patching_and_embedding patch_embedding position_embedding",
    ),
    "DeiTBackbone": Family(
        lambda: hub.DeiTBackbone(**VIT, intermediate_dim=16),
        numbered("deit_encoder/transformer_block_{}/*", QKVO, "dense output", start=1),
        "deit_patching_and_embedding patch_embedding",
    ),
    # Without a classifier in KerasHub
    "DINOV2Backbone": Family(
        lambda: hub.DINOV2Backbone(**DINO, position_embedding_shape=(16, 16, 3)),
        numbered("encoder/layers_{}/*", QKVO, "fc1 fc2"),
        "embeddings projection",
    ),
    "DINOV3Backbone": Family(
        lambda: hub.DINOV3Backbone(**DINO),
        numbered("encoder/layers_{}/*", "q_proj k_proj v_proj o_proj", "up_proj down_proj"),
        "embeddings projection",
    ),
    # Text classifiers
    "BertBackbone": Family(
        lambda: hub.BertBackbone(**HEADS),
        numbered("transformer_layer_{}/*", QKVO, TWO),
        f"{POSITIONS} segment_embedding embeddings_layer_norm",
    ),
    "RobertaBackbone": Family(
        lambda: hub.RobertaBackbone(**HEADS),
        numbered("transformer_layer_{}/*", QKVO, TWO),
        f"{POSITIONS} embeddings_layer_norm",
    ),
    "XLMRobertaBackbone": Family(
        lambda: hub.XLMRobertaBackbone(**HEADS),
        numbered("transformer_layer_{}/*", QKVO, TWO),
        f"{POSITIONS} embeddings_layer_norm",
    ),
    "DistilBertBackbone": Family(
        lambda: hub.DistilBertBackbone(**HEADS),
        numbered("transformer_layer_{}/*", QKVO, TWO),
        f"{POSITIONS} embeddings_layer_norm",
    ),
    "AlbertBackbone": Family(
        # Each of its two groups of layers runs twice.
        lambda: hub.AlbertBackbone(50, 4, 2, 4, 8, 16, num_groups=2),
        numbered("group_{}_inner_layer_0/*", QKVO, TWO),
        f"{POSITIONS} segment_embedding embeddings_layer_norm embedding_projection",
    ),
    "DebertaV3Backbone": Family(
        lambda: hub.DebertaV3Backbone(**HEADS),
        numbered("disentangled_attention_encoder_layer_{}/*", QKVO, TWO),
        f"{TOKENS} embeddings_layer_norm rel_embedding rel_embeddings_layer_norm",
    ),
    "FNetBackbone": Family(
        # Fourier transforms, which have no weights, in the place of attention.
        lambda: hub.FNetBackbone(**DECODER),
        numbered("f_net_layer_{}/*", "", "intermediate_dense output_dense"),
        f"{POSITIONS} segment_embedding embeddings_layer_norm embedding_projection",
    ),
    "RoformerV2Backbone": Family(
        lambda: hub.RoformerV2Backbone(**HEADS, head_size=4),
        numbered("transformer_layer_{}/*", "q_dense_layer k_dense_layer v_dense_layer o_dense_layer", TWO),
        f"{TOKENS} segment_embedding embeddings_layer_norm",
    ),
    # Causal language models
    "GPT2Backbone": Family(lambda: hub.GPT2Backbone(**HEADS), numbered("transformer_layer_{}/*", QKVO, TWO), POSITIONS),
    "OPTBackbone": Family(lambda: hub.OPTBackbone(**HEADS), numbered("transformer_layer_{}/*", QKVO, TWO), POSITIONS),
    "BloomBackbone": Family(
        lambda: hub.BloomBackbone(**HEADS),
        numbered("transformer_layer_{}/*", DENSE_QKVO, "mlp_intermediate_dense mlp_output_dense"),
        f"{TOKENS} embedding_layernorm",
    ),
    "FalconBackbone": Family(
        lambda: hub.FalconBackbone(**DECODER, num_attention_heads=2),
        numbered("transformer_layer_{}/*", DENSE_QKVO, "dense_h_to_4h dense_4h_to_h"),
        TOKENS,
    ),
    "GPTNeoXBackbone": Family(
        lambda: hub.GPTNeoXBackbone(**HEADS),
        numbered("transformer_layer_{}/*", "query_key_value attention_output", TWO),
        TOKENS,
    ),
    "LlamaBackbone": Family(
        lambda: hub.LlamaBackbone(**GROUPED), numbered("transformer_layer_{}/*", QKVO, GATED), TOKENS
    ),
    "Llama3Backbone": Family(
        lambda: hub.Llama3Backbone(**GROUPED), numbered("transformer_layer_{}/*", QKVO, GATED), TOKENS
    ),
    "MistralBackbone": Family(
        lambda: hub.MistralBackbone(**GROUPED), numbered("transformer_layer_{}/*", QKVO, GATED), TOKENS
    ),
    "MixtralBackbone": Family(
        lambda: hub.MixtralBackbone(**GROUPED, num_experts=2), numbered("transformer_layer_{}/*", QKVO, MOE), TOKENS
    ),
    "Phi3Backbone": Family(
        lambda: hub.Phi3Backbone(**GROUPED), numbered("transformer_layer_{}/*", QKVO, GATED), TOKENS
    ),
    "QwenBackbone": Family(
        lambda: hub.QwenBackbone(**GROUPED), numbered("transformer_layer_{}/*", QKVO, GATED), TOKENS
    ),
    "QwenMoeBackbone": Family(
        lambda: hub.QwenMoeBackbone(**GROUPED, **EXPERTS, shared_expert_intermediate_dim=8),
        numbered("transformer_layer_{}/*", QKVO, f"{MOE} {GATED} shared_expert_gate_dense"),
        TOKENS,
    ),
    "Qwen3Backbone": Family(
        lambda: hub.Qwen3Backbone(**GEMMA),
        numbered("transformer_layer_{}/*", f"{QKVO} query_dense_layernorm key_dense_layernorm", GATED),
        TOKENS,
    ),
    "Qwen3MoeBackbone": Family(
        lambda: hub.Qwen3MoeBackbone(**GEMMA, **EXPERTS),
        numbered("transformer_layer_{}/*", f"{QKVO} query_dense_layernorm key_dense_layernorm", MOE),
        TOKENS,
    ),
    "Qwen3_5Backbone": Family(
        lambda: hub.Qwen3_5Backbone(**GROUPED, **DELTA),
        [
            Block("transformer_layer_0/*", GATED_DELTA, GATED),
            Block("transformer_layer_1/*", QKVO_NORMS, GATED),
        ],
        TOKENS,
    ),
    "Qwen3_5MoeBackbone": Family(
        qwen3_5_moe,
        [
            Block("transformer_layer_0/*", GATED_DELTA, f"{GATED} experts router_gate shared_expert_gate"),
            Block("transformer_layer_1/*", QKVO_NORMS, f"{GATED} experts router_gate shared_expert_gate"),
        ],
        TOKENS,
    ),
    "RWKV7Backbone": Family(
        rwkv7,
        numbered(
            "rwkv_layer_{}/*",
            "RWKV_TIME_MIX receptance key value output_layer group_normalization",
            "RWKV_CMIX dense_k dense_v",
        ),
        TOKENS,
    ),
    "SmolLM3Backbone": Family(
        smollm3,
        numbered("transformer_layer_{}/*", "q_proj k_proj v_proj o_proj rotary_emb", "gate_proj up_proj down_proj"),
        TOKENS,
    ),
    "GptOssBackbone": Family(
        lambda: hub.GptOssBackbone(**GEMMA, num_experts=2),
        numbered("transformer_layer_{}/*", f"self_attention {QKVO}", "router_dense experts"),
        TOKENS,
    ),
    "GemmaBackbone": Family(lambda: hub.GemmaBackbone(**GEMMA), numbered("decoder_block_{}/*", QKVO, FFW), TOKENS),
    "GemmaBackbone of Gemma 2": Family(
        lambda: hub.GemmaBackbone(**GEMMA, use_post_ffw_norm=True, use_post_attention_norm=True),
        numbered("decoder_block_{}/*", QKVO, FFW),
        TOKENS,
    ),
    "Gemma3Backbone for text": Family(
        lambda: hub.Gemma3Backbone(image_size=16, **GEMMA), numbered("decoder_block_{}/*", QKVO_NORMS, FFW), TOKENS
    ),
    "Gemma4Backbone with experts": Family(
        gemma4_experts,
        # The block itself holds a scale, which is of no group.
        numbered("decoder_block_{}*", QKVO_NORMS, f"{FFW} moe_router proj moe_expert_bank"),
        f"{TOKENS} per_layer_token_embedding",
    ),
    # Those that see or hear: the towers' blocks come before the decoder's.
    "Gemma3Backbone": Family(
        gemma3,
        [
            *numbered("gemma3_vision_encoder*/image_encoder/encoder_block_{}/*", PROJECTIONS, PLAIN_MLP),
            *numbered("decoder_block_{}/*", QKVO_NORMS, FFW),
        ],
        f"{VISION} vision_soft_embedding_norm {TOKENS}",
    ),
    "PaliGemmaBackbone": Family(
        paligemma,
        [
            *numbered("pali_gemma_vit*/image_encoder/encoder_block_{}/*", PROJECTIONS, PLAIN_MLP),
            *numbered("decoder_block_{}/*", QKVO, FFW),
        ],
        f"{VISION} {TOKENS}",
    ),
    "Gemma4Backbone": Family(
        gemma4,
        [
            # Here each projection is a layer that clips with the dense layer that it clips inside.
            *numbered(
                "gemma4_vision_encoder*/image_encoder/encoder_block_{}/*",
                f"{QKVO_NORMS} dense dense dense dense",
                f"{FFW} dense dense dense",
            ),
            *numbered(
                "gemma4_audio_encoder*/conformer_{}/*",
                "attn attn_q_proj attn_k_proj attn_v_proj out_proj rpe"
                " attn_q_proj_dense attn_k_proj_dense attn_v_proj_dense out_proj_dense",
                "ffw ffw_1_dense ffw ffw_2_dense ffw ffw_1_dense ffw ffw_2_dense",
            ),
            *numbered("decoder_block_{}*", QKVO_NORMS, FFW),
        ],
        f"patch_embedder input_proj {TOKENS}",
    ),
    "Gemma3nBackbone": Family(
        gemma3n,
        [
            *named(*["multimodal_embedding_processor/mobile_net_v5_backbone*/edge_residual*"] * 2),
            *numbered(
                "multimodal_embedding_processor/gemma3n_audio_encoder*/conformer_block_{}/*",
                "attn pos_proj q_proj k_proj v_proj post",
                "ffw_layer ffw_layer ffw_layer ffw_layer",
            ),
            *numbered(
                "text_model/decoder_block_{}/*",
                "q_proj k_proj v_proj o_proj q_norm k_norm",
                "gate_proj up_proj down_proj",
            ),
        ],
        # The embedders of vision and sound, then those of the text and of each of its layers.
        "embedding hard_embedding_norm soft_embedding_norm embedding_projection"
        " embedding hard_embedding_norm soft_embedding_norm embedding_projection embedding embedding",
    ),
    "PARSeqBackbone": Family(
        parseq,
        [
            *numbered("vi_t_backbone*/vit_encoder/transformer_block_{}/*", QKVO, VIT_MLP, start=1),
            *numbered("decoder/decoder_layer_{}/*", f"{QKVO} {QKVO}", VIT_MLP),
        ],
        f"patch_embedding position_embedding decoder {TOKENS}",
    ),
    "BLIP2Backbone": Family(
        blip2,
        [
            *numbered("blip2_vision_encoder*/encoder/transformer_block_{}/*", QKVO, VIT_MLP, start=1),
            Block("blip2q_former*/transformer_layer_0/*", f"{QKVO} {QKVO}", "intermediate_dense output_dense"),
            Block("blip2q_former*/transformer_layer_1/*", QKVO, "intermediate_dense output_dense"),
            *numbered("blip2_custom_opt*/transformer_layer_{}/*", QKVO, TWO),
        ],
        f"patching_and_embedding patch_embedding position_embedding {POSITIONS}",
    ),
}
