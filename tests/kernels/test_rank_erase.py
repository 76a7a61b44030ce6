"""Perturbed images by rank: every form selects the same values, and the kernels lower for their devices."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain_kernels.rank_erase import rank_erase
from jaxplain_kernels.rank_erase.api import OP, Spec
from jaxplain_kernels.rank_erase.cases import SMALL
from jaxplain_kernels.rank_erase.pallas import BLOCK, by_kernel
from jaxplain_kernels.rank_erase.xla import by_selection

WHOLE_BLOCKS = [name for name, case in SMALL.items() if np.prod(case.shape) % BLOCK == 0]
DEVICES = ("cuda", "tpu")


def arrays_of(case):
    """Draw images, blanks, an order, counts from none to all, and directions in turn."""
    rng = np.random.default_rng(0)
    images, blanks = (jnp.asarray(rng.normal(size=(case.images, *case.shape)), case.dtype) for _ in range(2))
    space = case.shape[: case.axes]
    ranks = rng.permutation(np.prod(space)).astype(np.int32).reshape(space)
    counts = np.linspace(0, ranks.size, case.steps).astype(np.int32)
    return images, blanks, *map(jnp.asarray, (ranks, counts, np.arange(case.steps) % 2 == 1))


def expected(image, blank, ranks, counts, restore):
    """Write the definition in NumPy, one step at a time."""
    image, blank, ranks = (np.asarray(array) for array in (image, blank, ranks))
    ranks = ranks.reshape(ranks.shape + (1,) * (image.ndim - ranks.ndim))
    pairs = zip(np.asarray(counts), np.asarray(restore), strict=True)
    return np.stack([np.where((ranks < k) == bool(back), image, blank) for k, back in pairs])


@pytest.mark.parametrize("name", SMALL)
def test_the_plain_form_is_the_definition(name):
    images, blanks, ranks, counts, restore = arrays_of(SMALL[name])
    run = jax.vmap(lambda image, blank: rank_erase(image, blank, ranks, counts, restore=restore))
    got = jax.jit(run)(images, blanks)
    assert got.dtype == images.dtype
    for one, image, blank in zip(got, images, blanks, strict=True):
        np.testing.assert_array_equal(one, expected(image, blank, ranks, counts, restore))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", WHOLE_BLOCKS)
def test_the_kernels_select_the_same_values(name, device):
    images, blanks, *rest = arrays_of(SMALL[name])
    got = by_kernel(images[0], blanks[0], *rest, device=f"interpreted {device}")
    assert got.dtype == images.dtype
    np.testing.assert_array_equal(got, expected(images[0], blanks[0], *rest))


@pytest.mark.parametrize("device", DEVICES)
def test_the_kernels_take_batches_with_one_order_or_one_each(device):
    images, blanks, ranks, *rest = arrays_of(SMALL["gray"])
    run = partial(by_kernel, device=f"interpreted {device}")
    orders = jnp.stack([ranks, ranks[::-1], ranks.T])
    for axis, order in ((None, ranks), (0, orders)):
        got = jax.vmap(run, in_axes=(0, 0, axis, None, None))(images, blanks, order, *rest)
        for number, one in enumerate(got):
            own = order if axis is None else order[number]
            np.testing.assert_array_equal(one, expected(images[number], blanks[number], own, *rest))


def test_the_kernels_pass_cotangents_to_what_was_shown():
    images, blanks, *rest = arrays_of(SMALL["spectrum"])
    weights = jnp.cos(jnp.arange(3.0 * 1024).reshape(3, 1024))

    def score(run):
        return lambda image, blank: jnp.sum(weights * run(image, blank, *rest))

    got, want = (
        jax.jit(jax.grad(score(run), argnums=(0, 1)))(images[0], blanks[0])
        for run in (partial(by_kernel, device="interpreted tpu"), by_selection)
    )
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_kernels_lower_without_the_device(dtype, device):
    images, blanks, *rest = arrays_of(SMALL["colors"]._replace(dtype=dtype))
    run = jax.jit(jax.vmap(partial(by_kernel, device=device), in_axes=(0, 0, None, None, None)))
    text = run.trace(images, blanks, *rest).lower(lowering_platforms=(device,)).as_text()
    assert ("mosaic_gpu" if device == "cuda" else "tpu_custom_call") in text


def test_one_direction_stands_for_all_steps_and_one_color_for_all_pixels():
    images, _, ranks, counts, _ = arrays_of(SMALL["odd size"])
    color = jnp.array([0.1, 0.2, 0.3])
    for restore in (False, True):
        got = rank_erase(images[0], color[None, None], ranks, counts, restore=restore)
        want = expected(images[0], np.broadcast_to(color, images[0].shape), ranks, counts, [restore] * len(counts))
        np.testing.assert_array_equal(got, want)


def test_the_kernel_is_refused_with_all_reasons():
    images, blanks, ranks, counts, _ = arrays_of(SMALL["odd size"])
    with pytest.raises(NotImplementedError, match=r"'pallas'.*cpu: its kernel needs.*189 values.*'xla'"):
        rank_erase(images[0], blanks[0], ranks, counts, implementation="pallas")
    assert OP.choose(Spec(3, 2048, jnp.dtype("float32")), implementation="pallas", platform="cuda").name == "pallas"
    with pytest.raises(NotImplementedError, match="float64 are not supported"):
        OP.choose(Spec(3, 2048, jnp.dtype("float64")), implementation="pallas", platform="tpu")
    with pytest.raises(ValueError, match="not of the first axes"):
        rank_erase(images[0], blanks[0], ranks.T, counts)


def test_an_old_gpu_is_refused(monkeypatch):
    class Old:
        compute_capability = "8.0"

    monkeypatch.setattr("jaxplain_kernels.mosaic.present", lambda: "cuda")
    monkeypatch.setattr(jax, "devices", lambda: [Old()])
    with pytest.raises(NotImplementedError, match=r"9\.0 or later, this one has 8\.0"):
        OP.choose(Spec(3, 2048, jnp.dtype("float32")), implementation="pallas", platform="cuda")
