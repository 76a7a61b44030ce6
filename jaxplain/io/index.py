"""The index of images in files: id, size, time, label and path of each, made once by ``jaxplain index``.

Paths are kept as bytes, whatever they hold; the file is a ``.npz`` of plain arrays. The fingerprint covers paths, sizes
and times, so a changed folder is noticed.
"""

import hashlib
import io
import os
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.damage import naming_damage
from jaxplain.io.labels import Labels
from jaxplain.io.names import Names, to_bytes
from jaxplain.io.npyformat import read_whole
from jaxplain.io.storage import Storage

INDEX_NAME = ".jaxplain-index.npz"
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
VERSION = 1


@dataclass(frozen=True)
class Members:
    """Where images lie inside archives.

    Args:
        shard: Number of the archive of each image.
        offset: Position of its first byte there.
        shards: Names of the archives.
        shard_size: Their sizes.
    """

    shard: np.ndarray
    offset: np.ndarray
    shards: Names
    shard_size: np.ndarray

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The arrays, as they are stored."""
        blob, offsets = self.shards.parts
        own = {"shard": self.shard, "offset": self.offset, "shard_size": self.shard_size}
        return own | {"shards": blob, "shards_offsets": offsets}

    def sound(self, size: np.ndarray) -> bool:
        """Tell whether every image, of these sizes, lies inside an archive that there is."""
        n, own = len(self.shards), (self.shard, self.offset)
        if not self.shards.sound or self.shard_size.shape != (n,) or any(one.shape != size.shape for one in own):
            return False
        if any(one.dtype != np.int64 for one in (*own, self.shard_size, size)):
            return False
        if len(size) and not (self.shard.min() >= 0 and self.shard.max() < n):
            return False
        ends = self.shard_size[self.shard] - self.offset
        return bool((self.offset >= 0).all() and (size >= 0).all() and (size <= ends).all())


@dataclass(frozen=True)
class Index:
    """What is known about every image of a source, in the order of its rows; times are those of files."""

    id: np.ndarray
    size: np.ndarray
    mtime_ns: np.ndarray
    label: np.ndarray
    paths: Names | None
    class_names: tuple[str, ...] | None = None
    members: Members | None = None

    def __len__(self) -> int:
        return len(self.id)

    @property
    def fingerprint(self) -> str:
        """Hash over the paths, sizes and times (over ids and labels where there are no paths)."""
        total = hashlib.blake2b(digest_size=16)
        columns = [self.size, self.mtime_ns, *self.paths.parts] if self.paths is not None else [self.id, self.label]
        columns += [] if self.members is None else self.members.columns.values()
        for column in columns:
            total.update(f"{column.dtype.str}{column.shape}".encode())
            total.update(np.ascontiguousarray(column).tobytes())
        return total.hexdigest()

    @property
    def labels(self) -> Labels | None:
        """Labels with their class names; None where no image has one."""
        if self.label.ndim == 1 and (self.label < 0).all():
            return None
        return Labels(self.label, self.class_names)


def image_id(path: str) -> int:
    """Return the stable 64-bit id of a file: the first 8 bytes of BLAKE2b of its path inside the folder."""
    return int.from_bytes(hashlib.blake2b(to_bytes(path), digest_size=8).digest(), "little")


def build_index(directory: str | os.PathLike[str]) -> Index:
    """Walk a folder and describe its images, sorted by path.

    The first folder on an image's path is its class; images beside such folders are unlabeled. Files and
    folders whose name begins with a dot are left out.

    Raises:
        InputError: No such folder, or no images in it.
        OSError: A folder cannot be read.
    """
    root = os.fspath(directory)
    if not os.path.isdir(root):
        raise InputError(f"{root}: no such folder; check the path.")
    found = sorted(_walk(root, "", {os.path.realpath(root)}), key=lambda entry: to_bytes(entry[0]))
    if not found:
        raise InputError(
            f"{root}: no images; expected files ending in {', '.join(SUFFIXES)} (for tar files: webdataset://{root})."
        )
    paths = [path for path, _, _ in found]
    ids = np.array([image_id(path) for path in paths], np.uint64)
    if len(np.unique(ids)) < len(ids):
        raise InputError(f"{root}: two paths have the same 64-bit id; rename one of them.")
    tops = [path.partition("/")[0] if "/" in path else None for path in paths]
    names = sorted({top for top in tops if top is not None}, key=to_bytes)
    number = {name: i for i, name in enumerate(names)}
    label = np.array([-1 if top is None else number[top] for top in tops], np.int64)
    size = np.array([size for _, size, _ in found], np.int64)
    mtime = np.array([mtime for _, _, mtime in found], np.int64)
    return Index(ids, size, mtime, label, Names.of(paths), tuple(names) if names else None)


def _walk(root: str, inside: str, seen: set[str]) -> list[tuple[str, int, int]]:
    found = []
    with os.scandir(os.path.join(root, inside)) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{inside}/{entry.name}" if inside else entry.name
            if entry.is_dir():
                real = os.path.realpath(entry.path)
                if real not in seen:  # links may form a ring
                    found += _walk(root, path, seen | {real})
            elif entry.name.lower().endswith(SUFFIXES):
                if entry.is_file():
                    facts = entry.stat()
                    found.append((path, facts.st_size, facts.st_mtime_ns))
                elif entry.is_symlink():
                    raise InputError(f"{root}: {path!r} is a link that leads nowhere; mend or remove it.")
    return found


def index_of(source: Any) -> Index:
    """Return the index of any source, with the labels that it uses; arrays have neither paths nor sizes nor times."""
    n = len(source)
    known: Index | None = getattr(source, "index", None)
    label = source.labels if source.labels is not None else np.full(n, -1, np.int64)
    if known is not None:
        return replace(known, label=label, class_names=source.class_names)
    nothing = np.zeros(n, np.int64)
    return Index(source.ids, nothing, nothing, label, None, source.class_names)


def index_bytes(index: Index) -> bytes:
    """Return an index as the bytes of its ``.npz`` file."""
    path, offsets = (index.paths or Names.of([])).parts
    names, name_offsets = Names.of(index.class_names or ()).parts
    columns = {
        "version": np.array([VERSION]),
        "id": index.id,
        "size": index.size,
        "mtime_ns": index.mtime_ns,
        "label": index.label,
        "path": path,
        "path_offsets": offsets,
        "class": names,
        "class_offsets": name_offsets,
        "fingerprint": np.frombuffer(bytes.fromhex(index.fingerprint), np.uint8),
    }
    columns |= {} if index.members is None else index.members.columns
    out = io.BytesIO()
    np.savez(out, **columns)  # type: ignore[arg-type]
    return out.getvalue()


def parse_index(raw: bytes, where: str) -> Index:
    """Return the index stored in bytes.

    Raises:
        InputError: The bytes are damaged or no index.
    """
    remedy = "run `jaxplain index` on the folder again"
    with naming_damage(where, "a sound index", remedy), zipfile.ZipFile(io.BytesIO(raw)) as archive:

        def column(name: str) -> np.ndarray:
            member = archive.getinfo(f"{name}.npy")
            if member.file_size > len(raw):  # an index is stored uncompressed
                raise InputError(f"{where}: not a sound index ({name} declares {member.file_size} bytes); {remedy}.")
            with archive.open(member) as file:
                return read_whole(file, member.file_size, f"{where}[{name}]", remedy)

        if column("version").tolist() != [VERSION]:
            raise InputError(f"{where}: index version {column('version').tolist()} is not read here; {remedy}.")
        paths = Names(column("path"), column("path_offsets"))
        classes = Names(column("class"), column("class_offsets"))
        members = None
        if "shard.npy" in archive.namelist():
            shards = Names(column("shards"), column("shards_offsets"))
            members = Members(column("shard"), column("offset"), shards, column("shard_size"))
        index = Index(
            column("id"),
            column("size"),
            column("mtime_ns"),
            column("label"),
            paths if len(paths) else None,
            tuple(classes) if len(classes) else None,
            members,
        )
        sound = column("fingerprint").tobytes().hex() == index.fingerprint
        n = len(index)
        sound = sound and (index.id.dtype == np.uint64) and len(index.label) == n > 0
        sound = sound and index.size.shape == index.mtime_ns.shape == index.id.shape == (n,)
        sound = sound and (index.paths is None or len(paths) == n) and paths.sound and classes.sound
        sound = sound and (members is None or members.sound(index.size))
    if not sound:
        raise InputError(f"{where}: not a sound index (its columns do not fit together); {remedy}.")
    return index


def write_index(directory: str | os.PathLike[str], index: Index, name: str = INDEX_NAME) -> Path:
    """Store an index beside its images, at ``<directory>/.jaxplain-index.npz``, replacing an older one."""
    Storage.open(directory).write(name, index_bytes(index))
    return Path(directory) / name


def read_index(path: str | os.PathLike[str]) -> Index:
    """Read the index of a folder, or an index file.

    Raises:
        InputError: There is none, or it is damaged; the remedy is named.
    """
    file = Path(path) / INDEX_NAME if os.path.isdir(path) else Path(path)
    try:
        return parse_index(file.read_bytes(), str(file))
    except FileNotFoundError:
        raise InputError(f"{file}: no index; run `jaxplain index {os.fspath(path)}` once.") from None


def stale(directory: str | os.PathLike[str], index: Index) -> str | None:
    """Say in what a folder differs from its index, or return None when it does not."""
    now = build_index(directory)
    if now.fingerprint == index.fingerprint:
        return None
    before = {} if index.paths is None else {path: i for i, path in enumerate(index.paths)}
    after = {path: i for i, path in enumerate(now.paths or ())}
    new, gone = [path for path in after if path not in before], [path for path in before if path not in after]
    facts = {path: (now.size[i], now.mtime_ns[i]) for path, i in after.items()}
    known = {path: (index.size[i], index.mtime_ns[i]) for path, i in before.items()}
    changed = [path for path in facts if path in known and facts[path] != known[path]]
    counts = ((new, "new"), (gone, "gone"), (changed, "changed"))
    return ", ".join(f"{len(paths)} {word} (such as {paths[0]!r})" for paths, word in counts if paths)
