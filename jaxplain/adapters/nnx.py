"""Flax NNX modules as models."""

import contextvars
import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxplain import _compat
from jaxplain._errors import InputError, InputTypeError
from jaxplain._registry import check_key
from jaxplain._typing import Array, PyTree
from jaxplain.adapters.calls import split_arguments, training_hint
from jaxplain.adapters.identity import Key, key_of
from jaxplain.core.model import Model
from jaxplain.graph.forward import forwarded
from jaxplain.graph.names import Marks

_MARKS: contextvars.ContextVar[Marks] = contextvars.ContextVar("marks")
_PATH = "_jaxplain_path"
_State = dict[str, Any]


@dataclass(frozen=True)
class NnxApply:
    """The structure of an NNX module with the fixed arguments of its call, equal by value."""

    key: Key
    graphdef: Any = field(compare=False)
    randomness: Mapping[Any, Any] = field(compare=False)
    method: str = field(compare=False)
    options: Mapping[str, Any] = field(compare=False)
    in_parts: bool = field(compare=False)

    def __call__(self, params: PyTree, batch: Array, *extras: PyTree) -> PyTree:
        """Apply the module; whatever it would change in its state is refused."""
        outputs, before, after, module = self._run(params, batch, extras)
        if any(after[path] is not value for path, value in before.items()):
            # nnx.remat and nnx.jit hand every variable back as a new array: look whether it is computed.
            changed = self._changed(params, batch, extras)
            if changed:
                self._refuse(changed, module)
        return outputs

    def _run(
        self, params: PyTree, batch: Array, extras: tuple[PyTree, ...]
    ) -> tuple[PyTree, _State, _State, nnx.Module]:
        """Return the outputs, the state's arrays before and after the call, and the module."""
        parts = params if self.in_parts else {"state": params}
        options, key = parts.get("options", {}), parts.get("dropout_key")
        module = nnx.merge(self.graphdef, parts["state"], _filled(self.randomness, key))
        variables = _variables(module)
        if key is not None:  # what is drawn with a key is the same at every call, whatever becomes of the counters
            variables = {path: one for path, one in variables.items() if not isinstance(one, nnx.RngState)}
        before = {path: variable.get_raw_value() for path, variable in variables.items()}
        _open_scopes(module)
        token = _MARKS.set(Marks())
        try:
            outputs = getattr(module, self.method)(batch, *extras, **self.options, **options)
        finally:
            _MARKS.reset(token)
        return outputs, before, {path: variable.get_raw_value() for path, variable in variables.items()}, module

    def _changed(self, params: PyTree, batch: Array, extras: tuple[PyTree, ...]) -> list[str]:
        """Return the paths of the variables that the call gives a computed value."""

        def states(randomness: PyTree, params: PyTree) -> PyTree:
            blank = dataclasses.replace(self, randomness=randomness)
            return blank._run(params, batch, extras)[1:3]

        randomness = _filled(self.randomness)
        program, (before, _) = _compat.trace_program(states, randomness, params)
        origins = forwarded(program)
        first, second = origins[: len(before)], origins[len(before) :]
        return [path for path, a, b in zip(sorted(before), first, second, strict=True) if a != b or a is None]

    def _refuse(self, changed: list[str], module: nnx.Module) -> None:
        names = ", ".join(changed[:3])
        hint = training_hint("from_nnx(module", getattr(type(module), self.method), self.options)
        variables = _variables(module)
        if any(isinstance(variables[path], nnx.RngState) for path in changed):
            raise InputError(
                f"from_nnx: the module draws random numbers during the call ({names}), as dropout in training mode "
                f"does, and has no key for them. {hint}"
            )
        raise InputError(
            f"from_nnx: the module changes its state during the call ({names}), as batch normalization does in "
            f"training mode; an explanation of one image would then depend on the others. {hint}"
        )


@dataclass(frozen=True)
class _Blank:
    """Stands for a random stream's key or counter, which inference does not use."""

    shape: tuple[int, ...]
    dtype: Any
    implementation: str | None

    @classmethod
    def of(cls, value: Array) -> "_Blank":
        is_key = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        return cls(value.shape, value.dtype, str(jax.random.key_impl(value)) if is_key else None)

    def make(self, key: Array | None) -> Array:
        if self.implementation is None:
            return jnp.zeros(self.shape, self.dtype)
        if key is None:
            return jnp.broadcast_to(jax.random.key(0, impl=self.implementation), self.shape)
        return jax.random.split(key, self.shape) if self.shape else key


def _filled(randomness: PyTree, key: Array | None = None) -> PyTree:
    """Return the random streams, each with a key of its own made of the given one."""
    nodes, tree = jax.tree.flatten(randomness, is_leaf=_is_blank)
    for number, node in enumerate(nodes):
        if _is_blank(node):
            nodes[number] = node.make(None if key is None else jax.random.fold_in(key, number))
    return jax.tree.unflatten(tree, nodes)


