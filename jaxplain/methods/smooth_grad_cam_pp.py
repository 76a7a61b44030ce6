"""Smooth Grad-CAM++: Grad-CAM++ with derivatives, or maps, averaged over noisy copies; for a part of the layer."""

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxplain._errors import InputError
from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, NonNegative, PyTree, Range, ScoreFn
from jaxplain.core.gradient import per_target
from jaxplain.core.noise import noisy_copies, relative_standard_error
from jaxplain.core.sampling import Moments, magnitude, mean, moments, reduce_over, wide
from jaxplain.graph.cam import (
    UPSAMPLINGS,
    Denominator,
    Upsample,
    finished,
    layer_gradients,
    per_score,
    plus_plus_weights,
    weighted_sum,
)

WHERE = "smooth_grad_cam_pp"
Mask = Annotated[Float[Array, "*space"], Range(low=0, high=1)]


@method(stochastic=True, plain_gradient=True, coarse=UPSAMPLINGS)
def smooth_grad_cam_pp(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Key[Array, ""],
    layer: str,
    n_samples: Count = 25,
    sigma: NonNegative = 0.15,
    average: Literal["derivatives", "maps"] = "derivatives",
    derivatives_of: Literal["score", "exp"] = "score",
    denominator: Denominator = "activation_sum",
    channels: tuple[int, ...] | None = None,
    neurons: Mask = 1.0,  # type: ignore[assignment]  # a number is a mask as well
    value_range: tuple[float, float] | None = None,
    relu: bool = True,
    upsample: Upsample = "bilinear",
    chunk: int | None = None,
) -> Float[Array, "*cam"]:
    """Weight a layer's channels as Grad-CAM++ does, with derivatives averaged over noisy copies of the input.

    ``map = relu(sum_k w_k A_k)`` with ``w_k = sum_p alpha_p relu(D1_p)`` and
    ``alpha = D2 / (2 D2 + (sum_q A_q) D3)``: D1, D2 and D3 are means over the copies of the first three powers of
    ``df/dA_k``, the activations A are those of the clean input; without noise this is Grad-CAM++. The paper is quoted
    with D1 as the numerator of alpha, which would not be, and is taken for a slip. Noise is in SmoothGrad's convention,
    and the defaults are chosen, not the paper's.

    Args:
        f: Score of one example.
        x: The example, ``(*space, channels)``.
        key: Typed key of this image; sample i uses ``fold_in(key, i)``.
        layer: Name of a layer whose activations are ``(*space, channels)``.
        n_samples: Number of noisy copies, at least 1.
        sigma: Standard deviation of the noise as a fraction of x.max() - x.min(); 0 gives Grad-CAM++.
        average: "derivatives" as above; "maps" averages the Grad-CAM++ maps of the noisy copies, ReLU included.
        derivatives_of: "score", or "exp" for those of ``exp(f)``, which weights copy m by ``exp(f(x_m) - f(x))``; it
            changes averages of derivatives only.
        denominator: As in ``grad_cam_pp``.
        channels: Numbers of the feature maps to show, counted from 0; None for all. Before the ReLU, the maps of parts
            add up to that of the whole.
        neurons: Mask of the layer's positions, 0 to 1: an array of the layer's space, or one number for all.
        value_range: Lowest and highest activation of the neurons to show; None for all.
        relu: Whether to keep the positive part only.
        upsample: "bilinear", "nearest" or None, as in ``grad_cam``.
        chunk: Samples evaluated together; changes memory and speed only.

    Returns:
        Unscaled, without channels: ``(*t, *space)``, in units of the score.

    Raises:
        InputError: The layer does not exist, or has no space to be brought to the example's; a channel or a mask does
            not fit it.

    References:
        Omeiza, Speakman, Cintas and Weldemariam 2019, Smooth Grad-CAM++, arXiv:1908.01224.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jax.ad_checkpoint import checkpoint_name
        >>> f = lambda x: jnp.sum(checkpoint_name(2.0 * x, "features"))
        >>> smooth_grad_cam_pp(f, jnp.array([[[1.0], [3.0]]]), key=jax.random.key(0), layer="features")
        Array([[0.4, 1.2]], dtype=float32)
    """
    estimate = _estimate(
        f,
        x,
        key=key,
        layer=layer,
        sigma=sigma,
        average=average,
        derivatives_of=derivatives_of,
        denominator=denominator,
        channels=channels,
        neurons=neurons,
        value_range=value_range,
        relu=relu,
        upsample=upsample,
    )
    return estimate.assemble(reduce_over(estimate.sample, n_samples, mean, chunk=chunk))


