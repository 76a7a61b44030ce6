"""Functions whose maps along paths are known by hand: guided and blurred paths, expectations, IDGI."""

import jax.numpy as jnp
import numpy as np

from jaxplain.testing.closed_forms import ClosedForm, Expected


def _linear() -> ClosedForm:
    rng = np.random.default_rng(5)
    w, x, b, background = (rng.normal(size=shape) for shape in ((3, 4, 2), (3, 4, 2), (3, 4, 2), (5, 3, 4, 2)))
    change = np.sum(w * (x - b))
    return ClosedForm(
        "linear, along paths",
        lambda x: jnp.sum(jnp.asarray(w) * x) + 0.7,
        x,
        {
            # As many strata as baselines: each is used equally often.
            "expected_gradients": (
                Expected(w * (x - b), {"background": b[None], "n_samples": 3, "chunk": 2}),
                Expected(w * (x - background.mean(0)), {"background": background, "n_samples": 10, "strata": 5}),
            ),
            # exp(-100^2 (1 - cos(pi / 4))) is zero: the path starts at the mean of each channel.
            "blur_ig": (Expected(w * (x - x.mean((0, 1))), {"max_sigma": 100.0, "n_steps": 3}),),
            "guided_ig": (
                Expected(w * (x - b), {"baseline": b, "n_steps": 3}),
                Expected(w * (x - b), {"baseline": b, "n_steps": 4, "fraction": 0.0, "max_dist": 1.0}),
            ),
            "idgi": (Expected(w**2 / np.sum(w**2) * change, {"baseline": b, "n_steps": 5, "chunk": 2}),),
        },
    )


def _linear_vector() -> ClosedForm:
    rng = np.random.default_rng(6)
    w, x = rng.normal(size=(3, 5, 1)), rng.normal(size=(5, 1))
    zero, values = 0 * x, np.einsum("tij,ij->t", w, x).reshape(3, 1, 1)
    return ClosedForm(
        "three linear scores, along paths",
        lambda x: jnp.einsum("tij,ij->t", jnp.asarray(w), x),
        x,
        {
            "expected_gradients": (Expected(w * x, {"background": zero[None], "n_samples": 2}),),
            "blur_ig": (Expected(w * (x - x.mean()), {"max_sigma": 100.0, "n_steps": 2}),),
            "guided_ig": (Expected(w * x, {"baseline": zero, "n_steps": 3, "max_dist": 0.5}),),
            "idgi": (Expected(w**2 / np.sum(w**2, axis=(1, 2), keepdims=True) * values, {"baseline": zero}),),
        },
    )


def _square_of_sum() -> ClosedForm:
    # The first of n steps, from where all is flat, goes straight to (h, h), h = 3 / n. Unbounded, b then moves alone
    # and gets the integral of 2 (2 h + b) from h to 3, then a, that of 4 (2 a + 3): with n odd after a whole number of
    # steps.
    zero, n = np.zeros(2), 5
    h = 3 / n
    return ClosedForm(
        "(2 a + b)^2",
        lambda x: (2 * x[0] + x[1]) ** 2,
        np.array([3.0, 3.0]),
        {
            "guided_ig": (
                Expected(np.array([54.0, 27.0]), {"baseline": zero, "n_steps": 4, "fraction": 0.1, "max_dist": 0.0}),
                Expected(np.array([54.0, 27.0]), {"baseline": zero, "n_steps": 4, "fraction": 1.0, "max_dist": 0.5}),
                Expected(
                    np.array([72 - 12 * h + 2 * h**2, 9 + 12 * h - 2 * h**2]),
                    {"baseline": zero, "n_steps": n, "fraction": 0.1, "max_dist": 1.0},
                ),
                Expected(
                    np.array([72.0, 9.0]),
                    {"baseline": zero, "n_steps": 3001, "fraction": 0.0, "max_dist": 1.0},
                    rtol=2e-3,
                ),
            ),
            # The gradient is 4 : 2 everywhere but at the start, where it vanishes, so the first step gives nothing.
            "idgi": (Expected((81 - 81 / 16) * np.array([0.8, 0.2]), {"baseline": zero, "n_steps": 4}),),
        },
    )


def _separate_squares() -> ClosedForm:
    zero = np.zeros(2)
    settings = ((0.0, 1.0), (0.25, 0.02), (0.5, 0.4), (1.0, 1.0))
    return ClosedForm(
        "2 a^2 + b^2",
        lambda x: 2 * x[0] ** 2 + x[1] ** 2,
        np.array([3.0, 3.0]),
        {
            "guided_ig": tuple(
                Expected(
                    np.array([18.0, 9.0]), {"baseline": zero, "n_steps": 7, "fraction": fraction, "max_dist": max_dist}
                )
                for fraction, max_dist in settings
            ),
        },
    )


def _constant() -> ClosedForm:
    zero = np.zeros((2, 3))
    return ClosedForm(
        "constant, along paths",
        lambda x: 0 * jnp.sum(x) + 4.0,
        np.arange(6.0).reshape(2, 3),
        {
            "expected_gradients": (Expected(zero, {"background": np.ones((2, 2, 3)), "n_samples": 2, "sigma": 0.1}),),
            "blur_ig": (Expected(zero, {"n_steps": 2}),),
            "guided_ig": (Expected(zero, {"baseline": zero, "n_steps": 2}),),
            "idgi": (Expected(zero, {"baseline": zero, "n_steps": 2}),),
        },
    )


PATH_FORMS: tuple[ClosedForm, ...] = (
    _linear(),
    _linear_vector(),
    _square_of_sum(),
    _separate_squares(),
    _constant(),
)
