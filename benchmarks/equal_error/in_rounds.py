"""Methods taken in rounds: the maps after every count, from one program that goes on from the state so far."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.equal_error.reaching import timed
from jaxplain._registry import find_method
from jaxplain._typing import ScoreFn
from jaxplain.core.estimate import next_round


class Taken(NamedTuple):
    """What a count of samples has given.

    Attributes:
        maps: ``(images, keys, entries)``, float64.
        stderr: ``(images, keys)``, the error that the method states.
        seconds: Of all images and keys, for the samples since the count before.
    """

    maps: np.ndarray
    stderr: np.ndarray
    seconds: float


def taken(
    method: str,
    score_of: Callable[[Any, Any], tuple[ScoreFn, jax.Array]],
    model: Any,
    images: Any,
    keys: jax.Array,
    counts: Sequence[int],
    *,
    chunk: int,
    **words: Any,
) -> Iterator[Taken]:
    """Take a method's samples up to each of the counts, all images and keys at once.

    Args:
        method: Its name.
        score_of: From the model and the pytree of one image to its score and the example.
        model: A pytree that all images share; None will do.
        images: A pytree whose leaves carry the images in front.
        keys: Keys ``(keys,)``, the same for all images.
        counts: Numbers of samples, rising.
        chunk: Samples of one image and key that are evaluated together.
        words: What the method's form in rounds needs besides.
    """
    form = find_method(method).rounds.form

    def one(model: Any, image: Any, key: jax.Array, state: Any, begin: jax.Array, end: jax.Array) -> Any:
        f, x = score_of(model, image)
        found = next_round(form(f, x, key=key, **words), state, begin, end, chunk=chunk)
        return found.map, found.figures["stderr"], found.state

    def all_of_them(model: Any, images: Any, keys: jax.Array, state: Any, begin: jax.Array, end: jax.Array) -> Any:
        of_keys = jax.vmap(one, (None, None, 0, 0, None, None))
        return jax.vmap(of_keys, (None, 0, None, 0, None, None))(model, images, keys, state, begin, end)

    def number(n: int) -> jax.Array:
        return jnp.asarray(n, jnp.int32)

    like = jax.eval_shape(all_of_them, model, images, keys, None, number(0), number(1))[-1]
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)
    program = jax.jit(all_of_them).trace(model, images, keys, state, number(0), number(1)).lower().compile()
    begin = 0
    for end in counts:
        (maps, stderr, state), seconds = timed(program, model, images, keys, state, number(begin), number(end))
        begin = end
        flat = np.asarray(maps, np.float64).reshape(*maps.shape[:2], -1)
        yield Taken(flat, np.asarray(stderr, np.float64), seconds)