@with_diagnostics(smooth_grad_cam_pp)
def smooth_grad_cam_pp_with_diagnostics(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Array,
    layer: str,
    n_samples: int,
    sigma: Array,
    average: str,
    derivatives_of: str,
    denominator: Denominator,
    channels: tuple[int, ...] | None,
    neurons: Array,
    value_range: tuple[float, float] | None,
    relu: bool,
    upsample: Upsample,
    chunk: int | None,
) -> Diagnosed:
    """Return the map and the relative standard error of its estimate.

    The map is a function of means over the samples; its error is that of its linear part there (the delta method),
    which takes a second round over the samples.

    Args:
        f: Score of one example.
        x: The example.
        key, layer, n_samples, sigma: As in ``smooth_grad_cam_pp``, with its defaults.
        average, derivatives_of, denominator: As there.
        channels, neurons, value_range: As there.
        relu, upsample, chunk: As there.

    Returns:
        The map, and ``{"stderr": (*t)}``: norm of the standard error over norm of the map, both at the layer's
        resolution; NaN for one sample.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jax.ad_checkpoint import checkpoint_name
        >>> f, x = lambda x: jnp.sum(checkpoint_name(2.0 * x, "features")), jnp.array([[[1.0], [3.0]]])
        >>> _, figures = smooth_grad_cam_pp_with_diagnostics(f, x, key=jax.random.key(0), layer="features")
        >>> float(figures["stderr"]) < 1e-6
        True
    """
    estimate = _estimate(
        f,
        x,
        key=key,
        layer=layer,
        sigma=sigma,
        average=average,
        derivatives_of=derivatives_of,
        denominator=denominator,
        channels=channels,
        neurons=neurons,
        value_range=value_range,
        relu=relu,
        upsample=upsample,
    )
    means = reduce_over(estimate.sample, n_samples, mean, chunk=chunk)
    cam, push = jax.linearize(estimate.coarse, means)

    def deviation(number: Array) -> Array:
        return push(jax.tree.map(lambda one, center: wide(one) - center, estimate.sample(number), means))

    spread = reduce_over(deviation, n_samples, moments, chunk=chunk)
    errors = Moments(spread.n, wide(cam), spread.m2)
    figures = {"stderr": relative_standard_error(errors, cam.ndim - estimate.targets)}
    return estimate.assemble(means), figures


class _Estimate(NamedTuple):
    """What is averaged over the samples, what the average makes, and the number of axes of the score.

    ``assemble`` makes the map, ``coarse`` the same at the layer's resolution.
    """

    sample: Callable[[Array], PyTree]
    assemble: Callable[[PyTree], Array]
    coarse: Callable[[PyTree], Array]
    targets: int


def _estimate(
    f: ScoreFn,
    x: Array,
    *,
    key: Array,
    layer: str,
    sigma: Array | float,
    average: str,
    derivatives_of: str,
    denominator: Denominator,
    channels: tuple[int, ...] | None,
    neurons: Array,
    value_range: tuple[float, float] | None,
    relu: bool,
    upsample: Upsample,
) -> _Estimate:
    score, (gradient,), (activation,) = layer_gradients(WHERE, f, x, (layer,))
    unit, copy = magnitude(gradient), noisy_copies(x, key, sigma)

    def powers(gradient: Array) -> tuple[Array, Array, Array]:
        slope = gradient / unit
        return slope, slope**2, slope**3

    def weigh(derivatives: tuple[Array, Array, Array], activation: Array) -> Array:
        """Sum the chosen neurons of an activation with the weights that derivatives ``(*t, *space, channels)`` give."""
        weights = per_score(lambda d, a: plus_plus_weights(d, a, unit, denominator), score)(derivatives, activation)
        return weighted_sum(weights, activation * _chosen(layer, activation, channels, neurons, value_range))

    def derivatives_at(number: Array) -> tuple[Array, Array, Array]:
        moved, (noisy,), _ = layer_gradients(WHERE, f, copy(number), (layer,))
        if derivatives_of == "score":
            return powers(noisy)
        factor = per_target(jnp.exp(wide(moved) - wide(score)), score.ndim, activation.ndim).astype(noisy.dtype)
        first, second, third = powers(noisy)
        return first * factor, second * factor, third * factor

    def map_at(number: Array) -> Array:
        _, (noisy,), (values,) = layer_gradients(WHERE, f, copy(number), (layer,))
        cam = weigh(powers(noisy), values)
        return jax.nn.relu(cam) if relu else cam

    def made(means: PyTree, upsample: Upsample) -> Array:
        cam = means if average == "maps" else weigh(means, activation)
        return finished(WHERE, x, (layer,), score, [cam], relu=relu, upsample=upsample)

    sample = map_at if average == "maps" else derivatives_at
    return _Estimate(sample, lambda means: made(means, upsample), lambda means: made(means, None), score.ndim)


def _chosen(
    layer: str,
    activation: Array,
    channels: tuple[int, ...] | None,
    neurons: Array,
    value_range: tuple[float, float] | None,
) -> Array:
    """Return the mask ``(*space, channels)`` of the neurons to show.

    Raises:
        InputError: A channel does not exist, or the mask or the range does not fit.
    """
    space, n_channels = activation.shape[:-1], activation.shape[-1]
    mask = jnp.asarray(neurons).astype(activation.dtype)
    if mask.shape not in ((), space):
        raise InputError(f"{WHERE}: neurons has the shape {mask.shape}; layer {layer!r} has the space {space}.")
    mask = jnp.broadcast_to(mask[..., None] if mask.ndim else mask, activation.shape)
    if channels is not None:
        outside = [channel for channel in channels if not 0 <= channel < n_channels]
        if outside or not channels:
            raise InputError(
                f"{WHERE}: channels = {channels} of layer {layer!r} must be numbers of 0 ... {n_channels - 1}."
            )
        kept = jnp.zeros(n_channels, activation.dtype).at[jnp.asarray(channels)].set(1)
        mask = mask * kept.reshape((1,) * len(space) + (-1,))
    if value_range is not None:
        low, high = value_range
        if low > high:
            raise InputError(f"{WHERE}: value_range = {value_range} must be (lowest, highest).")
        mask = jnp.where((activation >= low) & (activation <= high), mask, 0)
    return mask
