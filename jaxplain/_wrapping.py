"""Wrappers: from a method to another method of the same kind, such as ``smooth(lrp)``.

A wrapper explains one example several times (noisy copies, drawn networks, mirrored views) and reduces the maps. What
comes out has the method's context and knobs and those of the wrapper, whose knobs are called ``smooth.sigma``. The name
alone says which method it is, so programs, jobs and stores know a wrapped method as they know any other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import jax
import numpy as np

from jaxplain._errors import InputError, unknown
from jaxplain._knobs import Knob
from jaxplain._registry import WRAPPERS, Diagnosed, Entry, Rounds, find_method, read_entry
from jaxplain._typing import Array, ScoreFn

INNER_STREAM = np.uint32(0xFFFFFFFF)
"""Folded into an image's key for the wrapped method's own samples, apart from the wrapper's, which are below 2^31."""


class Reduction(Protocol):
    """What a wrapper returns: several maps that wait to be reduced."""

    def reduced(self) -> Array:
        """Return the map."""
        ...

    def diagnosed(self) -> Diagnosed:
        """Return the map and figures of its error."""
        ...

    def estimate(self) -> Any:
        """Return the ``jaxplain.core.estimate.Estimate``, which can go on."""
        ...


W = TypeVar("W", bound=Callable[..., Reduction])


@dataclass(frozen=True, eq=False)
class Explainer:
    """A method of which everything is decided but the example: what a wrapper explains with.

    Args:
        method: The method.
        f: Score of one example.
        context: The method's context without the key.
        knobs: The method's knobs.
        key: Key of the method's own samples, where it has any.
    """

    method: Entry
    f: ScoreFn
    context: Mapping[str, Any]
    knobs: Mapping[str, Any]
    key: Array | None

    def __call__(self, x: Array, sample: Array) -> Array:
        """Explain an example as the sample with this number, on which the method's own randomness depends."""
        own = {} if self.key is None else {"key": jax.random.fold_in(self.key, sample)}
        return self.method.function(self.f, x, **self.context, **self.knobs, **own)


@dataclass(frozen=True)
class Wrapper:
    """A wrapper as it was declared; called with a method's entry it returns that of the wrapped method.

    Args:
        entry: What its signature says. Its axioms are those that it keeps of a method that has them.
        sampled: Whether its maps are samples, whose spread is the error of their mean.
    """

    entry: Entry
    sampled: bool

    def __call__(self, method: Entry, /, **knobs: Any) -> Entry:
        """Wrap a method.

        Args:
            method: The method, which may be wrapped itself.
            knobs: Knobs of this wrapper; they become defaults of the wrapped method.

        Raises:
            InputError: The method is wrapped by this wrapper already, or a knob does not exist or fit.
        """
        word = self.entry.name
        if any(name.startswith(f"{word}.") for name in method.knobs):
            raise InputError(f"wrap: {method.name} is wrapped by {word!r} already; wrap it once, with more samples.")
        for name in knobs:
            if name not in self.entry.knobs:
                raise unknown(f"wrap({word!r})", "knob", name, self.entry.knobs)
        parts = (method, self.entry)
        context = tuple(dict.fromkeys((*method.context, *self.entry.context)))
        given = self.entry.check_knobs(knobs)

        def form(finish: Callable[[Reduction], Any]) -> Callable[..., Any]:
            def wrapped(f: ScoreFn, x: Array, **keywords: Any) -> Any:
                entry.check_context(keywords)
                defaults = {name: knob.default for name, knob in entry.knobs.items()}
                return finish(self._reduction(method, f, x, defaults | keywords | entry.check_knobs(keywords)))

            wrapped.__name__ = wrapped.__qualname__ = f"{word}({method.name})"
            wrapped.__doc__ = f"{self.entry.summary}\n\nThe maps of ``{method.name}``: {method.summary}"
            return wrapped

        entry = Entry(
            name=f"{word}({method.name})",
            function=form(lambda reduction: reduction.reduced()),
            supplied=method.supplied,
            context=context,
            knobs=self._knobs(method, given),
            optional=tuple(
                name for name in context if all(name in part.optional for part in parts if name in part.context)
            ),
            axioms=tuple(axiom for axiom in method.axioms if axiom in self.entry.axioms),
            # What a wrapper makes of maps need not be what it makes of coarse maps, brought to the example's space.
            notes={name: note for name, note in method.notes.items() if name != "coarse"},
            with_diagnostics=form(lambda reduction: reduction.diagnosed()) if self.sampled else None,
            rounds=self._rounds(method, context, form(lambda reduction: reduction.estimate())),
        )
        return entry

    def _rounds(self, method: Entry, context: tuple[str, ...], estimate: Callable[..., Any]) -> Rounds | None:
        """Return how samples are taken in rounds: of methods that evaluate f once, as the budget takes them to do."""
        loops = {"chunk", "n_steps"} & method.knobs.keys() or "(" in method.name  # a wrapped one is an ensemble's
        if not self.sampled or "n_samples" not in self.entry.knobs or loops:
            return None
        word = self.entry.name
        count = f"{word}.n_samples"
        keywords = (name for name in (*context, *self._knobs(method, {})) if name not in (count, "chunk"))

        def size(words: Mapping[str, Any]) -> int:
            return 2 if words.get(f"{word}.antithetic") else 1

        return Rounds(estimate, tuple(keywords), count, False, {}, size, size)

    def _knobs(self, method: Entry, given: Mapping[str, Any]) -> dict[str, Knob]:
        """Return the knobs of both; there is one ``chunk``, for the innermost loop that has one."""
        knobs = dict(method.knobs)
        for name, knob in self.entry.knobs.items():
            called = name if knob.kind == "execution" else f"{self.entry.name}.{name}"
            knob = knobs.get(called, knob)
            knobs[called] = replace(knob, name=called, default=given.get(name, knob.default))
        return knobs

    def _reduction(self, method: Entry, f: ScoreFn, x: Array, values: Mapping[str, Any]) -> Reduction:
        key = values.get("key")
        explain = Explainer(
            method,
            f,
            {name: values[name] for name in method.context if name != "key" and values.get(name) is not None},
            {name: values[name] for name in method.knobs},
            None if key is None or "key" not in method.context else jax.random.fold_in(key, INNER_STREAM),
        )
        own = {name: values.get(name) for name in self.entry.context}
        for name, knob in self.entry.knobs.items():
            own[name] = values[name if knob.kind == "execution" else f"{self.entry.name}.{name}"]
        if "chunk" in own and "chunk" in method.knobs:
            own["chunk"] = 1  # the method's own loop holds as many samples as fit
        return self.entry.function(explain, x, **own)


