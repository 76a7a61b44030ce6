"""Memory does not grow with the number of samples."""

from benchmarks import sampling_memory
from benchmarks.sampling_memory import compiled


def test_a_wrapped_method_takes_as_much_for_ten_samples_as_for_ten_thousand():
    few, many = (
        compiled("dropout(gradient)", samples, batch=1, size=8, chunk=2)[0].memory_analysis().temp_size_in_bytes
        for samples in (10, 10_000)
    )
    assert few == many > 0


def test_a_row_meets_the_aim_only_with_both_ratios(monkeypatch):
    def in_child(module, flag, case, samples, *words):
        temporary, peak = 2e3 if samples == "10" else 2.04e3, 3e8 + int(samples) * 2e3
        return {"temporary bytes": temporary, "peak bytes": peak, "seconds": 1.5}

    monkeypatch.setattr(sampling_memory, "in_child", in_child)
    row = sampling_memory.measure("rise", [10, 10_000], batch=1, size=8, chunk=2)
    assert row["ratios"] == {"compiled": 1.02, "process": 1.0666}
    assert sampling_memory.line("rise", row).endswith("MISSED")
    row = sampling_memory.measure("rise", [10, 1_000], batch=1, size=8, chunk=2)
    assert sampling_memory.line("rise", row).endswith("1.5  met")
