"""The library's own source files as syntax trees, for the tests that read them."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"jaxplain": ROOT / "jaxplain", "jaxplain_kernels": ROOT / "kernels" / "jaxplain_kernels"}


@dataclass(frozen=True)
class Source:
    """One module: its dotted name, its file and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def part(self) -> str:
        """The part of the design that it belongs to: ``core``, ``io``, ``_errors`` ...; ``kernels`` for the kernels."""
        if self.name.startswith("jaxplain_kernels"):
            return "kernels"
        return self.name.partition(".")[2].partition(".")[0]

    def imports(self) -> dict[str, int]:
        """Dotted names imported anywhere in the file, with their lines; ``from a import b`` counts as ``a.b``."""
        found = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found.update({alias.name: node.lineno for alias in node.names})
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                if node.level:  # relative: count upwards from this module
                    package = self.name.split(".") if self.path.name == "__init__.py" else self.name.split(".")[:-1]
                    module = ".".join([*package[: len(package) - node.level + 1], *filter(None, [module])])
                found.update({f"{module}.{alias.name}": node.lineno for alias in node.names})
        return found


@cache
def sources() -> tuple[Source, ...]:
    """Every module of the library."""
    found = []
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append(Source(name, path, ast.parse(path.read_text(encoding="utf-8"))))
    return tuple(found)
