"""Class activation maps by hand, on a layer of two channels and 2 x 2 positions.

The layer's values are ``(1 2; 3 4)`` and ``(2 0; 1 1)``, with the gradients ``(1 -1; 2 0)`` and ``(-1 2; 0 3)``; the
score is their product's sum, 6. For methods whose map is more than that product, each line of arithmetic stands beside
its value.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from jaxplain.testing.closed_forms import ClosedForm, Expected

LAYER = "features"
ACTIVATION = np.array([[[1.0, 2.0], [2.0, 0.0]], [[3.0, 1.0], [4.0, 1.0]]])
"""``(y, x, channel)``."""
GRADIENT = np.array([[[1.0, -1.0], [-1.0, 2.0]], [[2.0, 0.0], [0.0, 3.0]]])
FIRST, SECOND = ACTIVATION[..., 0], ACTIVATION[..., 1]


def _at(maps: np.ndarray | list[list[float]], **knobs: object) -> Expected:
    return Expected(np.asarray(maps), {"layer": LAYER, "upsample": None, **knobs})


def _both(maps: np.ndarray, **knobs: object) -> tuple[Expected, Expected]:
    return _at(maps, relu=False, **knobs), _at(np.maximum(maps, 0), relu=True, **knobs)


def _linear() -> ClosedForm:
    hires = np.array([[-1.0, -2.0], [6.0, 3.0]])  # 1 - 2, -2 + 0; 6 + 0, 0 + 3
    # Positions 1 and 3 of the first channel have positive gradients 1 and 2, 2 and 4 of the second 2 and 3.
    paper = 1 / 12 + 2 / 22, 2 / 10 + 3 / 14  # g / (2 + S g) with the sums S = 10 and 4
    product = 1 / 25 + 8 / 31, 8 / 33 + 27 / 43  # g^3 / (2 g^2 + T) with T = 1 - 2 + 24 = 23 and -2 + 27 = 25
    # Products of the channels 30, 9, 6: leading value 33 with the vector (3, 1).
    eigen = np.array([[5.0, 6.0], [10.0, 13.0]]) / np.sqrt(10)
    # Without their means 2.5 and 1 the products are 5, -1, 2: leading value (7 + sqrt 13) / 2.
    tilt = (3 - np.sqrt(13)) / 2
    centered = (FIRST - 2.5 + tilt * (SECOND - 1)) / np.hypot(1, tilt)
    # Gradient times activation has the products 41, -2, 13: leading value 27 + 10 sqrt 2.
    lean = 7 - 5 * np.sqrt(2)
    eigen_grad = (np.array([[1.0, -2.0], [6.0, 0.0]]) + lean * np.array([[-2.0, 0.0], [0.0, 3.0]])) / np.hypot(1, lean)
    # Masks (0 1/3; 2/3 1) and (1 0; 1/2 1/2) leave the scores -2/3 + 4 + 3 = 19/3 and -1 + 3 + 3/2 = 7/2.
    share = 1 / (1 + np.exp(7 / 2 - 19 / 3))
    drops = 5 * FIRST + SECOND  # the channels hold 5 and 1 of the score 6
    plus_plus = (
        _at(paper[0] * FIRST + paper[1] * SECOND),
        _at(product[0] * FIRST + product[1] * SECOND, denominator="product_sum"),
    )
    return ClosedForm(
        "two channels",
        lambda x: jnp.sum(jnp.asarray(GRADIENT) * checkpoint_name(x, LAYER)),
        ACTIVATION,
        {
            "grad_cam": _both(0.5 * FIRST + SECOND),  # means 2/4 and 4/4
            "grad_cam_pp": plus_plus,
            # Noise does not move the gradients of a linear score.
            "smooth_grad_cam_pp": tuple(_at(one.map, **{**one.keywords, "n_samples": 3}) for one in plus_plus),
            "xgrad_cam": (_at(0.5 * FIRST + 0.25 * SECOND),),  # 5/10 and 1/4
            "hires_cam": _both(hires),
            "layer_cam": (_at([[1, 0], [6, 3]]),),  # 1 + 0, 0 + 0; 6 + 0, 0 + 3
            "eigen_cam": (_at(eigen), *_both(centered, center=True)),
            "eigen_grad_cam": _both(eigen_grad),
            "shapley_cam": _both(0.5 * FIRST + SECOND),  # Grad-CAM's: there is no curvature
            "score_cam": (_at(share * FIRST + (1 - share) * SECOND),),
            "ablation_cam": (_at(drops / 6), *_both(drops, relative=False)),
        },
    )


def _product() -> ClosedForm:
    """Return (sum A_1) (sum A_2) = 10 x 4: gradients 4 and 10, and the Hessian takes A to 4 and 10 again."""
    return ClosedForm(
        "product of two channels",
        lambda x: jnp.prod(jnp.sum(checkpoint_name(x, LAYER), axis=(0, 1))),
        ACTIVATION,
        {
            "grad_cam": (_at(4 * FIRST + 10 * SECOND),),
            "hires_cam": (_at(4 * FIRST + 10 * SECOND),),
            "shapley_cam": (_at(2 * FIRST + 5 * SECOND),),
            "ablation_cam": (_at(FIRST + SECOND),),  # without either channel nothing is left
        },
    )


def _two_scores() -> ClosedForm:
    """Return the score of two channels and minus half of it."""
    one = _linear()
    return ClosedForm(
        "two scores of two channels",
        lambda x: one.f(x) * jnp.array([1.0, -0.5], x.dtype),
        ACTIVATION,
        {
            name: (_at(np.stack([_plain(one, name), -0.5 * _plain(one, name)]), relu=False),)
            for name in ("grad_cam", "xgrad_cam", "hires_cam", "shapley_cam")
        }
        | {
            "eigen_cam": (_at(np.stack([_plain(one, "eigen_cam")] * 2)),),
            "ablation_cam": (_at(np.stack([_plain(one, "ablation_cam")] * 2)),),
        },
    )


def _plain(form: ClosedForm, name: str) -> np.ndarray:
    return form.maps[name][0].map


def _no_gradient() -> ClosedForm:
    """Return a closed gate behind the layer: all gradients are zero, and so are the maps."""
    zero = _at(np.zeros((2, 2)))
    names = "grad_cam", "grad_cam_pp", "xgrad_cam", "hires_cam", "layer_cam", "eigen_grad_cam", "shapley_cam"
    return ClosedForm(
        "two channels behind a closed gate",
        lambda x: jnp.sum(jax.nn.relu(checkpoint_name(x, LAYER) - 50)),
        ACTIVATION,
        {name: (zero,) for name in (*names, "ablation_cam", "smooth_grad_cam_pp")}
        | {"grad_cam_pp": (zero, _at(zero.map, denominator="product_sum"))},
    )


CAM_FORMS: tuple[ClosedForm, ...] = (_linear(), _product(), _two_scores(), _no_gradient())
