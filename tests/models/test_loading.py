"""Weights from a file: the names of each library, half precision, and what is said of a file that does not fit."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxplain._errors import InputError
from jaxplain.models import ARCHITECTURES, Architecture, Preprocessing, load, random_network
from jaxplain.models.checkpoint import tensor_shapes, tensors_from, variables_from
from jaxplain.models.naming import Naming
from jaxplain.models.random_weights import random_tensors


class Tiny(nn.Module):
    """One layer of every kind that a checkpoint distinguishes."""

    classes: int = 4
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(6, (3, 2), name="conv")(x)
        x = nn.ConvTranspose(5, (2, 2), (2, 2), transpose_kernel=True, name="up")(x)
        x = nn.BatchNorm(use_running_average=True, epsilon=self.epsilon, name="bn")(x)
        x = x + self.param("offset", nn.initializers.zeros, (5,)).reshape(1, 1, 1, -1)
        return nn.Dense(self.classes, name="fc")(jnp.mean(x, axis=(1, 2)))


OTHER = Naming(
    (
        (r"^body\.convolution\.", "conv."),
        (r"^body\.", ""),
        (r"^head\.(\d)\.", lambda found: f"fc.[{int(found[1]) - 1}]"),
        (r"^fc\.(\[\d\])(.*)$", r"fc.\2\1"),
    ),
    ignored=r"^mask_token$",
    options={"epsilon": 0.5},
)


@pytest.fixture
def tiny(monkeypatch):
    """A small architecture in the table, and random tensors for it."""
    namings = {"torchvision": Naming(), "timm": Naming(), "huggingface": OTHER}
    preprocessing = {name: Preprocessing(source=name) for name in namings}
    entry = Architecture("tiny", Tiny, namings, preprocessing, input_shape=(6, 6, 3), classes=4)
    monkeypatch.setitem(ARCHITECTURES, "tiny", entry)
    return random_tensors(entry, tensor_shapes(entry.variables()))


@pytest.fixture
def file(tmp_path):
    """Write tensors to a file and name it."""

    def write(tensors):
        save_file(tensors, tmp_path / "weights.safetensors")
        return tmp_path / "weights.safetensors"

    return write


def test_the_variables_are_the_tensors_with_their_axes_turned(tiny):
    variables = variables_from(ARCHITECTURES["tiny"].variables(), tiny)
    params, statistics = variables["params"], variables["batch_stats"]
    np.testing.assert_array_equal(params["conv"]["kernel"][2, 1], tiny["conv.weight"][:, :, 2, 1].T)
    np.testing.assert_array_equal(params["up"]["kernel"][0, 1], tiny["up.weight"][:, :, 0, 1].T)
    np.testing.assert_array_equal(params["fc"]["kernel"], tiny["fc.weight"].T)
    np.testing.assert_array_equal(params["bn"]["scale"], tiny["bn.weight"])
    np.testing.assert_array_equal(statistics["bn"]["var"], tiny["bn.running_var"])
    np.testing.assert_array_equal(params["offset"], tiny["offset"])
    back = tensors_from(variables)
    assert back.keys() == tiny.keys()
    for name, tensor in tiny.items():
        np.testing.assert_array_equal(back[name], tensor)


def test_a_transposed_convolution_is_that_of_pytorch(tiny):
    torch = pytest.importorskip("torch")
    variables = variables_from(ARCHITECTURES["tiny"].variables(), tiny)
    x = np.random.default_rng(0).normal(size=(1, 4, 3, 6)).astype(np.float32)
    ours = nn.ConvTranspose(5, (2, 2), (2, 2), transpose_kernel=True).apply({"params": variables["params"]["up"]}, x)
    weight, bias = (torch.from_numpy(tiny[f"up.{name}"]) for name in ("weight", "bias"))
    theirs = torch.nn.functional.conv_transpose2d(torch.from_numpy(x).movedim(-1, 1), weight, bias, stride=2)
    np.testing.assert_allclose(ours, theirs.movedim(1, -1).numpy(), rtol=1e-5, atol=1e-5)


def test_the_naming_is_found_from_the_names(tiny, file):
    renamed = {f"body.{name}": tensor for name, tensor in tiny.items() if not name.startswith(("conv", "fc"))}
    renamed |= {f"body.convolution.{kind}": tiny[f"conv.{kind}"] for kind in ("weight", "bias")}
    # the last layer in three pieces, out of order
    pieces = {"2": slice(1, 3), "1": slice(0, 1), "3": slice(3, 4)}
    renamed |= {
        f"head.{piece}.{kind}": np.ascontiguousarray(tiny[f"fc.{kind}"][rows])
        for kind in ("weight", "bias")
        for piece, rows in pieces.items()
    }
    renamed |= {"mask_token": np.zeros(3, np.float32), "body.bn.num_batches_tracked": np.array(7)}
    plain, other = load("tiny", file(tiny)), load("tiny", file(renamed))
    assert (plain.preprocessing.source, other.preprocessing.source) == ("torchvision", "huggingface")
    assert same(plain.model.params, other.model.params)
    assert other.model.apply.module.epsilon == 0.5  # the naming's options reach the module


def test_a_naming_is_taken_at_its_word(tiny, file):
    assert load("tiny", file(tiny), naming="timm").preprocessing.source == "timm"
    with pytest.raises(InputError, match=r"huggingface names\); .*leave out naming="):
        load("tiny", file({f"x.{name}": tensor for name, tensor in tiny.items()}), naming="huggingface")


def test_wrappers_around_all_names_are_taken_off(tiny, file):
    wrapped = file({f"module._orig_mod.{name}": tensor for name, tensor in tiny.items()})
    assert same(load("tiny", wrapped).model.params, load("tiny", file(tiny)).model.params)


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16, np.float64])
def test_other_precisions_become_float32(tiny, file, dtype):
    stored = {name: tensor.astype(dtype) for name, tensor in tiny.items()}
    params = load("tiny", file(stored)).model.params
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}
    for name, tensor in tensors_from(params).items():
        np.testing.assert_array_equal(tensor, stored[name].astype(np.float32))


def test_axes_of_length_one_do_not_count_and_dense_weights_may_be_convolutions(tiny, file):
    stored = dict(tiny)
    stored["offset"] = tiny["offset"].reshape(1, 5, 1)
    stored["fc.weight"] = tiny["fc.weight"].reshape(4, 5, 1, 1)
    assert same(load("tiny", file(stored)).model.params, load("tiny", file(tiny)).model.params)
    dense = jax.eval_shape(nn.Dense(2).init, jax.random.key(0), jnp.ones((1, 12)))
    weight = np.arange(24.0).reshape(2, 3, 2, 2)
    kernel = variables_from(dense, {"weight": weight, "bias": np.zeros(2)})["params"]["kernel"]
    np.testing.assert_array_equal(kernel[:, 1], weight[1].ravel())


def test_a_tensor_may_be_cut_in_equal_parts():
    naming = Naming(((r"^qkv\.", ("query.", "key.", "value.")),))
    found = naming.canonical({"qkv.weight": np.arange(12).reshape(6, 2)})
    np.testing.assert_array_equal(found["key.weight"], [[4, 5], [6, 7]])
    with pytest.raises(InputError, match=r"qkv\.bias of shape \(7,\) cannot be cut into 3"):
        naming.canonical({"qkv.bias": np.zeros(7)})
    with pytest.raises(InputError, match=r"two tensors are key\.bias"):
        naming.canonical({"qkv.bias": np.zeros(6), "key.bias": np.zeros(2)})


def test_all_that_does_not_fit_is_told_at_once(tiny, file):
    wrong = {name: tensor for name, tensor in tiny.items() if name not in ("bn.bias", "bn.running_mean")}
    wrong |= {"conv.weight": np.zeros((6, 3, 3, 3), np.float32), "offset": np.zeros(5, np.int8)}
    wrong["layer9.weight"] = np.zeros((2, 2), np.float32)
    with pytest.raises(InputError) as caught:
        load("tiny", file(wrong))
    for words in (
        "is no tiny (torchvision names)",
        "2 missing, 1 extra, 2 of another shape",
        "missing: bn.bias [5]",
        "missing: bn.running_mean [5]",
        "extra: layer9.weight [2, 2]",
        "conv.weight: [6, 3, 3, 3], expected [6, 3, 3, 2]",
        "offset: [5] int8, expected [5]",
    ):
        assert words in str(caught.value)


def test_another_last_layer_is_named(tiny, file):
    entry = ARCHITECTURES["tiny"]
    stored = file(random_tensors(entry, tensor_shapes(entry.variables(classes=7))))
    with pytest.raises(InputError, match=r"pass classes=7; .*\n  fc\.bias: \[7\], expected \[4\]"):
        load("tiny", stored)
    assert load("tiny", stored, classes=7).model(jnp.ones((1, 6, 6, 3))).shape == (1, 7)


def test_a_long_list_is_cut(tiny, file):
    with pytest.raises(InputError, match=r"11 missing.*\n(.*\n)*  \.\.\. and 6 more"):
        load("tiny", file({"something": np.zeros(2, np.float32)}))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "resnet51"}, "unknown architecture 'resnet51'; did you mean 'resnet50'"),
        ({"naming": "torchvison"}, "resnet18: unknown naming 'torchvison'; did you mean 'torchvision'?"),
        ({"classes": 0}, "classes must be at least 1, got 0"),
        ({"path": "nowhere.safetensors"}, "nowhere.safetensors does not exist"),
        ({"path": "."}, "is a folder; pass the .safetensors file itself"),
        ({"path": "weights.pth"}, r"not a whole \.safetensors file .*safetensors\.torch\.save_file"),
        ({"path": "cut.safetensors"}, r"not a whole \.safetensors file"),
    ],
)
def test_bad_arguments_are_refused(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pth").write_bytes(b"PK\x03\x04 a pickle in an archive")
    save_file({"a": np.zeros(9)}, tmp_path / "whole")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "whole").read_bytes()[:-8])
    with pytest.raises(InputError, match=words):
        load(**{"name": "resnet18", "path": "weights.pth", **arguments})


def huggingface_resnet_names(n_blocks, n_convolutions):
    """The names of ``transformers.ResNetForImageClassification``, from its modules, with torchvision's beside."""
    pairs = [("resnet.embedder.embedder", "conv1", "bn1")]
    for stage, blocks in enumerate(n_blocks):
        for block in range(blocks):
            theirs, ours = f"resnet.encoder.stages.{stage}.layers.{block}", f"layer{stage + 1}.{block}"
            for number in range(n_convolutions):
                pairs.append((f"{theirs}.layer.{number}", f"{ours}.conv{number + 1}", f"{ours}.bn{number + 1}"))
            if block == 0 and (stage or n_convolutions == 3):
                pairs.append((f"{theirs}.shortcut", f"{ours}.downsample.0", f"{ours}.downsample.1"))
    names = {"classifier.1.weight": "fc.weight", "classifier.1.bias": "fc.bias"}
    for theirs, convolution, normalization in pairs:
        names[f"{theirs}.convolution.weight"] = f"{convolution}.weight"
        for kind in ("weight", "bias", "running_mean", "running_var"):
            names[f"{theirs}.normalization.{kind}"] = f"{normalization}.{kind}"
    return names


