"""Files of nodes: what ``jaxplain calibrate`` writes and ``nodes = "..."`` of a method names."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.cli.paths import resolved
from jaxplain.core.nodes import Nodes, check_nodes


def read_nodes(value: Any, folder: Path, where: str) -> tuple[Nodes, dict[str, list[float]]]:
    """Return the nodes of a file, and the JSON value that stands for them in the store: themselves.

    Args:
        value: The path as the job writes it.
        folder: The folder of the job file.
        where: The job file and the key, for messages.

    Raises:
        InputError: No such file, or no nodes in it.
    """
    if not isinstance(value, str):
        raise InputError(f"{where} = {value!r}; write the path of a file that `jaxplain calibrate` made.")
    path = Path(resolved(folder, value))
    try:
        table = json.loads(path.read_text("utf-8"))
        columns = [np.asarray(table[name], np.float32) for name in ("positions", "weights")]
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{where}: {path} is no file; make it with `jaxplain calibrate`, or check the path.") from None
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise InputError(
            f"{where}: {path} holds no lists of numbers named positions and weights; make it with `jaxplain calibrate`."
        ) from error
    nodes = check_nodes(f"{where}: {path}", Nodes(*columns))
    return nodes, _as_lists(nodes)


def write_nodes(path: Path, nodes: Nodes, facts: dict[str, Any]) -> None:
    """Write nodes and what is worth knowing of them.

    Args:
        path: The file, which is replaced.
        nodes: The nodes.
        facts: JSON values, for people.
    """
    path.write_text(json.dumps({**_as_lists(nodes), **facts}, indent=1) + "\n", "utf-8")


def _as_lists(nodes: Nodes) -> dict[str, list[float]]:
    """Return the nodes in the shortest decimals of float32, as which they are used."""
    columns = {"positions": nodes.positions, "weights": nodes.weights}
    return {name: [float(str(value)) for value in np.asarray(column, np.float32)] for name, column in columns.items()}
