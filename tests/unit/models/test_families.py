"""Groups, blocks and trainable flags on a tiny backbone of every family that KerasHub's tasks have."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import keras
import keras_hub
import pytest

from ftapp.freezing import freeze
from ftapp.models.layers import describe_layers
from ftapp.recipe.layer_rules import WeightedLayer
from tests.support.plans import make_plan

hub = keras_hub.models


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

DECODER = {"num_layers": 2, "hidden_dim": 8, "intermediate_dim": 16, "vocabulary_size": 50}
HEADS = {**DECODER, "num_heads": 2}
GROUPED = {**DECODER, "num_query_heads": 2, "num_key_value_heads": 1}
GEMMA = {**GROUPED, "head_dim": 4}
VIT = {"image_shape": (8, 8, 3), "patch_size": 4, "num_layers": 2, "num_heads": 2, "hidden_dim": 8}
DELTA = {
    "head_dim": 8,
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 4,
    "linear_value_head_dim": 4,
    "linear_conv_kernel_dim": 2,
}
EXPERTS = {"num_experts": 2, "top_k": 1, "moe_intermediate_dim": 8}


def resnet() -> Any:
    return hub.ResNetBackbone([64], [7], [64, 64], [1, 2], [1, 2], "basic_block", image_shape=(32, 32, 3))


def resnet_v2() -> Any:
    return hub.ResNetBackbone(
        [8, 8], [3, 3], [64, 8], [1, 2], [1, 2], "bottleneck_block", use_pre_activation=True, image_shape=(16, 16, 3)
    )


def cspnet(block: str, stage: str, ratio: float) -> Any:
    return hub.CSPNetBackbone(
        8, 3, 1, [1, 2], [1, 2], [8, 8], block, stage_type=stage, block_ratio=[ratio], image_shape=(16, 16, 3)
    )


def efficientnet() -> Any:
    return hub.EfficientNetBackbone(
        stackwise_width_coefficients=[1.0] * 4,
        stackwise_depth_coefficients=[1.0] * 4,
        stackwise_kernel_sizes=[3] * 4,
        stackwise_num_repeats=[1, 2, 2, 1],
        stackwise_input_filters=[8] * 4,
        stackwise_output_filters=[8] * 4,
        stackwise_expansion_ratios=[1, 2, 2, 2],
        stackwise_squeeze_and_excite_ratios=[0.0, 0.0, 0.25, 0.25],
        stackwise_strides=[1, 2, 2, 1],
        stackwise_block_types=["v1", "fused", "unfused", "cba"],
        stackwise_force_input_filters=[0] * 4,
        stackwise_nores_option=[False] * 4,
        input_shape=(32, 32, 3),
        num_features=16,
    )


def hgnetv2() -> Any:
    return hub.HGNetV2Backbone(
        depths=[1, 2],
        embedding_size=8,
        hidden_sizes=[8, 16],
        stem_channels=[3, 8, 8],
        hidden_act="relu",
        use_learnable_affine_block=True,
        stackwise_stage_filters=[(8, 8, 8, 1, 1, 3), (8, 8, 16, 2, 1, 3)],
        apply_downsample=[False, True],
        use_lightweight_conv_block=[False, True],
        image_shape=(32, 32, 3),
    )


def mit() -> Any:
    return hub.MiTBackbone(
        layerwise_depths=[1, 2],
        num_layers=2,
        layerwise_num_heads=[1, 2],
        layerwise_sr_ratios=[2, 1],
        max_drop_path_rate=0.1,
        layerwise_patch_sizes=[7, 3],
        layerwise_strides=[4, 2],
        image_shape=(16, 16, 3),
        hidden_dims=[8, 16],
    )


def mobilenet() -> Any:
    return hub.MobileNetBackbone(
        stackwise_expansion=[[8], [8, 8]],
        stackwise_num_blocks=[1, 2],
        stackwise_num_filters=[[8], [8, 8]],
        stackwise_kernel_size=[[3], [3, 3]],
        stackwise_num_strides=[[2], [1, 1]],
        stackwise_se_ratio=[[None], [0.25, 0.25]],
        stackwise_activation=[["relu"], ["relu", "relu"]],
        stackwise_padding=[[1], [1, 1]],
        output_num_filters=16,
        depthwise_filters=8,
        depthwise_stride=1,
        depthwise_residual=True,
        last_layer_filter=16,
        squeeze_and_excite=0.5,
        image_shape=(16, 16, 3),
        input_num_filters=8,
    )


def mobilenetv5(stages: list[list[str]], **options: Any) -> Any:
    def each(value: Any) -> list[list[Any]]:
        return [[value] * len(stage) for stage in stages]

    return hub.MobileNetV5Backbone(
        stackwise_block_types=stages,
        stackwise_num_blocks=[len(stage) for stage in stages],
        stackwise_num_filters=each(8),
        stackwise_strides=[[2, *[1] * (len(stage) - 1)] for stage in stages],
        stackwise_act_layers=each("relu"),
        stackwise_exp_ratios=each(2.0),
        stackwise_se_ratios=each(0.0),
        stackwise_dw_kernel_sizes=each(3),
        stackwise_dw_start_kernel_sizes=each(0),
        stackwise_dw_end_kernel_sizes=each(0),
        stackwise_exp_kernel_sizes=each(3),
        stackwise_pw_kernel_sizes=each(1),
        stackwise_num_heads=each(2),
        stackwise_key_dims=each(4),
        stackwise_value_dims=each(4),
        stackwise_kv_strides=each(1),
        stackwise_use_cpe=each(False),
        stem_size=8,
        num_features=16,
        image_shape=(32, 32, 3),
        **options,
    )


def smollm3() -> Any:
    return hub.SmolLM3Backbone(
        **DECODER,
        num_attention_heads=2,
        num_key_value_heads=1,
        attention_bias=False,
        attention_dropout=0.0,
        rope_layer_enabled_list=[True, False],
        layer_types=["full_attention"] * 2,
        mlp_bias=False,
        layer_norm_epsilon=1e-5,
        max_position_embeddings=32,
        rope_theta=1e4,
        partial_rotary_factor=1.0,
    )


def rwkv7() -> Any:
    return hub.RWKV7Backbone(
        hidden_size=8,
        head_size=4,
        num_layers=2,
        vocabulary_size=50,
        intermediate_dim=16,
        gate_lora=4,
        mv_lora=4,
        aaa_lora=4,
        decay_lora=4,
    )


def qwen3_5_moe() -> Any:
    sizes = {name: size for name, size in GROUPED.items() if name != "intermediate_dim"}
    return hub.Qwen3_5MoeBackbone(**sizes, **EXPERTS, **DELTA, shared_expert_intermediate_size=8)


def gemma3() -> Any:
    vision = hub.Gemma3VisionEncoder(16, 4, 2, 8, 2, 16, output_dim=8, pool_size=2)
    return hub.Gemma3Backbone(image_size=16, vision_encoder=vision, use_post_ffw_norm=True, **GEMMA)


def paligemma() -> Any:
    return hub.PaliGemmaBackbone(
        image_size=16,
        vit_patch_size=4,
        vit_num_heads=2,
        vit_hidden_dim=8,
        vit_num_layers=2,
        vit_intermediate_dim=16,
        **GEMMA,
    )


def gemma4() -> Any:
    vision = hub.Gemma4VisionEncoder(24, 4, 2, 8, 2, 16, head_dim=4, output_dim=8, num_key_value_heads=2)
    audio = hub.Gemma4AudioEncoder(
        16, 8, 2, 2, chunk_size=4, context_left=5, sscp_conv_channels=(4, 4), output_proj_dims=8, output_dim=8
    )
    return hub.Gemma4Backbone(
        image_size=24, vision_encoder=vision, audio_encoder=audio, num_audio_tokens_per_clip=4, **GEMMA
    )


def gemma4_experts() -> Any:
    return hub.Gemma4Backbone(
        image_size=16,
        hidden_size_per_layer_input=4,
        enable_moe_block=True,
        num_experts=2,
        expert_intermediate_dim=8,
        num_experts_per_token=1,
        **GEMMA,
    )


def gemma3n() -> Any:
    vision = mobilenetv5([["er", "er"]], use_msfa=False)
    audio = {
        "hidden_size": 8,
        "input_feat_size": 16,
        "sscp_conv_channel_size": [4, 4],
        "sscp_conv_kernel_size": [(3, 3), (3, 3)],
        "sscp_conv_stride_size": [(2, 2), (2, 2)],
        "sscp_conv_group_norm_eps": 1e-5,
        "num_hidden_layers": 2,
        "rms_norm_eps": 1e-6,
        "gradient_clipping": 1.0,
        "residual_weight": 0.5,
        "num_attention_heads": 1,
        "attention_chunk_size": 4,
        "num_attention_context_right": 5,
        "num_attention_context_left": 5,
        "attention_logit_cap": 50.0,
        "conv_kernel_size": 5,
        "reduction_factor": 1,
    }
    return hub.Gemma3nBackbone(
        text_vocab_size=50,
        text_hidden_size=8,
        num_hidden_layers=2,
        pad_token_id=0,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=4,
        intermediate_size=[16, 16],
        hidden_activation="gelu_approximate",
        layer_types=["full_attention", "sliding_attention"],
        sliding_window=4,
        rope_theta=1e4,
        max_position_embeddings=16,
        vocab_size_per_layer_input=50,
        hidden_size_per_layer_input=2,
        altup_num_inputs=2,
        laurel_rank=1,
        vision_encoder_config=vision.get_config(),
        vision_hidden_size=8,
        audio_encoder_config=audio,
        audio_hidden_size=8,
    )


def parseq() -> Any:
    return hub.PARSeqBackbone(
        image_encoder=hub.ViTBackbone(**VIT, mlp_dim=16, use_class_token=False),
        vocabulary_size=50,
        max_label_length=5,
        decoder_hidden_dim=8,
        num_decoder_layers=2,
        num_decoder_heads=2,
        decoder_mlp_dim=16,
    )


def blip2() -> Any:
    return hub.BLIP2Backbone(
        vision_encoder=hub.BLIP2VisionEncoder(8, 4, 2, 2, 8, 16, True, True, True, True, 0.0, 1e-6, 0.02),
        qformer=hub.BLIP2QFormer(2, 2, 2, 8, 16, 8, 2, 0.0, 1e-6),
        language_model=hub.BLIP2CustomOPT(50, 2, 2, 8, 16, 2, 0.0, 16, 8),
    )


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


@functools.cache
def built(family: str) -> tuple[Any, Any]:
    """The family's backbone and a model of all of it."""
    backbone = FAMILIES[family].make()
    return keras.Model(backbone.input, backbone.output), backbone


