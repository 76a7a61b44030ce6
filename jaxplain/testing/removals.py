"""Functions of which parts are hidden, with the maps that removal methods give: drops, indices, weighted masks."""

import jax.numpy as jnp
import numpy as np

from jaxplain.testing.closed_forms import ClosedForm, Expected

_SEGMENTS = np.array([[0, 1, 1, 2], [0, 0, 2, 2], [3, 3, 2, 2]])
_SPACE = _SEGMENTS.shape


def _linear() -> ClosedForm:
    """Hiding a segment takes away its sum of w (x - b); a mask that keeps everything leaves the score itself."""
    draw = np.random.default_rng(20)
    w, x, b = (draw.normal(size=(*_SPACE, 2)) for _ in range(3))
    drops = np.array([(w * (x - b))[segment == _SEGMENTS].sum() for segment in range(4)])
    score = (w * x).sum() + 0.3
    whole = np.full(x.shape, score)
    return ClosedForm(
        "linear in segments",
        lambda x: jnp.sum(jnp.asarray(w) * x) + 0.3,
        x,
        {
            "feature_ablation": (
                Expected(np.repeat(drops[_SEGMENTS][..., None], 2, axis=-1), {"segments": _SEGMENTS, "baseline": b}),
            ),
            "rise": tuple(
                Expected(
                    whole,
                    {"baseline": b, "n_samples": 5, "cells": cells, "keep": 1.0, "normalization": normalization},
                )
                for cells in ((2, 2), (2, 2, 1))
                for normalization in ("expected", "observed")
            ),
        },
    )


def _constant() -> ClosedForm:
    """Nothing depends on any mask; RISE's map, a mean of the score under masks, is the constant."""
    x, b = np.ones((3, 4, 1)), np.zeros((3, 4, 1))
    nothing = (Expected(0 * x, {"baseline": b, "n_samples": 4, "cells": (2, 2)}),)
    # Of 64 masks of 2 x 2 cells, some keep every pixel to a part: with probability 1 - 12 / 2^64 at least.
    kept = {"baseline": b, "n_samples": 64, "cells": (2, 2), "normalization": "observed"}
    return ClosedForm(
        "a constant under masks",
        lambda x: 0.0 * jnp.sum(x) + 2.5,
        x,
        {
            "rise": (Expected(np.full(x.shape, 2.5), kept),),
            "sobol": nothing,
            "hsic": nothing,
            "feature_ablation": (Expected(0 * x, {"segments": _SEGMENTS, "baseline": b}),),
        },
    )


REMOVAL_FORMS: tuple[ClosedForm, ...] = (_linear(), _constant())
