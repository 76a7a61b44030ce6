"""A reference network beside its PyTorch original with the same random weights: what the tests of families share."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxplain
from jaxplain.models import ARCHITECTURES, Pretrained
from jaxplain.models.checkpoint import tensor_shapes
from jaxplain.models.random_weights import random_tensors


def images(shape: tuple[int, ...], n: int = 2) -> np.ndarray:
    """Images without a random generator, the same in every version."""
    return np.sin(np.arange(n * np.prod(shape)) * 0.7).reshape(n, *shape).astype(np.float32)


def a_few(logits: np.ndarray) -> np.ndarray:
    """Every eighth position of logits over space; all of a classifier's."""
    return logits[(slice(None), *(slice(None, None, 8),) * (logits.ndim - 2))]


def torch_tensors(name: str, classes: int, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Random weights under the names and in the form of the original."""
    architecture = ARCHITECTURES[name]
    return random_tensors(architecture, tensor_shapes(architecture.variables(classes, shape)))


def pair(name: str, folder: Path, shape: tuple[int, ...], classes: int = 10, **keywords: Any) -> tuple[Pretrained, Any]:
    """A network loaded from the file that its original wrote, and the original; keywords are of the original."""
    import torch
    from safetensors.torch import save_file

    from benchmarks.against.networks import make

    original = make(name, classes=classes, **keywords)
    tensors = {name: torch.from_numpy(values) for name, values in torch_tensors(name, classes, shape).items()}
    left_out = original.load_state_dict(tensors, strict=False)
    assert not left_out.unexpected_keys
    assert all(name.endswith("num_batches_tracked") for name in left_out.missing_keys)
    save_file(original.state_dict(), folder / "weights.safetensors")
    return jaxplain.models.load(name, folder / "weights.safetensors", classes=classes, input_shape=shape), original


def original_activations(original: Any, x: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Logits, channels last, and by our paths what every module of the original returns that is used once."""
    import torch

    found: dict[str, list[np.ndarray]] = {}

    def keep(name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor):
                found.setdefault(name.replace(".", "/"), []).append(output.numpy().copy())

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in original.named_modules() if name]
    with torch.inference_mode():
        logits = original(torch.from_numpy(x).movedim(-1, 1)).movedim(1, -1).numpy()
    for hook in hooks:
        hook.remove()
    return logits, {path: outputs[0] for path, outputs in found.items() if len(outputs) == 1}


def assert_same(name: str, folder: Path, shape: tuple[int, ...], **keywords: Any) -> None:
    """Compare the logits of two images within 1e-4, and all activations that have the same path in both, of one.

    Most of the original's modules with parameters must be among them. The bound on an activation is 1e-4 of its largest
    value.
    """
    pretrained, original = pair(name, folder, shape, **keywords)
    x = images(shape)
    want, theirs = original_activations(original, x)
    np.testing.assert_allclose(jax.jit(pretrained.model)(x), want, rtol=1e-4, atol=1e-4)
    assert np.ptp(want, axis=0).max() > 1e-2  # the images differ, and so must their logits

    paths = [layer.path for layer in jaxplain.layers(pretrained.model, x[0]) if layer.path in theirs]
    tapped = jaxplain.tap(lambda x: pretrained.model(x[None])[0], paths)
    _, ours = jax.jit(tapped)(x[0])
    for path, found in zip(paths, ours, strict=True):
        expected = theirs[path][0]
        expected = expected if found.shape == expected.shape else np.moveaxis(expected, 0, -1).reshape(found.shape)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max(), err_msg=path)
    holders = {name.rpartition(".")[0].replace(".", "/") for name, _ in original.named_parameters() if "." in name}
    assert len(holders & set(paths)) >= 0.9 * len(holders), holders - set(paths)
