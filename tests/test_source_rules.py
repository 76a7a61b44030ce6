"""Rules of the house that a syntax tree can show: no printing, no assertions, no pickle in the library."""

import ast
from collections.abc import Iterator

import pytest

from tests.sources import ROOT, Source, sources

PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def printing(source: Source) -> Iterator[ast.AST]:
    """Calls of print, outside the command line."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield node


def assertions(source: Source) -> Iterator[ast.AST]:
    """Assert statements: python -O removes them, and users deserve a remedy."""
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.Assert))


def pickles(source: Source) -> Iterator[ast.AST]:
    """Anything that would load pickled objects, or might: numpy.load that does not say no."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if PICKLES & {module.partition(".")[0] for module in modules}:
                yield node
        elif isinstance(node, ast.Call):
            said = {keyword.arg: keyword.value for keyword in node.keywords}.get("allow_pickle")
            refused = isinstance(said, ast.Constant) and said.value is False
            of_numpy = ast.unparse(node.func) in {"np.load", "numpy.load"}
            if (said is not None and not refused) or (of_numpy and not refused):
                yield node


RULES = {"print": printing, "assert": assertions, "pickle": pickles}


@pytest.mark.parametrize("rule", RULES)
def test_the_library_keeps_the_rule(rule):
    wrong = [
        f"{source.path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)[:80]}"
        for source in sources()
        if not (rule == "print" and source.part == "cli")
        for node in RULES[rule](source)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("print", "print('x')"),
        ("assert", "def f(x):\n    assert x"),
        ("pickle", "import pickle"),
        ("pickle", "from joblib import load"),
        ("pickle", "np.load(path)"),
        ("pickle", "np.save(path, x, allow_pickle=True)"),
    ],
)
def test_a_breach_is_found(rule, text):
    assert list(RULES[rule](Source("jaxplain.x", ROOT / "x.py", ast.parse(text))))
