"""The kernels' benchmark: every operation of several forms has its setting, and a small case of it gives rows."""

import pytest

from benchmarks.kernels import SETTINGS, measure, settings
from jaxplain_kernels.choice import operations

STAGES = {"pool": {"forward", "backward", "loop"}, "rank": {"forward"}, "rank_erase": set()}


def test_every_operation_of_several_forms_can_be_timed():
    assert {op.name for op in operations() if len(op.forms) > 1} <= set(SETTINGS)


@pytest.mark.parametrize("name", STAGES)
def test_a_small_case_is_timed_in_every_form_that_serves(name):
    op, _, setting = next(settings((name,), "SMALL"))
    rows = measure(op, setting, pairs=2)
    assert set(rows) == {form.name for form in op.forms[1:] if not form.refusal(setting.spec, "cpu")}
    for row in rows.values():
        assert set(row) == STAGES[name]
        assert all(len(found["ratio"]["values"]) == 2 and min(found["milliseconds"]) > 0 for found in row.values())