@functools.cache
def layers_of(family: str) -> list[WeightedLayer]:
    return [each.description for each in describe_layers(*built(family))]


def names(found: Iterable[WeightedLayer], group: str) -> list[str]:
    """The names of a group's layers in order of the alphabet, without what tells layers of one name apart."""
    last = (layer.path.rsplit("/", 1)[-1] for layer in found if group in layer.groups)
    return sorted(re.sub(r"^conformer_\d+_(attention|ffw_start|ffw_end)_|_\d+$", "", name) for name in last)


def trained(family: str, *rules: str) -> list[WeightedLayer]:
    return [decision.description for decision in make_plan(*built(family), rules).trained_layers]


every_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.mark.parametrize("task", ["ImageClassifier", "TextClassifier", "CausalLM"])
def test_every_task_of_kerashub_has_its_family_here(task: str) -> None:
    tasks = {name: getattr(hub, name) for name in dir(hub) if name.endswith(task) and name != task}
    assert len(tasks) >= 8
    tested = {family.partition(" ")[0] for family in FAMILIES}
    assert {each.backbone_cls.__name__ for each in tasks.values()} <= tested


@every_family
def test_every_weight_belongs_to_one_layer(family: str) -> None:
    model, backbone = built(family)
    assert type(backbone).__name__ == family.partition(" ")[0]
    plan = make_plan(model, backbone, [])
    assert plan.parameters == model.count_params() == backbone.count_params()
    assert len({layer.path for layer in plan.descriptions}) == len(plan.descriptions)
    assert all("backbone" in layer.groups and "head" not in layer.groups for layer in plan.descriptions)


