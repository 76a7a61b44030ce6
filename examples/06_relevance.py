"""Look inside a network: relevance by composites, a rule of your own, and what each block receives.

python examples/06_relevance.py
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

import jaxplain
from jaxplain.graph.predicates import AtPath, OfKind
from jaxplain.graph.rules import Arrays, Call
from jaxplain.methods.lrp import COMMON, Gamma, named
from jaxplain.models import small_cnn

x = jax.random.uniform(jax.random.key(0), (28, 28, 1))
score = jaxplain.Score(small_cnn((28, 28, 1), classes=10), jaxplain.Logit(7))
print(f"score {float(score(x)):+.4f}")

# 1. A named composite: z-plus at convolutions, epsilon at dense layers. Where rules conserve, relevance sums to the
#    score less what biases take (there are none here). Z-box, at the first layer, knows the range of the input.
for name, bounds in (("epsilon", {}), ("epsilon_plus", {}), ("epsilon_gamma_box", {"low": 0.0, "high": 1.0})):
    relevance = jaxplain.methods.lrp(score, x, composite=name, **bounds)
    total, negative = float(relevance.sum()), float(relevance.clip(max=0).sum())
    print(f"lrp {name:18} sums to {total:+.4f}, its negative part to {negative:+.4f}")

# 2. A composite of your own: pairs (predicate, rule), the first that accepts a block decides. Here the last convolution
#    gets gamma, and everything else is as in epsilon_plus.
own = ((AtPath("conv3", kinds=("conv",)), Gamma(0.5)), *named("epsilon_plus"))
print(f"lrp, own composite     sums to {float(jaxplain.methods.lrp(score, x, composite=own).sum()):+.4f}")
print(jaxplain.audit(score, x, (*own, *COMMON)))  # activations, sums and so on are treated alike in all composites


# 3. A rule of your own is the backward pass of a block; `rewrite` leaves the values alone.
@dataclass(frozen=True)
class HalfOpen:
    """Let half of the gradient through closed ReLUs."""

    name: str = "half open"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        (through,), (arriving,) = call.pull(cotangents), cotangents
        return ((through + arriving) / 2,)


rewritten = jaxplain.rewrite(score, [(OfKind("relu"), HalfOpen())])
assert rewritten(x) == score(x)
plain, opened = (float(jnp.linalg.norm(jax.grad(f)(x))) for f in (score, rewritten))
print(f"norm of the gradient {plain:.4f}, with half-open ReLUs {opened:.4f}")

# 4. DeepLIFT compares with a reference; its map sums to the difference of the scores, whatever the network.
gray = jnp.full_like(x, 0.5)
difference = jaxplain.methods.deeplift(score, x, baseline=gray)
total, change = float(difference.sum()), float(score(x) - score(gray))
print(f"deeplift sums to {total:+.4f}; the score less that of a gray image is {change:+.4f}")
