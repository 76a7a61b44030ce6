"""From a store to the report: what is read, what is said about what is missing, what is written."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.io.sources import array_source
from jaxplain.plots.report import reading, report_content, write_report
from jaxplain.plots.report.results import label_sweeps, overall_sweeps

from .sample_store import METHODS, NAMES, SHAPE, N, results, sample_store


@pytest.fixture(scope="module")
def whole():
    return sample_store()


@pytest.fixture(scope="module")
def content(whole):
    store, source = whole
    return report_content(store, source, facts={"images/s": 1234.5})


def test_global_maps_and_counts_are_those_of_the_store(whole, content):
    store, _ = whole
    assert [method.name for method in content.methods] == sorted(METHODS)
    for method in content.methods:
        stored = store.globals(method.name)
        assert [group.name for group in method.labels] == list(NAMES)
        for index, group in enumerate(method.labels):
            np.testing.assert_array_equal(group.mean, stored["mean"][stored["groups"].index(f"label/{index}")])
            assert group.count == content.labels[index].count
        assert {group.name for group in method.overall} == {"macro", "micro"}
        assert method.signed is False
        assert "each map divided by its maximum" in method.steps
    assert np.isnan(content.methods[0].labels[-1].mean).all()
    cam, gradient = content.methods
    assert "sum over channels" in gradient.steps and "channels" not in cam.steps
    assert cam.settings == "grad_cam, layer conv_3"


def test_examples_are_the_first_usable_images_with_their_pooled_maps(whole, content):
    store, _ = whole
    labels, status = store.rows("label"), store.rows("status")
    assert [name for name, _ in content.examples] == list(NAMES[:-1])
    for label, (name, group) in enumerate(content.examples):
        rows = np.flatnonzero((labels == label) & (status == 0))[:2]
        assert [example.name for example in group] == [f"row {row}" for row in rows]
        for row, example in zip(rows, group, strict=True):
            assert example.label == name and example.correct == (store.rows("prediction")[row] == label)
            drawn = dict(example.maps)
            raw = store.maps("gradient")[int(row)]
            np.testing.assert_allclose(drawn["gradient"], np.abs(raw).sum(axis=-1), rtol=1e-6)
            assert drawn["cam"].shape == (3, 4)
            assert example.image.shape == (*SHAPE, 3)


def test_pixels_are_shown_as_they_were_before_mean_and_std(whole, content):
    _, source = whole
    first = content.examples[0][1][0]
    pixels = source.read([int(first.name.removeprefix("row "))]).image[0] * 2.0 + 0.5
    stretched = (first.image - first.image.min()) / np.ptp(first.image)
    np.testing.assert_allclose(stretched, (pixels - pixels.min()) / np.ptp(pixels), atol=1e-5)


def test_what_is_missing_is_said(content):
    notes = " ".join(content.remarks)
    assert "Label without images, so without maps and curves: empty $x$." in notes
    assert "2 images were left out" in notes
    assert content.n_quarantined == 2
    assert [bad.row for bad in content.quarantined] == [4, 17]
    assert all("NaN or Inf in the pixels" in bad.reason for bad in content.quarantined)


def test_facts_name_model_data_versions_and_what_the_run_reports(content):
    facts = {title: dict(pairs) for title, pairs in content.facts}
    assert facts["Model"] == {"factory": "a:b"}
    assert facts["Images"]["images"] == str(N) and facts["Images"]["fingerprint"] == "abc123"
    assert facts["Versions"] == {"jax": "0.10.2"}
    assert facts["Run"]["device"] == "cpu" and facts["Run"]["images/s"] == "1,234"
    assert facts["Plan"]["batch"] == "20"
    assert json.loads(content.job)["job"]["seed"] == 0


def test_facts_that_the_run_left_in_the_store_are_shown():
    store, source = sample_store(sweeps=False)
    store.storage.write(reading.RUN, json.dumps({"peak memory": "1.1 GB"}).encode())
    assert ("peak memory", "1.1 GB") in dict(report_content(store, source).facts)["Run"]


def test_a_damaged_record_of_the_run_is_named():
    store, source = sample_store(sweeps=False)
    store.storage.write(reading.RUN, b"[1")
    with pytest.raises(InputError, match=r"run\.json: not a JSON table"):
        report_content(store, source)


def test_sweeps_carry_methods_controls_and_the_reason_of_what_is_not_there(content):
    auc, accuracy = content.overall_sweeps
    assert (auc.metric, accuracy.metric) == ("ROC-AUC", "accuracy")
    names = [curve.name for curve in auc.curves]
    assert names == [
        *METHODS,
        "random (10 orders: mean, range)",
        "distance from the center",
        "energy of the mean image",
    ]
    assert [curve.control for curve in auc.curves] == [False, False, True, True, True]
    assert "vargrad: no images" in auc.remark and "3 of 4 labels" in auc.remark
    assert auc.areas[0].difference.value == pytest.approx(0.3) and auc.areas[0].difference.low == pytest.approx(0.28)
    gaps = 0.002 * (np.arange(10) - 4.5)
    assert auc.areas[2].difference.value == pytest.approx(gaps.mean(), abs=1e-12)
    assert auc.areas[2].difference.high == pytest.approx(gaps.max())
    *defined, empty = content.label_sweeps
    assert [sweep.name for sweep in defined] == list(NAMES[:-1]) and all(sweep.curves for sweep in defined)
    assert empty.curves == () and "no positives" in empty.remark


def test_a_label_uses_the_order_of_its_own_map_where_it_was_swept():
    own = results(NAMES, own=True)
    first, second = label_sweeps(own, NAMES, [0, 1])
    assert [curve.name for curve in first.curves if not curve.control] == ["gradient"]
    assert "own map" in first.remark and not second.remark.startswith("Order")
    assert [curve.name for curve in second.curves if not curve.control] == list(METHODS)
    assert len(overall_sweeps(own)) == 2
    lines = {curve.name: curve.line for curve in second.curves if not curve.control}
    assert lines == {"gradient": 0, "cam": 1} and first.curves[0].line == 0


@pytest.mark.parametrize("several", [False, True])
def test_maps_of_several_targets_show_the_label_they_are_listed_under(several):
    store, source = sample_store(several=several, targets=True, sweeps=False)
    content = report_content(store, source, examples=1)
    for label, (_, (example,)) in enumerate(content.examples):
        row = int(example.name.split(",")[0].removeprefix("row "))
        shown = label if several else int(store.rows("target")[row])
        wanted = np.abs(store.maps("gradient")[row][shown]).sum(axis=-1)
        np.testing.assert_allclose(dict(example.maps)["gradient"], wanted, rtol=1e-6)
        assert (example.correct is None) == several


def test_signed_steps_make_signed_maps():
    store, source = sample_store(sign="signed", sweeps=False)
    content = report_content(store, source)
    assert all(method.signed for method in content.methods)
    assert min(values.min() for _, group in content.examples for e in group for _, values in e.maps) < 0


def test_an_unfinished_store_is_reported_as_far_as_it_goes():
    store, source = sample_store(shards=1, globals_=False, sweeps=False)
    content = report_content(store, source)
    assert "not finished: 40 of 60 images" in " ".join(content.remarks)
    assert all("finalize" in method.remark for method in content.methods)
    assert all(int(e.name.removeprefix("row ")) < 20 for _, group in content.examples for e in group)
    assert content.overall_sweeps == ()


def test_without_images_the_maps_stand_alone(whole):
    store, _ = whole
    content = report_content(store)
    assert all(example.image is None and example.maps for _, group in content.examples for example in group)
    assert "The images were not at hand" in " ".join(content.remarks)


def test_global_maps_are_shown_where_the_maps_were_not_kept():
    store, source = sample_store(sweeps=False)
    store.storage.delete_all("maps/cam/")
    content = report_content(store, source)
    assert len(content.methods[0].labels) == len(NAMES) and content.methods[0].name == "cam"
    assert "maps of cam were not kept" in " ".join(content.remarks)
    assert all([name for name, _ in example.maps] == ["gradient"] for _, group in content.examples for example in group)


def test_many_labels_are_cut_by_a_rule_that_is_stated():
    names = tuple(f"class {index}" for index in range(40))
    store, source = sample_store(names=names, sweeps=False)
    content = report_content(store, source, examples=1)
    assert len(content.labels) == 40 and len(content.methods[0].labels) == reading.MAX_LABELS
    assert "24 of 40 labels, those with the most images" in " ".join(content.omitted)
    shown = {group.name for group in content.methods[0].labels}
    fewest = min(label.count for label in content.labels if label.name in shown)
    assert fewest >= max(label.count for label in content.labels if label.name not in shown)
    write_report(store, source, examples=0, figures=False)


def test_a_source_of_another_run_is_refused(whole):
    store, _ = whole
    with pytest.raises(InputError, match="the run's own source"):
        report_content(store, array_source(np.zeros((3, *SHAPE, 3), np.float32)))


def test_results_of_an_unknown_format_are_left_out_and_named(whole):
    store, source = sample_store(sweeps=False)
    store.storage.write("peppr/results.json", b'{"schema": 99}')
    content = report_content(store, source)
    assert content.overall_sweeps == () and "unknown format" in " ".join(content.remarks)


def test_report_is_written_whole_into_the_store_or_elsewhere(tmp_path):
    store, source = sample_store(str(tmp_path / "a run"))
    place = Path(write_report(store, source, examples=1))
    assert place == tmp_path / "a run" / "report" / "index.html"
    tree = ElementTree.fromstring(place.read_text("utf-8"))
    shown = " ".join(tree.itertext())
    for text in (*NAMES, *METHODS, "a run", "abc123", "ROC-AUC", "NaN or Inf in the pixels", "Images left out (2)"):
        assert text in shown
    files = sorted(path.name for path in place.parent.iterdir())
    assert "global-01-gradient-labels.png" in files and "examples-00.png" in files
    assert any(name.startswith("curves-label-00") for name in files)
    elsewhere = write_report(store, None, tmp_path / "other", figures=False)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["index.html"]
    assert Path(elsewhere).exists()
