"""KernelSHAP with and without pairs, and random orders with and without their reverses: evaluations to an error.

The truth are the exact Shapley values of 12 segments, from the scores of all 4,096 coalitions. The methods then run on
those scores, looked up in a table, with many keys: a coalition's score is the same number however it is come by, so the
values are those of a run on the network (a test holds them together), and evaluations are counted as the method would
make them. Only the seconds per evaluation are measured on the network, by a direct run. KernelSHAP draws all but the
outermost coalitions here (``whole=False``), so that pairs alone make the difference. The score is the label's logit.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.equal_error.in_rounds import taken
from benchmarks.equal_error.reaching import crossing, distance, ratio, root_mean_square, summary, timed
from benchmarks.equal_error.subjects import Subject
from benchmarks.record import rounded
from jaxplain.core.coalitions import game_of
from jaxplain.core.collecting import collected
from jaxplain.core.model import Model
from jaxplain.core.score import Score
from jaxplain.core.segments import Segments, grid_segments
from jaxplain.core.targets import Logit
from jaxplain.engine.lift import in_fast_forms
from jaxplain.methods import kernel_shap, shapley_exact, shapley_sampling

GRID = (3, 4)
PLAYERS = math.prod(GRID)
TOLERANCES = (0.1, 0.05, 0.02)
BATCH = 64
# Of each method the plain form comes first.
FORMS: dict[str, tuple[str, dict[str, bool]]] = {
    "kernel_shap, unpaired": ("kernel_shap", {"paired": False}),
    "kernel_shap, paired": ("kernel_shap", {"paired": True}),
    "shapley_sampling, one way": ("shapley_sampling", {"antithetic": False}),
    "shapley_sampling, antithetic": ("shapley_sampling", {"antithetic": True}),
}


def cost(name: str) -> tuple[int, int]:
    """Return how many evaluations a method makes at the outset, and how many for each sample."""
    method, knobs = FORMS[name]
    twice = 2 if any(knobs.values()) else 1
    return (2 * PLAYERS + 2, twice) if method == "kernel_shap" else (2, twice * (PLAYERS - 1))


def measure(subject: Subject, *, n_keys: int = 32, least: int = 48, most: int = 4096) -> dict[str, Any]:
    """Return the figures of one network.

    Args:
        subject: The network and the images that are explained.
        n_keys: Independent runs of every method.
        least, most: Evaluations of the shortest and of the longest run, in steps of the root of two.
    """
    tables, spent = timed(tabulated, subject.model, subject.images, subject.labels, subject.baseline)
    truth = np.asarray(jax.jit(jax.vmap(_exact))(tables), np.float64)[:, None]
    budgets = [least * 2 ** (k / 2) for k in range(round(2 * math.log2(most / least)) + 1)]
    keys = jax.random.split(jax.random.key(3), n_keys)
    found: dict[str, Any] = {}
    reached: dict[str, dict[float, np.ndarray]] = {}
    for name in FORMS:
        start, each = cost(name)
        samples = sorted({max(2, int((budget - start) / each)) for budget in budgets})
        counts = [start + n * each for n in samples]
        runs = list(on_tables(name, tables, keys, samples))
        errors = np.stack([root_mean_square(distance(run.maps, truth)) for run in runs])
        reached[name] = {tolerance: crossing(counts, errors, tolerance) for tolerance in TOLERANCES}
        seconds = seconds_per_evaluation(subject, name)
        plain = next(other for other, form in FORMS.items() if form[0] == FORMS[name][0])
        found[name] = {
            "seconds per evaluation": rounded(seconds),
            "errors": {str(n): rounded(np.median(error)) for n, error in zip(counts, errors, strict=True)},
            "tolerances": {
                str(tolerance): {
                    "evaluations": summary(own),
                    "seconds": summary(own * seconds),
                    "plain over it, evaluations": ratio(reached[plain][tolerance], own, counts[-1]),
                }
                for tolerance, own in reached[name].items()
            },
        }
    return {
        "images": len(subject.images),
        "keys": n_keys,
        "segments": PLAYERS,
        "seconds for all coalitions, with compilation": rounded(spent),
        "methods": found,
    }


@jax.jit
def tabulated(model: Model, images: jax.Array, labels: jax.Array, baseline: jax.Array) -> jax.Array:
    """Return the scores ``(images, coalitions)`` of all coalitions; bit i says whether segment i is shown."""

    def one(image: Any) -> jax.Array:
        game = game_of(in_fast_forms(Score(model, Logit(image[1]))), image[0], baseline, _segments(image[0].shape))
        bits = jnp.arange(PLAYERS, dtype=jnp.int32)
        return collected(lambda number: game((number >> bits) & 1 == 1), 2**PLAYERS, BATCH)

    return jax.lax.map(one, (images, labels))


def on_tables(name: str, tables: jax.Array, keys: jax.Array, samples: list[int]) -> Any:
    """Take a method's samples on tabulated games; see ``in_rounds.taken``."""
    method, knobs = FORMS[name]
    words = {"segments": _players(), "baseline": jnp.zeros(PLAYERS), "divided": False}
    return taken(method, _looked_up, None, tables, keys, samples, chunk=8, **words, **knobs)


def seconds_per_evaluation(subject: Subject, name: str, *, about: int = 256) -> float:
    """Return the seconds of an evaluation in a direct run on the network."""
    method, knobs = FORMS[name]
    start, each = cost(name)
    n = max(2, (about - start) // each)
    function = {"kernel_shap": partial(kernel_shap, whole=False), "shapley_sampling": shapley_sampling}[method]

    def one(model: Model, x: jax.Array, label: jax.Array) -> jax.Array:
        f, where = (
            in_fast_forms(Score(model, Logit(label))),
            {"segments": _segments(x.shape), "baseline": subject.baseline},
        )
        return function(f, x, key=jax.random.key(0), n_samples=n, **where, **knobs)

    program = (
        jax.jit(jax.vmap(one, (None, 0, 0))).trace(subject.model, subject.images, subject.labels).lower().compile()
    )
    jax.block_until_ready(program(subject.model, subject.images, subject.labels))
    _, seconds = timed(program, subject.model, subject.images, subject.labels)
    return seconds / ((start + n * each) * len(subject.images))


def _looked_up(model: None, table: jax.Array) -> tuple[Any, jax.Array]:
    """Return the game as a score of the segments that are shown, and the example that shows all of them."""
    bits = 2 ** jnp.arange(PLAYERS, dtype=jnp.int32)
    return lambda shown: table[jnp.sum(jnp.where(shown > 0.5, bits, 0))], jnp.ones(PLAYERS)


def _exact(table: jax.Array) -> jax.Array:
    f, x = _looked_up(None, table)
    return shapley_exact(f, x, segments=_players(), baseline=jnp.zeros(PLAYERS))


def _players() -> Segments:
    return Segments(jnp.arange(PLAYERS, dtype=jnp.int32), PLAYERS)


def _segments(shape: tuple[int, ...]) -> Segments:
    return Segments(jnp.asarray(grid_segments(shape[:2], GRID), jnp.int32), PLAYERS)