def _is_blank(node: Any) -> bool:
    return isinstance(node, _Blank)


def from_nnx(
    module: nnx.Module, *, method: str = "__call__", dropout_key: Array | None = None, **call_kwargs: Any
) -> Model:
    """Make a model of an NNX module.

    The inference view is taken (``deterministic=True, use_running_average=True`` wherever a module knows these
    switches); the module itself is not touched, and later changes of it are not seen: wrap it again, which compiles
    nothing anew.

    Args:
        module: The module.
        method: The name of the method to call.
        dropout_key: A typed key, with which dropout stays active (``deterministic=False``): the module draws the same
            numbers at every call, until a wrapper such as "dropout" changes the key.
        call_kwargs: Further arguments of every call. Arrays among them are traced.

    Returns:
        The model; its parameters are the module's state as a nested dict of arrays, without random streams. Its
        layers have the attributes' paths: ``blocks/0/conv``.

    Raises:
        InputError: When called: the module changes its state (batch normalization in training mode) or draws random
            numbers without a key (dropout in training mode).

    Warns:
        UserWarning: A static attribute of the module compares by identity, as a lambda does.

    Example:
        >>> import jax.numpy as jnp, jaxplain
        >>> from flax import nnx
        >>> model = jaxplain.from_nnx(nnx.Linear(3, 2, rngs=nnx.Rngs(0)))
        >>> model(jnp.ones((4, 3))).shape
        (4, 2)
    """
    if not isinstance(module, nnx.Module):
        raise InputTypeError(f"from_nnx: expected a flax.nnx.Module, got {type(module).__name__}.")
    if dropout_key is not None:
        check_key("from_nnx", dropout_key)
    view = nnx.view(module, deterministic=dropout_key is None, use_running_average=True, raise_if_not_found=False)
    graphdef, streams, state = nnx.split(view, nnx.RngState, ...)
    randomness = jax.tree.map(_Blank.of, nnx.to_pure_dict(streams))
    traced, fixed = split_arguments(call_kwargs)
    fields = {"method": method, "options": fixed, "traced": sorted(traced), "nodes": graphdef.nodes}
    fields["draws"] = dropout_key is not None
    key = key_of("from_nnx", fields | _attributes(graphdef))
    parts = {"state": nnx.to_pure_dict(state)}
    parts |= {"options": traced} if traced else {}
    parts |= {} if dropout_key is None else {"dropout_key": dropout_key}
    in_parts = len(parts) > 1
    apply = NnxApply(key, graphdef, randomness, method, fixed, in_parts)
    return Model(parts if in_parts else parts["state"], apply)


def _attributes(graphdef: Any) -> dict[str, Any]:
    """Return the static attributes in the graph's order, under names that can be reported."""
    entries = [(name, value) for name, value in graphdef.attributes if name != "_pytree__nodes"]
    return {f"attribute {name!r} (number {number})": (name, value) for number, (name, value) in enumerate(entries)}


def _variables(module: nnx.Module) -> dict[str, nnx.Variable]:
    nodes = nnx.iter_graph(module)
    return {"/".join(map(str, path)): node for path, node in nodes if isinstance(node, nnx.Variable)}


def _open_scopes(module: nnx.Module) -> None:
    """Let every call of a submodule open its scope.

    The module is a copy local to one call. Its objects get a subclass of their class each, so neither the user's
    module nor any class changes, and threads do not meet; the path is an attribute, so it survives nnx.remat,
    nnx.scan and nnx.jit.
    """
    for path, node in list(nnx.iter_graph(module)):
        if isinstance(node, nnx.Module) and callable(node):
            object.__setattr__(node, _PATH, ".".join(map(str, path)))
            object.__setattr__(node, "__class__", _scoped(type(node)))  # type: ignore[arg-type]


@functools.cache  # one subclass per class for good: JAX's registry of pytree classes never forgets one
def _scoped(cls: type) -> type:
    methods = {name: _opening(value) for name, value in _methods(cls).items()}
    body = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, **methods}
    return types.new_class(cls.__name__, (cls,), exec_body=lambda namespace: namespace.update(body))


def _methods(cls: type) -> dict[str, Callable[..., Any]]:
    """Return ``__call__`` and the public methods that a class outside of Flax defines."""
    found: dict[str, Callable[..., Any]] = {}
    for name, value in inspect.getmembers(cls, inspect.isfunction):
        home = next(base for base in cls.__mro__ if name in vars(base))
        own = not name.startswith("_") and not home.__module__.startswith("flax.")
        if (name == "__call__" or own) and isinstance(vars(home)[name], types.FunctionType):
            found[name] = value
    return found


def _opening(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        marks, path = _MARKS.get(None), getattr(self, _PATH)
        if marks is None:
            return method(self, *args, **kwargs)
        with marks.call(path.split(".")) if path else marks.root():
            return method(self, *args, **kwargs)

    return call
