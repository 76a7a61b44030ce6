"""Layer-wise relevance propagation.

Patents on LRP exist (among them EP3271863B1 and US 12061966 B2); users must judge their own use.
"""

from typing import Literal

from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.graph.relevance import relevance
from jaxplain.graph.rewrite import rewrite
from jaxplain.methods.lrp.composites import Entry
from jaxplain.methods.lrp.entries import entries


@method(plain_gradient=True, rules=entries)
def lrp(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    composite: str | tuple[Entry, ...],
    low: float | Float[Array, "*in"] | None = None,
    high: float | Float[Array, "*in"] | None = None,
    unknown: Literal["raise", "gradient"] = "raise",
) -> Float[Array, "*out"]:
    """Propagate the score back, layer by layer, in proportion to contributions.

    ``R_i = sum_j q_ij R_j / sum_i q_ij`` from the score, ``R = f(x)``, to the input, where the composite's rule says at
    each layer what the contributions ``q_ij`` of its inputs are: ``x_i w_ij`` (epsilon), positive ones alone (z-plus),
    and so on. The modules of ``jaxplain.methods.lrp`` say for each rule how it treats bias, the stabilizer, padding and
    pooling; ``jaxplain.audit`` shows the rule that each block receives.

    Patents on LRP exist (among them EP3271863B1 and US 12061966 B2); users must judge their own use.

    Args:
        f: Score of one example; a logit. Relevance of probabilities has no meaning of its own.
        x: The example.
        composite: A name (``jaxplain.methods.lrp.composites``): "epsilon", "epsilon_plus", "epsilon_plus_flat",
            "epsilon_gamma_box", "epsilon_alpha2_beta1", "epsilon_alpha2_beta1_flat", "attn_lrp", or a preset; or pairs
            (predicate, rule) by kind, path and position of blocks, of which the first that accepts a block decides.
            What no pair accepts is treated as in all composites.
        low: For z-box the least possible values of x: a number or an array of its shape. Others do not look at it.
        high: For z-box the greatest possible values of x.
        unknown: What happens to an operation on values that depend on x for which there is no rule: "raise" refuses
            the network, "gradient" keeps its derivative.

    Returns:
        Signed relevance in units of the score, shape ``(*t, *in)``. Where rules conserve, its sum is the score.

    Raises:
        InputError: No such composite; no pair accepts a block; a rule for the first layer and no layer reads x itself;
            an operation or an opaque call has no rule.
        InputTypeError: The composite needs ``low`` and ``high``.

    References:
        Bach, Binder, Montavon, Klauschen, Müller and Samek 2015, doi:10.1371/journal.pone.0130140. Montavon, Binder,
        Lapuschkin, Samek and Müller 2019, Layer-wise relevance propagation: an overview,
        doi:10.1007/978-3-030-28954-6_10. Andéol, Kawakami, Wada, Kanamori, Müller and Montavon 2021, Learning domain
        invariant representations by joint Wasserstein distance minimization, arXiv:2106.04923 (generalized gamma).
        Achtibat et al. 2024, AttnLRP, arXiv:2402.05602. Anders, Neumann, Samek, Müller and Lapuschkin 2021, Zennit,
        arXiv:2106.13200 (composites).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxplain.graph.predicates import OfKind
        >>> from jaxplain.methods.lrp import Epsilon
        >>> f = lambda x: jnp.sum(jax.nn.relu(x @ jnp.array([[1.0, -1.0], [1.0, 1.0]])))
        >>> lrp(f, jnp.array([1.0, 3.0]), composite="epsilon_plus_flat")
        Array([3., 3.], dtype=float32)
        >>> lrp(f, jnp.array([1.0, 3.0]), composite=((OfKind("dot"), Epsilon(0.0)),))
        Array([0., 6.], dtype=float32)
    """
    rules = entries(f, x, composite, low, high)
    return relevance(rewrite(f, rules, unknown=unknown, where="lrp"), x)