@every_family
def test_blocks_are_found_in_the_order_of_the_network(family: str) -> None:
    blocks = FAMILIES[family].blocks
    assert {layer.blocks for layer in layers_of(family)} == {len(blocks)}
    for layer in layers_of(family):
        if layer.block is None:
            assert not any(fnmatchcase(layer.path, block.layers) for block in blocks), layer.path
        else:
            assert fnmatchcase(layer.path, blocks[layer.block].layers), layer.path
    assert {layer.block for layer in layers_of(family)} - {None} == set(range(len(blocks)))


@every_family
def test_attention_mlp_and_norms_of_each_block(family: str) -> None:
    for index, block in enumerate(FAMILIES[family].blocks):
        found = [layer for layer in layers_of(family) if layer.block == index]
        assert names(found, "attention") == sorted(block.attention.split())
        assert names(found, "mlp") == sorted(block.mlp.split())
        assert names(found, "norms") or family == "VGGBackbone"
        assert not any({"attention", "mlp"} <= layer.groups or "embeddings" in layer.groups for layer in found)


@every_family
def test_embeddings_lie_outside_of_blocks_and_stems_are_none(family: str) -> None:
    outside = [layer for layer in layers_of(family) if layer.block is None]
    assert names(outside, "embeddings") == sorted(FAMILIES[family].embeddings.split())
    assert names(outside, "attention") == names(outside, "mlp") == []
    assert names(outside, "pooler") == (["pooled_dense"] if family.startswith(("Bert", "Albert", "FNet")) else [])


