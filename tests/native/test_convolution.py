"""Convolutions by oneDNN against XLA's: values, derivatives, transformations, cuts of the work, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxplain.testing import tol
from jaxplain_kernels.convolution.cases import SMALL, plain_and_spec

native = pytest.importorskip("jaxplain_native")
from jaxplain_native import convolution, geometry  # noqa: E402  (after the skip)

REFUSED = {
    "channels first": "channels must come last",
    "negative padding": "padding is negative",
    "pointwise, channels first": "channels must come last",
    "pointwise, mixed axes": "channels must come last",
    "stem, channels first": "channels must come last",
    "stem, cut at the end": "padding is negative",
    "transposed": "input is dilated",
}
MORE = {
    "in groups": ((2, 7, 6, 8), (3, 3, 4, 6), {"padding": "SAME", "feature_group_count": 2}),
    "each channel alone": ((2, 9, 9, 16), (7, 7, 1, 16), {"padding": "SAME", "feature_group_count": 16}),
    "each channel alone, strided": (
        (1, 9, 8, 16),
        (3, 3, 1, 16),
        {"padding": "SAME", "feature_group_count": 16, "window_strides": (2, 2)},
    ),
    "each channel twice": ((1, 6, 6, 8), (3, 3, 1, 16), {"padding": "SAME", "feature_group_count": 8}),
    "many weights": ((1, 5, 4, 90), (3, 3, 90, 100), {"padding": "SAME"}),
    "many weights, in full blocks": ((1, 3, 4, 96), (3, 3, 96, 112), {"padding": "SAME"}),
}
SERVED = {name: case for name, case in SMALL.items() if name not in REFUSED} | MORE


def arrays(case, seed=0, batch=None):
    rng = np.random.default_rng(seed)
    shapes = case[:2] if batch is None else ((batch, *case[0][1:]), case[1])
    return tuple(jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes)


def close(got, want, terms=1000):
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(one, other, **tol(np.float32, terms=terms, scale=float(jnp.abs(other).max())))


@pytest.mark.parametrize("name", SERVED)
def test_values_and_derivatives_are_those_of_xla(name):
    plain, spec = plain_and_spec(SERVED[name])
    x, weights = arrays(SERVED[name])

    def derivatives(conv):
        def value(x, weights):
            return jnp.sum(jnp.tanh(conv(x, weights)))

        def penalty(x, weights):
            return jnp.sum(jax.grad(value)(x, weights) ** 2)

        return conv(x, weights), jax.grad(value, (0, 1))(x, weights), jax.grad(penalty, (0, 1))(x, weights)

    got = jax.jit(lambda: derivatives(lambda x, weights: native.convolve(x, weights, spec)))()
    close(got, jax.jit(lambda: derivatives(plain))())


@pytest.mark.parametrize("name", ["same", "stem", "three axes", "each channel alone"])
def test_vmap_joins_the_batch_and_a_scan_repeats(name):
    plain, spec = plain_and_spec(SERVED[name])
    x, weights = arrays(SERVED[name])
    many = jnp.stack([x, 2 * x, x + 1])

    def maps(conv, x, weights):
        gradient = jax.grad(lambda x: jnp.sum(jnp.tanh(conv(x, weights))))

        def step(total, by):
            return total + jax.vmap(jax.vmap(gradient))(x[None] * by)[0], None

        return lax.scan(step, jnp.zeros_like(x), jnp.array([1.0, 0.5]))[0]

    got = jax.jit(lambda: maps(lambda x, weights: native.convolve(x, weights, spec), many, weights))()
    close(got, jax.jit(lambda: maps(plain, many, weights))())


def after(y, scale, bias, addend, relu):
    """What the extras of a call do, by XLA."""
    y = y if scale is None else y * jnp.broadcast_to(scale, y.shape)
    y = y if bias is None else y + jnp.broadcast_to(bias, y.shape)
    y = y if addend is None else y + addend
    return jax.nn.relu(y) if relu else y


@pytest.mark.parametrize("extras", ["scale", "bias", "addend", "relu", "scale bias relu", "scale bias addend relu"])
@pytest.mark.parametrize("name", ["stem", "pointwise", "one axis", "each channel alone"])
def test_what_follows_in_the_same_call(name, extras):
    plain, spec = plain_and_spec(SERVED[name])
    x, weights = arrays(SERVED[name])
    y = plain(x, weights)
    scale = jnp.linspace(-1.5, 2.0, y.shape[-1]) if "scale" in extras else None
    bias = jnp.linspace(-1.0, 1.0, y.shape[-1]) if "bias" in extras else None
    addend = jnp.cos(jnp.arange(float(y.size))).reshape(y.shape) if "addend" in extras else None
    many = jnp.stack([x, -x])

    def derivatives(conv):
        def value(*arrays):
            return jnp.sum(jnp.tanh(conv(*arrays)))

        def penalty(*arrays):
            return jnp.sum(jax.grad(value)(*arrays) ** 2)

        arrays = (x, weights, scale, bias, addend)
        given = [number for number, one in enumerate(arrays) if one is not None]
        return (
            conv(*arrays),
            jax.grad(value, given)(*arrays),
            jax.grad(penalty, given)(*arrays),
            jax.vmap(jax.grad(value), (0, None, None, None, None))(many, *arrays[1:]),
        )

    def ours(x, weights, scale, bias, addend):
        return native.convolve(x, weights, spec, scale=scale, bias=bias, addend=addend, relu="relu" in extras)

    def want(x, weights, scale, bias, addend):
        return after(plain(x, weights), scale, bias, addend, "relu" in extras)

    close(jax.jit(lambda: derivatives(ours))(), jax.jit(lambda: derivatives(want))())


@pytest.mark.parametrize("name", ["same", "pointwise", "stem", "each channel alone"])
def test_nan_stays_nan(name):
    plain, spec = plain_and_spec(SERVED[name])
    x, weights = arrays(SERVED[name])
    x = x.at[0, 2, 2, 0].set(jnp.nan)
    y = plain(x, weights)
    assert jnp.isnan(y).any() and not jnp.isnan(y).all()
    for relu in (False, True):
        got = native.convolve(x, weights, spec, bias=jnp.zeros(y.shape[-1]), addend=jnp.zeros(y.shape), relu=relu)
        np.testing.assert_array_equal(jnp.isnan(got), jnp.isnan(y))


@pytest.mark.parametrize("of_x", [True, False])
def test_weights_and_factors_with_a_batch_axis_are_left_to_xla(of_x):
    plain, spec = plain_and_spec(SERVED["strided"])
    x, weights = arrays(SERVED["strided"])
    many_x, many_weights = jnp.stack([x, x + 1]) if of_x else x, jnp.stack([weights, -weights])

    def maps(conv):
        gradient = jax.grad(lambda x, weights: jnp.sum(jnp.tanh(conv(x, weights))))
        return jax.jit(jax.vmap(gradient, (0 if of_x else None, 0)))(many_x, many_weights)

    def ours(x, weights):
        return native.convolve(x, weights, spec, scale=weights[0, 0, 0], bias=weights[0, 0, 1], relu=True)

    def want(x, weights):
        return after(plain(x, weights), weights[0, 0, 0], weights[0, 0, 1], None, True)

    close(maps(ours), maps(want))


@pytest.mark.parametrize("name", ["same", "strided", "stem", "one axis", "spread kernel", "three axes", "patches"])
@pytest.mark.parametrize("direction", [geometry.FORWARD, geometry.PULL_BACK])
def test_how_the_work_is_cut_does_not_change_the_result(name, direction, monkeypatch):
    monkeypatch.setattr(geometry, "FEWEST_OPERATIONS", 1)
    plain, spec = plain_and_spec(SERVED[name])
    x, weights = arrays(SERVED[name], batch=2)
    source = x if direction == geometry.FORWARD else plain(x, weights)
    mask = None if direction == geometry.FORWARD else jnp.sin(9 * source)
    operands = convolution.Operands(source, weights, scale=jnp.arange(1.0, 1.0 + weights.shape[-1]), mask=mask)
    whole = geometry.geometry_of(x.shape, weights.shape, spec, direction, operands.extras(relu=False))
    cuts = {geometry.shared_out(whole, threads=threads) for threads in (1, 2, 3)}
    cuts |= {whole._replace(images=2), whole}
    assert len(cuts) >= 3 and max(cut.bands for cut in cuts) > 1
    monkeypatch.setattr(convolution, "shared_out", lambda given: given)
    want = convolution._call(whole, operands)
    for cut in cuts:
        np.testing.assert_array_equal(convolution._call(cut, operands), want)


def test_many_small_images_are_joined_and_few_large_ones_cut():
    spec = plain_and_spec(SMALL["same"])[1]
    small = geometry.geometry_of((512, 8, 8, 4), (3, 3, 4, 4), spec, geometry.FORWARD)
    assert geometry.shared_out(small, threads=2).images == 64
    large = geometry.geometry_of((1, 64, 64, 64), (3, 3, 64, 64), spec, geometry.FORWARD)
    assert geometry.shared_out(large, threads=2).bands == 8
    assert geometry.shared_out(large._replace(batch=8), threads=2)[3:5] == (1, 1)


@pytest.mark.parametrize("name", REFUSED)
def test_shapes_and_settings_that_it_does_not_cover_are_refused_with_the_reason(name):
    _, spec = plain_and_spec(SMALL[name])
    x, weights = arrays(SMALL[name])
    assert REFUSED[name] in native.refusal(x, weights, spec)
    with pytest.raises(NotImplementedError, match=REFUSED[name]):
        native.convolve(x, weights, spec)


def test_other_dtypes_and_empty_arrays_are_refused():
    _, spec = plain_and_spec(SMALL["same"])
    x, weights = arrays(SMALL["same"])
    assert "float32" in native.refusal(x.astype(jnp.bfloat16), weights, spec)
    assert "float32" in native.refusal(x, weights, spec._replace(preferred_element_type=np.dtype("float64")))
    assert "length zero" in native.refusal(x[:0], weights, spec)
    assert "larger than the input" in native.refusal(x[:, :1], weights, spec._replace(padding=((0, 0), (0, 0))))


def test_a_call_whose_arrays_do_not_fit_its_geometry_is_an_error_and_no_crash():
    _, spec = plain_and_spec(SMALL["same"])
    x, weights = arrays(SMALL["same"])
    found = geometry.geometry_of(x.shape, weights.shape, spec, geometry.FORWARD)
    for wrong in ((x, weights[:2]), (x[:1], weights)):
        with pytest.raises(Exception, match="another kind of CPU"):
            jax.block_until_ready(convolution._call(found, convolution.Operands(*wrong)))
    with pytest.raises(Exception, match="shared out"):
        jax.block_until_ready(
            jax.ffi.ffi_call("jaxplain_native_pack", jax.ShapeDtypeStruct((9,), jnp.float32))(
                weights, jnp.zeros(0), geometry=np.asarray(found._replace(images=3).numbers())
            )
        )
