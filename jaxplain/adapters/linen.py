"""Flax Linen modules as models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flax import errors
from flax import linen as nn

from jaxplain._errors import InputError, InputTypeError
from jaxplain._typing import Array, PyTree
from jaxplain.adapters.calls import split_arguments, training_hint
from jaxplain.adapters.identity import Key, key_of
from jaxplain.core.model import Model
from jaxplain.graph.names import Marks


@dataclass(frozen=True)
class LinenApply:
    """A Linen module with the fixed arguments of its call, equal by value."""

    key: Key
    module: nn.Module = field(compare=False)
    method: str | None = field(compare=False)
    options: Mapping[str, Any] = field(compare=False)
    traced_options: bool = field(compare=False)

    def __call__(self, params: PyTree, batch: Array, *extras: PyTree) -> PyTree:
        """Apply the module without changing any of its collections."""
        variables, options = (params["variables"], params["options"]) if self.traced_options else (params, {})
        marks = Marks()

        def name_call(next_call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            with marks.call() if context.module.path else marks.root():
                return next_call(*args, **kwargs)

        try:
            with nn.intercept_methods(name_call):
                return self.module.apply(
                    variables, batch, *extras, method=self.method, mutable=False, **self.options, **options
                )
        except errors.ModifyScopeVariableError as error:
            raise InputError(f"from_linen: {_state_text(error)} {self._hint()}") from error
        except errors.InvalidRngError as error:
            raise InputError(
                "from_linen: the module draws random numbers during the call, as dropout in training mode does, "
                f"and has no key for them ({_first_line(error)}) {self._hint()}"
            ) from error
        except (
            errors.ScopeCollectionNotFound,
            errors.ScopeParamNotFoundError,
            errors.ScopeVariableNotFoundError,
        ) as error:
            raise InputError(
                "from_linen: the variables do not fit the module. Pass all collections of module.init, for example "
                f"{{'params': ..., 'batch_stats': ...}}; got {sorted(variables)}. {_first_line(error)}"
            ) from error
        except errors.ScopeParamShapeError as error:
            raise InputError(
                f"from_linen: the variables do not fit the module or the input. {_first_line(error)}"
            ) from error

    def _hint(self) -> str:
        target = getattr(type(self.module), self.method or "__call__")
        return training_hint("from_linen(module, variables", target, {**self.options})


def from_linen(
    module: nn.Module, variables: Mapping[str, Any], *, method: str | None = None, **call_kwargs: Any
) -> Model:
    """Make a model of a Linen module and its variables.

    Args:
        module: The module, unbound.
        variables: All its collections, as ``module.init`` returns them: ``{"params": ..., "batch_stats": ...}``.
        method: The name of the method to call instead of ``__call__``.
        call_kwargs: Further arguments of every call, such as ``train=False``. Arrays among them, and ``rngs``, are
            traced.

    Returns:
        The model. Its layers have the modules' paths: ``block1/Conv_0``.

    Raises:
        InputError: When called: the module changes a collection (batch normalization in training mode), or draws random
            numbers without a key (dropout in training mode), or the variables do not fit.

    Warns:
        UserWarning: A field of the module compares by identity, as a lambda does.

    Example:
        >>> import jax, jax.numpy as jnp, jaxplain
        >>> from flax import linen as nn
        >>> module = nn.Dense(2)
        >>> model = jaxplain.from_linen(module, module.init(jax.random.key(0), jnp.ones((1, 3))))
        >>> model(jnp.ones((4, 3))).shape
        (4, 2)
    """
    if not isinstance(module, nn.Module):
        raise InputTypeError(f"from_linen: expected a flax.linen.Module, got {type(module).__name__}.")
    if callable(method):
        raise InputTypeError("from_linen: pass the method by its name, so that equal networks compare equal.")
    if not isinstance(variables, Mapping) or "params" not in variables:
        raise InputError(
            "from_linen: the variables must be a mapping with the collection 'params', as module.init returns it; "
            "wrap bare parameters as {'params': params}."
        )
    traced, fixed = split_arguments(call_kwargs)
    apply = LinenApply(
        key_of("from_linen", {"module": module, "method": method, "options": fixed, "traced": sorted(traced)}),
        module,
        method,
        fixed,
        bool(traced),
    )
    return Model({"variables": variables, "options": traced} if traced else variables, apply)


def _state_text(error: Exception) -> str:
    return (
        "the module changes its variables during the call, as batch normalization does in training mode; "
        f"an explanation of one image would then depend on the others ({_first_line(error)})"
    )


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0].split(" (https:")[0]
