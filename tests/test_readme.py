"""Everything that the documents show is executed: the README's Python blocks and the docstrings' examples."""

import doctest
import importlib
import re
import tomllib
from pathlib import Path

import jax
import pytest

import jaxplain.methods  # noqa: F401  (fills the registry, before a test works on a copy of it)
from jaxplain import _registry
from jaxplain.cli.commands.methods import markdown
from tests.sources import ROOT, sources

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DOCUMENTS = ("README.md", "CONTRIBUTING.md")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(document: str) -> list[str]:
    """The Python blocks of a document, in order."""
    return BLOCK.findall((ROOT / document).read_text(encoding="utf-8"))


@pytest.mark.usefixtures("standard_promotion")
@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_python_blocks_run(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In one namespace and in order, as a reader would type them; what they write goes to a folder of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_registry, "METHODS", dict(_registry.METHODS))  # a method defined by a block stays with it
    namespace: dict = {"__name__": document}
    for number, block in enumerate(blocks(document), start=1):
        exec(compile(block, f"{document}, block {number}", "exec"), namespace)


def documented() -> list[str]:
    """Modules whose docstrings hold examples."""
    return [source.name for source in sources() if ">>>" in source.path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", documented())
def test_the_docstring_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Examples see the module's own names and `jax`, `jnp`, `np`."""
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    common = {"jax": jax, "jnp": jax.numpy, "np": importlib.import_module("numpy")}
    words: list[str] = []
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(optionflags=FLAGS)
    for example in finder.find(module, name, globs={**common, **vars(module)}):
        runner.run(example, out=words.append)
    assert runner.failures == 0, "".join(words)


def test_job_files_in_the_readme_are_toml():
    for text in re.findall(r"^```toml\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.M):
        tomllib.loads(text)


def test_the_table_of_methods_is_that_of_the_registry():
    """``jaxplain methods --markdown`` writes it; put it between the two marks."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- methods: .*? -->\n(.*?)\n<!-- end of methods -->", text, re.DOTALL)
    assert found and found[1].strip() == markdown()
