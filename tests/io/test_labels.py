"""Labels from arrays and CSV files; every fault names the file and the row."""

import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.io.labels import check_labels, read_label_csv

PATHS = ["a/0.png", "a/1.png", "b/0.png"]


def csv_file(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_both_forms_are_kept():
    found = check_labels([2, -1, 0], 3, None, "x")
    assert found.values.dtype == np.int64 and found.names is None
    np.testing.assert_array_equal(check_labels(np.array([[2], [0], [1]]), 3, None, "x").values, [2, 0, 1])
    several = check_labels(np.array([[0, 1], [1, 1]], bool), 2, ["a", "b"], "x")
    assert several.values.dtype == np.uint8 and several.names == ("a", "b")
    assert check_labels(np.array([[0], [1]]), 2, ["only"], "x").values.shape == (2, 1)


@pytest.mark.parametrize(
    ("values", "n", "names", "match"),
    [
        ([0.0, 1.0], 2, None, "whole numbers"),
        ([0, 1], 3, None, "3 images"),
        ([0, 2, 1], 3, ["a", "b"], r"labels.npy: row 1 holds label 2, outside -1 \(unlabeled\) ... 1"),
        ([0, -2], 2, None, "row 1 holds label -2"),
        ([[0, 1], [2, 0]], 2, None, "row 1, column 0 holds 2"),
        ([[0, 1]], 1, ["a"], "2 label columns, but 1 class names"),
        (np.zeros((2, 2, 2), int), 2, None, "shape"),
        (np.array([2**63], np.uint64), 1, None, "row 0"),
    ],
)
def test_labels_that_do_not_fit_are_named(values, n, names, match):
    with pytest.raises(InputError, match=match):
        check_labels(values, n, names, "labels.npy")


def test_words_become_sorted_classes(tmp_path):
    path = csv_file(tmp_path, 'path,label\nb/0.png,zebra\na/0.png,"ant, red"\nother.png,zebra\n')
    found = read_label_csv(path, 3, PATHS)
    assert found.names == ("ant, red", "zebra")
    np.testing.assert_array_equal(found.values, [0, -1, 1])
    np.testing.assert_array_equal(read_label_csv(path, 3, PATHS, ["zebra", "ant, red"]).values, [1, -1, 0])


def test_rows_without_a_path_follow_the_images(tmp_path):
    found = read_label_csv(csv_file(tmp_path, "\ufefflabel\n3\n0\n-1\n"), 3)
    np.testing.assert_array_equal(found.values, [3, 0, -1])
    assert found.names is None
    np.testing.assert_array_equal(read_label_csv(csv_file(tmp_path, "id,label\n7,1\n8,\n9,0\n"), 3).values, [1, -1, 0])


def test_columns_of_0_and_1(tmp_path):
    path = csv_file(tmp_path, "path,mass,<b>\nb/0.png,1,1\na/1.png,0,0\na/0.png,0,1\n")
    found = read_label_csv(path, 3, PATHS)
    assert found.names == ("mass", "<b>")
    np.testing.assert_array_equal(found.values, [[0, 1], [0, 0], [1, 1]])


def test_odd_bytes_in_paths_match(tmp_path):
    path = csv_file(tmp_path, b'path,label\nraw\xff.png,1\n"new\nline.png",0\n')
    found = read_label_csv(path, 2, ["new\nline.png", b"raw\xff.png".decode(errors="surrogateescape")])
    np.testing.assert_array_equal(found.values, [0, 1])


@pytest.mark.parametrize(
    ("text", "names", "match"),
    [
        ("", None, "header"),
        ("path,label\n", None, "header"),
        ("label\n1\n", None, "column 'path'"),
        ("path\na/0.png\n", None, "column 'label'"),
        ("path,label\nx.png,1\n", None, "no row names an image.*x.png"),
        ("path,label\na/0.png,1\na/0.png,2\n", None, "row 2 names 'a/0.png' again"),
        ("path,label\na/0.png,1,2\n", None, "row 1 has 3 fields"),
        ("path,label\na/0.png,cat\n", ["car", "dog"], "row 1 holds 'cat', no class; did you mean 'car'"),
        ("path,label\na/0.png,2\n", ["car", "dog"], "row 1 holds label 2, outside"),
        ("path,label\na/0.png,--1\n", ["car", "dog"], "no class"),
        ("path,x,y\na/0.png,0,2\na/1.png,0,0\nb/0.png,0,0\n", None, "row 1, column 'y' holds '2'"),
        ("path,x,y\na/0.png,0,1\n", None, "image 'a/1.png' has no row"),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path, text, names, match):
    with pytest.raises(InputError, match=rf"(?s)labels\.csv.*{match}"):
        read_label_csv(csv_file(tmp_path, text), 3, PATHS, names)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv"):
        read_label_csv(tmp_path / "none.csv", 3)
    with pytest.raises(InputError, match="2 rows for 3 images"):
        read_label_csv(csv_file(tmp_path, "label\n1\n2\n"), 3)
