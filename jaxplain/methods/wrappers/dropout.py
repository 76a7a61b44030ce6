"""Monte-Carlo dropout around any method: maps of a network whose random numbers are drawn again and again."""

from dataclasses import replace

from jaxtyping import Array, Float, Key

from jaxplain._errors import InputError
from jaxplain._typing import Count
from jaxplain._wrapping import Explainer, wrapper
from jaxplain.core.ensembles import has_keys, redrawn
from jaxplain.core.sampling import sample_key
from jaxplain.core.statistics import Draws, Statistic


@wrapper(keeps=("dummy",))
def dropout(
    explain: Explainer,
    x: Float[Array, "*in"],
    *,
    key: Key[Array, ""],
    n_samples: Count = 50,
    statistic: Statistic = "mean",
    chunk: int | None = None,
) -> Draws:
    """Average the maps of a network with dropout over its masks, or take another statistic of them.

    ``map = 1/n sum_i explain(f_i, x)``, f_i being the network with random keys of its own. With "std" the map says how
    far the explanation depends on what the network draws; the spread of a method's own samples is part of it.

    The model must hold the key that its random numbers are made of: ``from_linen(module, variables, train=True,
    rngs={"dropout": key})`` or ``from_nnx(module, dropout_key=key)``. That key itself plays no part here; predictions,
    as of ``Predicted``, are made with it.

    Args:
        explain: The method.
        x: The example.
        key: Typed key of this image; sample i uses ``fold_in(key, i)``, the method's own samples another stream.
        n_samples: Number of networks drawn, at least 1.
        statistic: "mean", "square", "variance" or "std".
        chunk: Samples evaluated together; changes memory and speed only.

    Returns:
        Unscaled, in units of the method's maps, or in their square.

    Raises:
        InputError: The model holds no key.

    References:
        Gal and Ghahramani 2016, Dropout as a Bayesian approximation, arXiv:1506.02142. Bykov et al. 2021, Explaining
        Bayesian neural networks, arXiv:2108.10346. Kendall and Gal 2017, arXiv:1703.04977 (50 samples).
    """
    if not has_keys(explain.f):
        raise InputError(
            f"dropout({explain.method.name}): the model holds no random key, so nothing varies; make it by "
            'from_linen(module, variables, train=True, rngs={"dropout": jax.random.key(0)}) or '
            "from_nnx(module, dropout_key=jax.random.key(0))."
        )

    def one(i: Array) -> Array:
        return replace(explain, f=redrawn(explain.f, sample_key(key, i)))(x, i)[None]

    return Draws(explain.f, x, one, n_samples, statistic, chunk)
