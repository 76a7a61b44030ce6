"""Two layers of attention whose matrices are written down: rollouts by their formulas.

A class token and the four pixels of an image, two heads. Each layer adds ``sum_h v_h P_h t`` to the tokens ``t``; the
score is what the class token holds in the end. The logits are ``log P`` plus something that depends on the image and is
zero at the example, so the matrices there are exactly ``P``.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain.testing.closed_forms import ClosedForm, Expected

_IMAGE = np.array([[[1.0], [-2.0]], [[3.0], [0.5]]])
_CLASS_TOKEN = -0.5
_VALUES = np.array([1.0, -0.75])
"""What each head multiplies the tokens by."""


def _matrices() -> np.ndarray:
    """Return positive matrices ``(layer, head, token, token)`` with rows that sum to one."""
    counts = np.random.default_rng(0).integers(1, 9, (2, 2, 5, 5)).astype(float)
    return counts / counts.sum(-1, keepdims=True)


def two_layers(x: jax.Array) -> jax.Array:
    """Return the score of an image ``(2, 2, 1)``.

    Example:
        >>> two_layers(jnp.ones((2, 2, 1))).shape
        ()
    """
    tokens = jnp.concatenate([jnp.full((1,), _CLASS_TOKEN, x.dtype), x.reshape(4)])
    shift = jnp.sum(x - jnp.asarray(_IMAGE, x.dtype))
    for matrices in _matrices():
        attention = jax.nn.softmax(jnp.asarray(np.log(matrices), x.dtype) + shift)
        tokens = tokens + jnp.asarray(_VALUES, x.dtype) @ (attention @ tokens)
    return tokens[0]


def _rollout(fuse: str) -> np.ndarray:
    first, second = getattr(_matrices(), fuse)(1) + np.eye(5)
    return _row(second / second.sum(-1, keepdims=True), first / first.sum(-1, keepdims=True))


def _row(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the class token's row of the product, on the grid of the pixels."""
    return (second @ first)[0, 1:].reshape(2, 2)


def _weighted() -> np.ndarray:
    """Return gradient rollout: the score is ``t2[0]``, so its gradients follow from ``t2 = t1 + sum_h v_h P_h t1``."""
    first, second = _matrices()
    start = np.concatenate([[_CLASS_TOKEN], _IMAGE.ravel()])
    middle = start + np.einsum("h,hij,j->i", _VALUES, first, start)
    at_middle = np.eye(5)[0] + _VALUES @ second[:, 0]
    of_second = np.einsum("h,i,j->hij", _VALUES, np.eye(5)[0], middle)
    of_first = np.einsum("h,i,j->hij", _VALUES, at_middle, start)
    return _row(*(np.eye(5) + np.maximum(g * a, 0).mean(0) for g, a in ((of_second, second), (of_first, first))))


ATTENTION_FORMS: tuple[ClosedForm, ...] = (
    ClosedForm(
        "two layers of attention",
        two_layers,
        _IMAGE,
        {
            "attention_rollout": tuple(Expected(_rollout(fuse), {"heads": fuse}) for fuse in ("mean", "max", "min")),
            "gradient_rollout": (Expected(_weighted()), Expected(_weighted(), {"n_prefix": 1, "upsample": None})),
        },
    ),
)
