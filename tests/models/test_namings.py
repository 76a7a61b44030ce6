"""What libraries call the tensors of ViT and ConvNeXt: files in their names give the weights of the canonical ones."""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxplain._errors import InputError
from jaxplain.models import ARCHITECTURES, load
from jaxplain.models.checkpoint import tensor_shapes
from jaxplain.models.random_weights import random_tensors
from tests.models.families import SMALL

# Names in a library's files by canonical names. In the small ViT the blocks {n} are 0 and 1; in the small ConvNeXt
# the pairs of {odd} feature, {stage} and {block} are those of BLOCKS.
NUMBERS = {"vit_s_16": [{"n": 0}, {"n": 1}]}
NUMBERS["convnext_tiny"] = [
    {"odd": 1, "stage": 0, "block": 0},
    {"odd": 3, "stage": 1, "block": 0},
    {"odd": 3, "stage": 1, "block": 1},
]
VIT = "encoder.layers.encoder_layer_{n}"
CONVNEXT = "features.{odd}.{block}"
NAMES = {
    ("vit_s_16", "torchvision"): {
        "class_token": "class_token",
        "encoder.pos_embedding": "encoder.pos_embedding",
        "conv_proj.{kind}": "conv_proj.{kind}",
        f"{VIT}.ln_1.{{kind}}": f"{VIT}.ln_1.{{kind}}",
        f"{VIT}.self_attention.in_proj_{{kind}}": f"{VIT}.self_attention.in_proj_{{kind}}",
        f"{VIT}.self_attention.out_proj.{{kind}}": f"{VIT}.self_attention.out_proj.{{kind}}",
        f"{VIT}.ln_2.{{kind}}": f"{VIT}.ln_2.{{kind}}",
        f"{VIT}.mlp.0.{{kind}}": f"{VIT}.mlp.linear_1.{{kind}}",
        f"{VIT}.mlp.3.{{kind}}": f"{VIT}.mlp.linear_2.{{kind}}",
        "encoder.ln.{kind}": "encoder.ln.{kind}",
        "heads.head.{kind}": "heads.head.{kind}",
    },
    ("vit_s_16", "timm"): {
        "class_token": "cls_token",
        "encoder.pos_embedding": "pos_embed",
        "conv_proj.{kind}": "patch_embed.proj.{kind}",
        f"{VIT}.ln_1.{{kind}}": "blocks.{n}.norm1.{kind}",
        f"{VIT}.self_attention.in_proj_{{kind}}": "blocks.{n}.attn.qkv.{kind}",
        f"{VIT}.self_attention.out_proj.{{kind}}": "blocks.{n}.attn.proj.{kind}",
        f"{VIT}.ln_2.{{kind}}": "blocks.{n}.norm2.{kind}",
        f"{VIT}.mlp.0.{{kind}}": "blocks.{n}.mlp.fc1.{kind}",
        f"{VIT}.mlp.3.{{kind}}": "blocks.{n}.mlp.fc2.{kind}",
        "encoder.ln.{kind}": "norm.{kind}",
        "heads.head.{kind}": "head.{kind}",
    },
    ("vit_s_16", "huggingface"): {
        "class_token": "vit.embeddings.cls_token",
        "encoder.pos_embedding": "vit.embeddings.position_embeddings",
        "conv_proj.{kind}": "vit.embeddings.patch_embeddings.projection.{kind}",
        f"{VIT}.ln_1.{{kind}}": "vit.encoder.layer.{n}.layernorm_before.{kind}",
        f"{VIT}.self_attention.in_proj_{{kind}}": (
            "vit.encoder.layer.{n}.attention.attention.query.{kind}",
            "vit.encoder.layer.{n}.attention.attention.key.{kind}",
            "vit.encoder.layer.{n}.attention.attention.value.{kind}",
        ),
        f"{VIT}.self_attention.out_proj.{{kind}}": "vit.encoder.layer.{n}.attention.output.dense.{kind}",
        f"{VIT}.ln_2.{{kind}}": "vit.encoder.layer.{n}.layernorm_after.{kind}",
        f"{VIT}.mlp.0.{{kind}}": "vit.encoder.layer.{n}.intermediate.dense.{kind}",
        f"{VIT}.mlp.3.{{kind}}": "vit.encoder.layer.{n}.output.dense.{kind}",
        "encoder.ln.{kind}": "vit.layernorm.{kind}",
        "heads.head.{kind}": "classifier.{kind}",
    },
    ("convnext_tiny", "timm"): {
        "features.0.{zero_or_one}.{kind}": "stem.{zero_or_one}.{kind}",
        "features.2.{zero_or_one}.{kind}": "stages.1.downsample.{zero_or_one}.{kind}",
        f"{CONVNEXT}.layer_scale": "stages.{stage}.blocks.{block}.gamma",
        f"{CONVNEXT}.block.0.{{kind}}": "stages.{stage}.blocks.{block}.conv_dw.{kind}",
        f"{CONVNEXT}.block.2.{{kind}}": "stages.{stage}.blocks.{block}.norm.{kind}",
        f"{CONVNEXT}.block.3.{{kind}}": "stages.{stage}.blocks.{block}.mlp.fc1.{kind}",
        f"{CONVNEXT}.block.5.{{kind}}": "stages.{stage}.blocks.{block}.mlp.fc2.{kind}",
        "classifier.0.{kind}": "head.norm.{kind}",
        "classifier.2.{kind}": "head.fc.{kind}",
    },
    ("convnext_tiny", "huggingface"): {
        "features.0.0.{kind}": "convnext.embeddings.patch_embeddings.{kind}",
        "features.0.1.{kind}": "convnext.embeddings.layernorm.{kind}",
        "features.2.{zero_or_one}.{kind}": "convnext.encoder.stages.1.downsampling_layer.{zero_or_one}.{kind}",
        f"{CONVNEXT}.layer_scale": "convnext.encoder.stages.{stage}.layers.{block}.layer_scale_parameter",
        f"{CONVNEXT}.block.0.{{kind}}": "convnext.encoder.stages.{stage}.layers.{block}.dwconv.{kind}",
        f"{CONVNEXT}.block.2.{{kind}}": "convnext.encoder.stages.{stage}.layers.{block}.layernorm.{kind}",
        f"{CONVNEXT}.block.3.{{kind}}": "convnext.encoder.stages.{stage}.layers.{block}.pwconv1.{kind}",
        f"{CONVNEXT}.block.5.{{kind}}": "convnext.encoder.stages.{stage}.layers.{block}.pwconv2.{kind}",
        "classifier.0.{kind}": "convnext.layernorm.{kind}",
        "classifier.2.{kind}": "classifier.{kind}",
    },
    ("convnext_tiny", "original"): {
        "features.0.{zero_or_one}.{kind}": "downsample_layers.0.{zero_or_one}.{kind}",
        "features.2.{zero_or_one}.{kind}": "downsample_layers.1.{zero_or_one}.{kind}",
        f"{CONVNEXT}.layer_scale": "stages.{stage}.{block}.gamma",
        f"{CONVNEXT}.block.0.{{kind}}": "stages.{stage}.{block}.dwconv.{kind}",
        f"{CONVNEXT}.block.2.{{kind}}": "stages.{stage}.{block}.norm.{kind}",
        f"{CONVNEXT}.block.3.{{kind}}": "stages.{stage}.{block}.pwconv1.{kind}",
        f"{CONVNEXT}.block.5.{{kind}}": "stages.{stage}.{block}.pwconv2.{kind}",
        "classifier.0.{kind}": "norm.{kind}",
        "classifier.2.{kind}": "head.{kind}",
    },
}
VERSION_5 = {  # of transformers, inside the network; its files have the names above
    "vit.encoder.layer.": "vit.layers.",
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}