def wrapper(*, keeps: tuple[str, ...] = (), sampled: bool = True) -> Callable[[W], W]:
    """Register a wrapper under its function's name.

    The function takes an ``Explainer`` and the example, and context and knobs as a method does.

    Args:
        keeps: Axioms that the wrapped method has if the method has them.
        sampled: Whether the maps are samples, whose spread is the error of their mean.

    Raises:
        TypeError: The signature leaves the vocabulary, or the name is taken; at import.

    Example:
        >>> import jaxplain.methods
        >>> sorted(WRAPPERS)
        ['augment', 'dropout', 'ensemble', 'smooth']
    """

    def register(function: W) -> W:
        entry = read_entry(function, keeps, {})
        if entry.name in WRAPPERS:
            raise TypeError(f"wrapper: the name {entry.name!r} is registered twice.")
        WRAPPERS[entry.name] = Wrapper(entry, sampled)
        return function

    return register


def wrap(wrapper: str, method: str | Entry | Callable[..., Any], **knobs: Any) -> Entry:
    """Wrap a method.

    Args:
        wrapper: "smooth" (maps of noisy copies of the example), "dropout" and "ensemble" (of several networks) or
            "augment" (of mirrored, turned and shifted views).
        method: A method, or its name; it may be wrapped itself.
        knobs: The wrapper's knobs, such as ``n_samples=8``.

    Returns:
        The wrapped method, for ``jaxplain.explain(method=...)``, or to be called as any method. With other floats it
        is the same compiled program.

    Raises:
        InputError: No such wrapper, method or knob, or a value that does not fit.

    Example:
        >>> import jax, jax.numpy as jnp, jaxplain.methods
        >>> kinks = lambda x: jnp.sum(jax.nn.relu(x))
        >>> smooth = wrap("smooth", "input_x_gradient", n_samples=4, sigma=0.01)
        >>> smooth(kinks, jnp.array([-2.0, 0.0, 9.0]), key=jax.random.key(0)).round()
        Array([0., 0., 9.], dtype=float32)
    """
    if wrapper not in WRAPPERS:
        raise unknown("wrap", "wrapper", str(wrapper), WRAPPERS)
    return WRAPPERS[wrapper](entry_of("wrap", method), **knobs)


def entry_of(where: str, method: str | Entry | Callable[..., Any]) -> Entry:
    """Return a method's entry, of which the name or the registered function may be given.

    Raises:
        InputError: No such method, or a function that is not registered.
    """
    if isinstance(method, str | Entry):
        return find_method(method)
    name = getattr(method, "__name__", str(method).partition("(")[0])
    entry = find_method(name)
    if entry.function is not method:
        raise InputError(f"{where}: {method!r} is not the registered method {name!r}; register it under its own name.")
    return entry