@pytest.mark.parametrize(
    ("name", "n_blocks", "n_convolutions"), [("resnet18", (2, 2, 2, 2), 2), ("resnet50", (3, 4, 6, 3), 3)]
)
def test_names_of_hugging_face_resnets(name, n_blocks, n_convolutions):
    names = huggingface_resnet_names(n_blocks, n_convolutions)
    entry = ARCHITECTURES[name]
    assert set(names.values()) == set(tensor_shapes(entry.variables()))
    for theirs, ours in names.items():
        assert entry.namings["huggingface"].names(theirs) == (ours,)
    scores = {key: naming.score(list(names), set(names.values())) for key, naming in entry.namings.items()}
    assert max(scores, key=scores.get) == "huggingface"


def test_names_of_timm_vggs():
    wanted = tensor_shapes(ARCHITECTURES["vgg16_bn"].variables())
    pairs = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2", "classifier.6": "head.fc"}
    for ours in wanted:
        theirs = re.sub(r"^classifier\.\d", lambda found: pairs[found[0]], ours)
        assert ARCHITECTURES["vgg16_bn"].namings["timm"].names(theirs) == (ours,)


def test_a_resnet_comes_back_from_its_file(file):
    model = random_network("resnet18", classes=3)
    stored = tensors_from(model.params) | {"bn1.num_batches_tracked": np.array(5)}
    loaded = load("resnet18", file(stored), classes=3)
    assert same(loaded.model.params, model.params)
    assert loaded.model.apply == model.apply  # equal networks share compiled programs


def same(one, other):
    """Whether two trees hold the same numbers."""
    return jax.tree.all(jax.tree.map(lambda a, b: bool(np.array_equal(a, b)), one, other))