@pytest.fixture
def loaded(monkeypatch, tmp_path):
    """Load a file with given tensors into the small network of a family."""

    def load_into(name, tensors, **keywords):
        monkeypatch.setitem(ARCHITECTURES, name, SMALL[name])
        save_file({key: np.ascontiguousarray(tensor) for key, tensor in tensors.items()}, tmp_path / "file.safetensors")
        return load(name, tmp_path / "file.safetensors", **keywords)

    return load_into


@pytest.mark.parametrize(("name", "library"), NAMES)
def test_a_file_in_the_names_of_a_library_gives_the_same_weights(name, library, loaded):
    canonical = tensors(name)
    found, want = loaded(name, renamed(name, library, canonical)), loaded(name, canonical, naming="torchvision")
    assert found.preprocessing == SMALL[name].preprocessing[library]
    assert same(found, want)
    assert found.model.apply.module.epsilon == (1e-12 if library == "huggingface" else 1e-6)


def test_the_names_inside_a_newer_transformers_do_as_well(loaded):
    canonical = tensors("vit_s_16")
    newer = renamed("vit_s_16", "huggingface", canonical)
    for old, new in VERSION_5.items():
        newer = {name.replace(old, new): tensor for name, tensor in newer.items()}
    assert "vit.layers.1.attention.q_proj.weight" in newer
    newer["vit.pooler.dense.weight"] = np.zeros((2, 2), np.float32)  # which the classifier does not use
    assert same(loaded("vit_s_16", newer), loaded("vit_s_16", canonical))


def test_images_of_another_size_need_be_told(loaded):
    entry = SMALL["vit_s_16"]
    larger = random_tensors(entry, tensor_shapes(entry.variables(None, (64, 48, 3))))
    with pytest.raises(InputError, match=r"images of another size, pass input_shape=.*\n.*\[1, 13, 12\], expected"):
        loaded("vit_s_16", larger)
    model = loaded("vit_s_16", larger, input_shape=(64, 48, 3)).model
    assert jax.eval_shape(model, jnp.zeros((1, 64, 48, 3))).shape == (1, 5)


def test_a_distilled_network_is_another(loaded):
    distilled = renamed("vit_s_16", "timm", tensors("vit_s_16"))
    distilled["dist_token"] = np.zeros((1, 1, 12), np.float32)
    with pytest.raises(InputError, match=r"1 extra\.\n  extra: dist_token \[1, 1, 12\]"):
        loaded("vit_s_16", distilled)


def test_a_network_that_normalizes_before_the_average_is_another(loaded):
    other = renamed("convnext_tiny", "timm", tensors("convnext_tiny"))
    other = {name.replace("head.norm", "norm_pre"): tensor for name, tensor in other.items()}
    with pytest.raises(InputError, match=r"missing: classifier\.0\.bias \[12\]\n(.*\n)*  extra: norm_pre"):
        loaded("convnext_tiny", other)


def tensors(name):
    entry = replace(SMALL[name], quiet=None)
    return random_tensors(entry, tensor_shapes(entry.variables()))


def renamed(name, library, canonical):
    """The tensors under a library's names, of which every one must be known."""
    spellings = {}
    for (template, other), numbers, kind, place in itertools.product(
        NAMES[name, library].items(), NUMBERS[name], ("weight", "bias"), (0, 1)
    ):
        words = {**numbers, "kind": kind, "zero_or_one": place}
        parts = (other,) if isinstance(other, str) else other
        spellings[template.format(**words)] = [part.format(**words) for part in parts]
    return {
        part: piece
        for key, tensor in canonical.items()
        for part, piece in zip(spellings[key], np.split(tensor, len(spellings[key])), strict=True)
    }


def same(one, other):
    return jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), one.model.params, other.model.params))
