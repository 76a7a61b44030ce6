"""The audit's rows, its use of predicates, and its print."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxplain import Logit, Score, from_linen
from jaxplain.graph.audit import audit

X = jnp.ones((4, 4, 1))


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(2, (3, 3))(x))
        x = nn.remat(nn.Dense)(2)(x)
        return nn.max_pool(x, (2, 2), (2, 2)).mean((1, 2))


MODULE = Net()
SCORE = Score(from_linen(MODULE, MODULE.init(jax.random.key(0), X[None])), Logit(0))


def test_every_block_keeps_its_gradient_without_rules():
    table = audit(SCORE, X)
    kinds = [(row.block.path, row.block.kind, row.rule) for row in table.rows]
    assert ("Conv_0", "conv", "gradient") in kinds
    assert ("", "relu", "custom gradient") in kinds
    assert ("Dense_0", "dot", "gradient") in kinds
    assert ("", "max_pool", "gradient") in kinds
    assert table.n_independent > 0
    assert [row.block.position for row in table.rows] == list(range(len(table.rows)))
    assert all(row.block.source for row in table.rows)


def test_first_match_wins():
    class Epsilon:
        name = "epsilon"

    def guided(_):
        return None

    rules = (
        (lambda block: block.kind == "conv", Epsilon()),
        (lambda block: block.kind in ("conv", "relu"), guided),
        (lambda block: block.path.startswith("Dense"), "flat"),
    )
    found = {(row.block.kind, row.rule) for row in audit(SCORE, X, rules).rows}
    assert {("conv", "epsilon"), ("relu", "guided"), ("dot", "flat")} <= found


def test_scan_has_no_position_and_while_no_gradient():
    def f(x):
        x, _ = jax.lax.scan(lambda h, _: (jnp.sin(h), None), x, None, length=2)
        return jax.lax.while_loop(lambda h: h.sum() < 0, jnp.cos, x).sum()

    rows = {row.block.kind: row for row in audit(f, X).rows}
    assert rows["sin"].block.position is None and rows["sin"].rule == "gradient"
    assert rows["cos"].rule == "no gradient"


def test_print():
    text = str(audit(SCORE, X))
    assert text.splitlines()[0].split() == ["path", "block", "shape", "rule"]
    assert "Conv_0" in text and "float32[1,4,4,2]" in text and "do not depend on the input" in text
