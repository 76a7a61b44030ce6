"""Write a method of your own: a pure function of one example; the library lifts, batches, compiles and tests it.

python examples/04_own_method.py
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

import jaxplain
from jaxplain import method
from jaxplain._registry import find_method
from jaxplain._typing import Count, Fraction, ScoreFn
from jaxplain.core.gradient import input_gradient
from jaxplain.core.sampling import mean, reduce_over, sample_key
from jaxplain.testing import check_axiom, check_promises, smooth_network
from jaxplain.testing.networks import images


# 1. A plain function is a method already: it takes a score and one example, and JAX transforms it.
def positive_gradient(f, x):
    """Keep the gradient where it is positive."""
    return jnp.maximum(input_gradient(f)(x), 0)


# 2. Registered, it gets checked keywords, keys, chunks, a place on the command line and tests. The signature says all:
#    `key` and `baseline` have no default, so the caller must decide; `rate` is a float, hence data, and changing it
#    compiles nothing; `n_samples` shapes the program.
@method(axioms=("linearity", "implementation_invariance"), stochastic=True)
def erased_gradient(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Key[Array, ""],
    baseline: Float[Array, "*in"],
    rate: Fraction = 0.3,
    n_samples: Count = 32,
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Average the gradient over copies of the input with random entries erased."""
    pull = input_gradient(f)  # one score or K scores: one forward pass, K pull-backs

    def sample(number):
        erased = jax.random.bernoulli(sample_key(key, number), jnp.asarray(rate, jnp.float32), x.shape)
        return pull(jnp.where(erased, baseline, x))

    # The one loop over samples: memory does not grow with n_samples, sums are kept in float32 or wider.
    return reduce_over(sample, n_samples, mean, chunk=chunk).astype(x.dtype)


def main():
    """Check the method, then use both."""
    entry = find_method("erased_gradient")
    check_promises(entry)  # shape, dtype, jit = eager, vmap = loop, chunk-free, one program for all floats ...
    for axiom in entry.axioms:
        check_axiom(axiom, entry)
    # What only this method promises comes first of all: a closed form. The gradient of x^2/2 where nothing is erased
    # is x, elsewhere the baseline: the average is (1 - r) x + r b with the share r of copies in which it was erased.
    x, key = jnp.arange(1.0, 6.0), jax.random.key(0)
    half_square = lambda x: jnp.sum(x**2) / 2  # noqa: E731
    got = erased_gradient(half_square, x, key=key, baseline=-x, rate=0.25, n_samples=4000)
    share = (1 - np.asarray(got / x)) / 2
    # Five binomial shares around 0.25 with standard deviation 0.0068: beyond 0.04 with a probability below 3e-8.
    np.testing.assert_allclose(share, 0.25, atol=0.04)
    print("checked: promises, axioms, closed form")

    model, batch = smooth_network(), images(6)
    maps = jaxplain.explain(
        model, batch, jaxplain.Predicted(), method="erased_gradient", key=key, baseline=0.0, n_samples=16
    )
    print("registered, by name:", maps.shape)

    score = jaxplain.Score(model, jaxplain.Logit(1))
    maps = jax.jit(jax.vmap(lambda x: positive_gradient(score, x)))(batch)
    print("plain, under jit and vmap:", maps.shape)


if __name__ == "__main__":
    main()
