"""Open a source by its address."""

import os
from collections.abc import Sequence
from urllib.parse import parse_qsl

from jaxplain._errors import InputError, unknown
from jaxplain.io.input import Input
from jaxplain.io.sources.base import Source
from jaxplain.io.sources.folder import folder_source
from jaxplain.io.sources.idx import idx_source
from jaxplain.io.sources.npy import npy_source, npz_source
from jaxplain.io.sources.webdataset import webdataset_source
from jaxplain.io.sources.zarr import zarr_source

SCHEMES = ("folder", "idx", "npy", "npz", "webdataset", "zarr")
INDEXED = ("folder", "webdataset")
"""Kinds whose images are encoded files, which an index lists."""


def open_source(
    url: str | os.PathLike[str],
    input: Input | None = None,
    *,
    labels: str | None = None,
    names: Sequence[str] | None = None,
    index: str | os.PathLike[str] | None = None,
    threads: int | None = None,
) -> Source:
    """Open a source.

    Args:
        url: ``npz://file.npz?images=x&labels=y``, ``npy://file.npy``, ``idx://images.gz``, ``folder://DIR``,
            ``webdataset://DIR`` or ``webdataset://train-{0000..0099}.tar``, ``zarr://DIR?images=a/b&labels=c``, or a
            plain path, whose ending (or being a folder) decides.
        input: What is done to the pixels.
        labels: A file of labels (``.csv``, ``.npy``, IDX), or the key of the labels in the same ``.npz`` or zarr.
        names: Class names.
        index: Index of image files, where it does not lie beside them.
        threads: Threads that decode image files; default half of the cores, at most 16.

    Raises:
        InputError: Unknown kind, missing file or key, or content that does not fit.
    """
    scheme, rest = kind_of(os.fspath(url))
    if scheme in ("npz", "zarr"):
        rest, keys = _query(rest, scheme)
        images, chosen = keys.get("images", "images"), keys.get("labels", labels)
        make = npz_source if scheme == "npz" else zarr_source
        return make(rest, images=images, labels=chosen, input=input, names=names)
    if scheme in INDEXED:
        make_indexed = folder_source if scheme == "folder" else webdataset_source
        return make_indexed(rest, labels=labels, names=names, input=input, index=index, threads=threads)
    return (npy_source if scheme == "npy" else idx_source)(rest, labels=labels, input=input, names=names)


def kind_of(url: str) -> tuple[str, str]:
    """Return the kind of source that an address names, and what is left of the address.

    Raises:
        InputError: Unknown kind, or a plain path that does not tell.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme in SCHEMES:
        return scheme, rest
    if separator and scheme in ("file", "s3", "gs", "memory"):
        return ("zarr", url) if scheme != "file" else kind_of(rest)
    if separator and not os.path.exists(url):
        raise unknown("source.url", "kind", scheme, SCHEMES)
    path = url.partition("?")[0] if not os.path.exists(url) else url
    if os.path.isdir(path):
        is_zarr = any(os.path.exists(os.path.join(path, name)) for name in ("zarr.json", ".zarray", ".zgroup"))
        return "zarr" if is_zarr else "folder", url
    if path.endswith(".tar"):
        return "webdataset", url
    if not os.path.exists(path):
        raise InputError(f"{url}: no such folder or file; check the path.")
    name = path.lower().removesuffix(".gz")
    if name.endswith((".npz", ".npy")):
        return name[-3:], url
    if "ubyte" in name or name.endswith(".idx"):
        return "idx", url
    raise InputError(
        f"source.url: cannot tell what {url!r} is; write it with one of {', '.join(s + '://' for s in SCHEMES)}."
    )


def _query(rest: str, scheme: str) -> tuple[str, dict[str, str]]:
    if "://" not in rest and os.path.exists(rest):  # a name may hold a question mark
        return rest, {}
    path, _, query = rest.partition("?")
    keys = dict(parse_qsl(query, keep_blank_values=True))
    for key in keys:
        if key not in ("images", "labels"):
            raise unknown(f"source.url ({scheme}://)", "key", key, ("images", "labels"))
    return path, keys
