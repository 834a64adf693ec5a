"""Small models of KerasHub's families that take more than a line to build."""

from __future__ import annotations

from typing import Any

from keras_hub import models as hub

DECODER = {"num_layers": 2, "hidden_dim": 8, "intermediate_dim": 16, "vocabulary_size": 50}
HEADS = {**DECODER, "num_heads": 2}
GROUPED = {**DECODER, "num_query_heads": 2, "num_key_value_heads": 1}
GEMMA = {**GROUPED, "head_dim": 4}
VIT = {"image_shape": (8, 8, 3), "patch_size": 4, "num_layers": 2, "num_heads": 2, "hidden_dim": 8}
DINO = {
    "image_shape": (8, 8, 3),
    "patch_size": 4,
    "num_layers": 2,
    "hidden_dim": 8,
    "num_heads": 2,
    "intermediate_dim": 16,
}
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


def efficientnet(num_features: int = 16) -> Any:
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
        num_features=num_features,
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