@every_family
def test_ranges_and_globs_choose_blocks(family: str) -> None:
    blocks = FAMILIES[family].blocks
    inside = [layer for layer in layers_of(family) if layer.block is not None]
    for rule, chosen in {
        "first:1": [0],
        "last:1": [len(blocks) - 1],
        "blocks[1:]": list(range(1, len(blocks))),
        "blocks[-2]": [len(blocks) - 2],
    }.items():
        assert trained(family, "freeze all", f"train {rule}") == [layer for layer in inside if layer.block in chosen]
    matching = [layer for layer in layers_of(family) if fnmatchcase(layer.path, blocks[-1].layers)]
    assert trained(family, "freeze all", f"train {blocks[-1].layers}") == matching


@every_family
@pytest.mark.parametrize("rules", [["freeze all", "train attention, norms"], ["freeze embeddings", "freeze mlp"]])
def test_the_optimizer_gets_what_the_rules_leave(family: str, rules: list[str]) -> None:
    model, backbone = built(family)
    plan = make_plan(model, backbone, rules)
    freeze.apply(model, plan)
    expected = {id(variable) for each in plan.trained_layers for variable in each.layer._trainable_variables}
    assert {id(variable) for variable in model.trainable_variables} == expected
    assert plan.trainable_parameters == sum(math.prod(variable.shape) for variable in model.trainable_variables)


def test_a_towers_own_number_is_not_a_blocks() -> None:
    backbones = [gemma3(), gemma3()]  # Keras names the second's tower gemma3_vision_encoder_N
    for backbone in backbones:
        assert {each.description.blocks for each in describe_layers(backbone, backbone)} == {4}
