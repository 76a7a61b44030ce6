"""The function that a job names, imported and called: the user's own code, and reported as such."""

import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxplain._errors import InputError, did_you_mean


def call_factory(factory: str, kwargs: Mapping[str, Any], folder: Path, where: str) -> Any:
    """Import "package.module:function" and call it.

    Args:
        factory: What to call.
        kwargs: Its keyword arguments.
        folder: Put on the search path meanwhile.
        where: The job file, for messages.

    Raises:
        InputError: The module or the function does not exist, does not take these arguments, or fails.
    """
    importlib.invalidate_caches()  # the folder may be younger than the last look into it
    with _search_path(folder):
        function = _find(factory, folder, where)
        try:
            inspect.signature(function).bind(**kwargs)
        except TypeError as error:
            known = ", ".join(inspect.signature(function).parameters) or "none"
            raise InputError(f"{where}: model.kwargs do not fit {factory}: {error}; its arguments: {known}.") from error
        except ValueError:
            pass  # a callable without a readable signature
        try:
            return function(**kwargs)
        except InputError as error:
            raise InputError(f"{where}: model.factory {factory}: {error}") from error
        except Exception as error:
            raise InputError(
                f"{where}: model.factory {factory} failed with {type(error).__name__}: {first_line(error)}; "
                "mend it or its kwargs (--debug shows where)."
            ) from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text."""
    return str(error).strip().partition("\n")[0]


def _find(factory: str, folder: Path, where: str) -> Any:
    module_name, separator, path = factory.partition(":")
    if not separator or not module_name or not path:
        raise InputError(f'{where}: model.factory = "{factory}"; write it as "package.module:function".')
    _forget_namesake(module_name.partition(".")[0], folder)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise InputError(
                f"{where}: model.factory: no module {missing!r} in {folder} or among the installed packages; "
                "check the name."
            ) from error
        raise InputError(f"{where}: model.factory: {module_name} needs the module {missing!r}; install it.") from error
    except Exception as error:
        raise InputError(
            f"{where}: model.factory: importing {module_name} failed with {type(error).__name__}: {first_line(error)}; "
            "mend it (--debug shows where)."
        ) from error
    found: Any = module
    for name in path.split("."):
        if not hasattr(found, name):
            options = [option for option in vars(found) if not option.startswith("_")]
            raise InputError(f"{where}: model.factory: {module_name} has no {name!r}; {did_you_mean(name, options)}")
        found = getattr(found, name)
    if not callable(found):
        raise InputError(f"{where}: model.factory: {factory} is a {type(found).__name__}; name a function.")
    return found


def _forget_namesake(name: str, folder: Path) -> None:
    """Let the folder's module win over one of the same name that an earlier job of this process imported."""
    here = next((file for file in (folder / f"{name}.py", folder / name / "__init__.py") if file.exists()), None)
    loaded = getattr(sys.modules.get(name), "__file__", None)
    if here is not None and loaded is not None and Path(loaded).resolve() != here.resolve():
        for module in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
            del sys.modules[module]


@contextmanager
def _search_path(folder: Path) -> Iterator[None]:
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)
