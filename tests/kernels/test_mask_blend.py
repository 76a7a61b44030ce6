"""RISE masks against SciPy's zoom, blends against NumPy, weighted sums on the coarse grid against sums of masks."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxplain.testing import tol
from jaxplain_kernels.mask_blend import cell_sizes, collect, mask_blend, spread, upsample
from jaxplain_kernels.mask_blend.api import OP, Spec
from jaxplain_kernels.mask_blend.cases import SMALL
from jaxplain_kernels.mask_blend.pallas import by_kernel
from jaxplain_kernels.mask_blend.xla import blend


def drawn(name, dtype=np.float64):
    image, grid, n = SMALL[name]
    rng = np.random.default_rng(0)
    cells = cell_sizes(image[: len(grid)], grid)
    masks = rng.integers(0, 2, (n, *grid)).astype(dtype)
    return rng.normal(size=(2, *image)).astype(dtype), masks, rng.integers(0, cells, (n, len(grid)))


def published(masks, shifts, shape):
    """Return what the authors' code makes, by the SciPy call to which scikit-image's resize comes down."""
    cells = np.ceil(np.array(shape) / masks.shape[1:]).astype(int)
    stretched = (np.array(masks.shape[1:]) + 1) * cells
    found = []
    for mask, shift in zip(masks, shifts, strict=True):
        whole = ndimage.zoom(mask, stretched / mask.shape, order=1, mode="mirror", grid_mode=True)
        assert whole.shape == tuple(stretched)
        found.append(whole[tuple(slice(first, first + size) for first, size in zip(shift, shape, strict=True))])
    return np.stack(found)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "one cell"])
def test_masks_are_the_published_ones(x64, name):
    _, masks, shifts = drawn(name)
    shape = SMALL[name][0][: masks.ndim - 1]
    got = jax.jit(partial(upsample, shape=shape))(masks, shifts)
    np.testing.assert_allclose(got, published(masks, shifts, shape), **tol(np.float64, terms=8))


def test_a_mask_of_one_cell_is_constant():
    got = upsample(jnp.array([[3.0], [5.0]]), jnp.array([[0], [3]]), shape=(4,))
    np.testing.assert_array_equal(got, [[3.0] * 4, [5.0] * 4])


def test_two_cells_by_hand(x64):
    """Two cells of 2 stretched to 6: centers at 1 and 4, a third per step, mirrored beyond them."""
    got = upsample(jnp.array([[0.0, 1.0]] * 2), jnp.array([[0], [1]]), shape=(4,))
    stretched = np.array([1, 0, 1, 2, 3, 2]) / 3
    np.testing.assert_allclose(got, [stretched[:4], stretched[1:5]], **tol(np.float64))


@pytest.mark.parametrize("name", SMALL)
def test_blends_are_numpys(x64, name):
    (image, baseline), masks, shifts = drawn(name)
    shape = image.shape[: masks.ndim - 1]
    kept = np.asarray(jax.jit(partial(upsample, shape=shape))(masks, shifts))
    kept = kept.reshape(kept.shape + (1,) * (image.ndim - len(shape)))
    got = jax.jit(mask_blend)(image, baseline, masks, shifts)
    np.testing.assert_allclose(got, image * kept + baseline * (1 - kept), **tol(np.float64, terms=2))


@pytest.mark.parametrize("name", SMALL)
def test_sums_on_the_coarse_grid_are_the_sums_of_masks(x64, name):
    _, masks, shifts = drawn(name)
    shape = SMALL[name][0][: masks.ndim - 1]
    scores = np.random.default_rng(1).normal(size=(len(masks), 2))
    fine = np.asarray(jax.jit(partial(upsample, shape=shape))(masks, shifts))
    want = np.tensordot(scores.T, fine, axes=1)

    @jax.jit
    def in_two_chunks(scores, masks, shifts):
        cut = len(masks) // 2
        parts = (slice(0, cut), slice(cut, None))
        return spread(sum(collect(scores[p], masks[p], shifts[p], shape=shape) for p in parts), shape=shape)

    limits = tol(np.float64, terms=len(masks), scale=4.0)
    np.testing.assert_allclose(in_two_chunks(scores, masks, shifts), want, **limits)


def test_a_batch_of_images_under_shared_or_own_masks(x64):
    (first, second), masks, shifts = drawn("image")
    images, nothing = jnp.stack([first, second]), jnp.zeros((2, *first.shape))

    @jax.jit
    def run(images, nothing, masks, shifts):
        shared = jax.vmap(mask_blend, in_axes=(0, 0, None, None))(images, nothing, masks, shifts)
        own = jax.vmap(mask_blend)(images, nothing, jnp.stack([masks, 1 - masks]), jnp.stack([shifts, shifts]))
        return shared, own, mask_blend(images[1], nothing[1], masks, shifts)

    shared, own, single = run(images, nothing, masks, shifts)
    limits = tol(np.float64, terms=2)
    np.testing.assert_allclose(shared[1], single, **limits)
    np.testing.assert_allclose(own[0], shared[0], **limits)
    np.testing.assert_allclose(own[1], images[1][None] - shared[1], **limits)


def test_half_precision_rounds_once():
    (image, baseline), masks, shifts = drawn("image", np.float32)
    image, baseline = jnp.asarray(image, jnp.bfloat16), jnp.asarray(baseline, jnp.bfloat16)
    got = jax.jit(mask_blend)(image, baseline, jnp.asarray(masks, bool), shifts)
    want = jax.jit(mask_blend)(image.astype(jnp.float32), baseline.astype(jnp.float32), masks, shifts)
    assert got.dtype == jnp.bfloat16
    np.testing.assert_array_equal(got, want.astype(jnp.bfloat16))


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16])
@pytest.mark.parametrize("device", ["cuda", "tpu"])
def test_the_kernels_blend_alike(device, dtype):
    (image, baseline), masks, shifts = drawn("tall image", np.float32)
    arrays = jnp.asarray(image, dtype), jnp.asarray(baseline, dtype), jnp.asarray(masks), jnp.asarray(shifts, jnp.int32)
    got, want = by_kernel(*arrays, device=f"interpreted {device}"), blend(*arrays)
    assert got.dtype == dtype
    one, other = (np.asarray(values, np.float32) for values in (got, want))
    np.testing.assert_allclose(one, other, **tol(dtype, terms=4, scale=3.0))


@pytest.mark.parametrize("device", ["cuda", "tpu"])
def test_the_kernels_take_batches_and_pass_cotangents(device):
    (first, second), masks, shifts = drawn("tall image", np.float32)
    images, masks, shifts = jnp.stack([first, second]), jnp.asarray(masks), jnp.asarray(shifts, jnp.int32)

    def score(image, run):
        return jnp.sum(jnp.sin(run(image, jnp.zeros_like(image), masks, shifts)))

    got, want = (
        jax.jit(jax.vmap(jax.value_and_grad(partial(score, run=run))))(images)
        for run in (partial(by_kernel, device=f"interpreted {device}"), blend)
    )
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, **tol(np.float32, terms=first.size, scale=3.0))


@pytest.mark.parametrize("device", ["cuda", "tpu"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_kernels_lower_without_the_device(dtype, device):
    image, masks, shifts = jnp.zeros((2, 224, 224, 3), dtype), jnp.zeros((4, 8, 8)), jnp.zeros((4, 2), jnp.int32)
    run = jax.jit(jax.vmap(partial(by_kernel, device=device), in_axes=(0, 0, None, None)))
    text = run.trace(image, image, masks, shifts).lower(lowering_platforms=(device,)).as_text()
    assert ("mosaic_gpu" if device == "cuda" else "tpu_custom_call") in text


def test_the_kernel_is_refused_with_all_reasons():
    def reasons(image, grid, platform, dtype="float32"):
        with pytest.raises(NotImplementedError) as caught:
            OP.choose(Spec(image, jnp.dtype(dtype), grid, 2), implementation="pallas", platform=platform)
        return str(caught.value)

    assert "a TPU or an NVIDIA GPU" in reasons((224, 224, 3), (8, 8), "cpu")
    assert "9 rows are less than 64; rows of 7 values are no multiple of 8" in reasons((9, 7), (4, 2), "cuda")
    assert "9 rows are no multiple of 8" in reasons((9, 7), (4, 2), "tpu")
    assert "float64 are not supported" in reasons((224, 224, 3), (8, 8), "tpu", "float64")
    assert OP.choose(Spec((224, 224, 3), jnp.dtype("float32"), (8, 8), 2), platform="cuda").name == "xla"
