"""The compile cache of jobs: read again, whole or not at all, the user's own choice, and no setting left behind."""

import functools
import os
import subprocess
import sys
import types
from collections import Counter
from pathlib import Path

import jax
import jax.monitoring
import numpy as np
import pytest

import jaxplain as library
from jaxplain._compat import forget_compile_cache
from jaxplain.cli import compile_cache as cache
from jaxplain.cli.jobfile import load_job
from jaxplain.engine.events import Finished, Noted
from jaxplain.testing.networks import images, smooth_network
from tests.cli.conftest import refused

ROOT = Path(__file__).parents[2]


@functools.cache
def events() -> Counter:
    """What JAX tells of its cache; a listener cannot be taken back."""
    seen = Counter()
    jax.monitoring.register_event_listener(lambda event, **_: seen.update([event.rpartition("/")[2]]))
    return seen


@pytest.fixture
def allowed(monkeypatch):
    """The suite forbids JAX's cache; here it is allowed, and keeps programs that compile in no time."""
    monkeypatch.setattr(cache, "LEAST_SECONDS", 0.0)
    jax.config.update("jax_enable_compilation_cache", True)
    forget_compile_cache()
    yield
    jax.config.update("jax_enable_compilation_cache", False)
    forget_compile_cache()


def worked(job: Path, *changes: str, watch=lambda event: None) -> tuple[np.ndarray, int]:
    """Compile a program inside the block, as a process of its own would; return its result and the hits."""
    events().clear()
    with cache.compile_cache(load_job(job, changes), watch):
        found = np.asarray(jax.jit(lambda x: (x @ x).sum(axis=0))(np.eye(7, dtype=np.float32)))
    return found, events()["cache_hits"]


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*-cache"))


HERE = "run.compile_cache=kept"


def test_the_next_job_reads_what_one_compiled(job, allowed):
    first, hits = worked(job, HERE)
    assert hits == 0
    assert entries(job.parent / "kept")
    again, hits = worked(job, HERE)
    assert hits >= 1
    np.testing.assert_array_equal(again, first)


def test_a_fresh_process_reads_it_too(job):
    """JAX issue 38445: until 0.10.1 every entry was rejected by another process on CPUs with AVX-512."""
    code = (
        "import sys; from pathlib import Path; from tests.cli import test_compile_cache as t;"
        "t.cache.LEAST_SECONDS = 0.0; print('hits', t.worked(Path(sys.argv[1]), t.HERE)[1])"
    )
    run = functools.partial(
        subprocess.run, [sys.executable, "-c", code, str(job)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "kernels")))
    env = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "true", "PYTHONPATH": paths}
    assert "hits 0" in run(env=env).stdout
    again = run(env=env)
    assert "hits 0" not in again.stdout, again
    assert "feature" not in again.stderr  # what XLA says of code for another processor


def flipped(raw: bytes) -> bytes:
    return raw[:40] + bytes([raw[40] ^ 1]) + raw[41:]


DAMAGE = {"flip": flipped, "cut": lambda raw: raw[:100], "empty": lambda raw: b"", "noise": lambda raw: os.urandom(200)}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_compiled_again(job, allowed, damage):
    first, _ = worked(job, HERE)
    (victim,) = [entry for entry in entries(job.parent / "kept") if "lambda" in entry.name]
    whole = victim.read_bytes()
    victim.write_bytes(damage(whole))
    again, _ = worked(job, HERE)
    np.testing.assert_array_equal(again, first)
    assert len(victim.read_bytes()) > 200
    _, hits = worked(job, HERE)
    assert hits >= 1


def test_an_entry_that_a_killed_job_left_half_written_is_not_read(job, allowed):
    first, _ = worked(job, HERE)
    (victim,) = [entry for entry in entries(job.parent / "kept") if "lambda" in entry.name]
    victim.write_bytes(victim.read_bytes()[:100])
    cache._sum_of(victim).unlink()
    again, _ = worked(job, HERE)
    np.testing.assert_array_equal(again, first)


def test_entries_are_sealed_when_a_stage_ends(job, allowed):
    """So that a job which is killed later finds its programs again."""
    with cache.compile_cache(load_job(job, [HERE]), lambda event: None) as watch:
        jax.jit(lambda x: x * 3)(np.ones(5, np.float32))
        before = [cache._sum_of(entry).exists() for entry in entries(job.parent / "kept")]
        watch(Finished("compile", 1.0))
        after = [cache._sum_of(entry).exists() for entry in entries(job.parent / "kept")]
    assert not any(before)
    assert all(after)
    assert len(after) == len(before) >= 1


def test_the_oldest_entries_go_when_there_are_too_many(job, allowed, monkeypatch):
    worked(job, HERE)
    old = entries(job.parent / "kept")
    for entry in old:
        os.utime(entry, (1, 1))
    with cache.compile_cache(load_job(job, [HERE]), lambda event: None):
        jax.jit(lambda x: x * 5)(np.ones(5, np.float32))
    young = set(entries(job.parent / "kept")) - set(old)
    monkeypatch.setattr(cache, "MOST_BYTES", sum(entry.stat().st_size for entry in young))
    with cache.compile_cache(load_job(job, [HERE]), lambda event: None):
        pass
    assert set(entries(job.parent / "kept")) == young


def test_settings_are_as_before_also_after_an_error(job, allowed):
    before = dict(jax.config.values)
    with pytest.raises(KeyError), cache.compile_cache(load_job(job, [HERE]), lambda event: None):
        assert jax.config.values != before
        raise KeyError
    assert jax.config.values == before


def test_explaining_arrays_changes_no_setting(allowed):
    before = dict(jax.config.values)
    library.explain(smooth_network(), images(2), library.Logit(0), method="gradient")
    assert jax.config.values == before


def test_a_cache_of_the_users_own_is_used_as_it_is(job, allowed, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "theirs"))
    try:
        before = dict(jax.config.values)
        with cache.compile_cache(load_job(job, [HERE]), lambda event: None):
            assert jax.config.values == before
    finally:
        jax.config.update("jax_compilation_cache_dir", None)
    assert not (job.parent / "kept").exists()


@pytest.mark.parametrize("reason", ["off", "forbidden"])
def test_nothing_is_kept(job, allowed, reason):
    if reason == "forbidden":
        jax.config.update("jax_enable_compilation_cache", False)
    _, hits = worked(job, "run.compile_cache=off" if reason == "off" else HERE)
    assert hits == 0
    assert not (job.parent / "kept").exists()


def test_a_folder_of_the_users_that_cannot_be_written_stops_nothing(job, allowed, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    seen = []
    found, _ = worked(job, watch=seen.append)
    np.testing.assert_array_equal(found, np.ones(7))
    (note,) = [event for event in seen if isinstance(event, Noted)]
    assert "compiled without a cache" in note.text
    assert "run.compile_cache" in note.text


def test_a_folder_that_fails_later_stops_nothing(job, allowed):
    file = load_job(job, [HERE])
    with cache.compile_cache(file, lambda event: None):
        for entry in (job.parent / "kept").glob("*"):
            entry.rmdir()
        (job.parent / "kept").rmdir()
        np.testing.assert_array_equal(jax.jit(lambda x: x * 7)(np.ones(2, np.float32)), [7, 7])


def test_a_folder_that_everybody_may_write_is_refused(job, allowed):
    """Whoever writes there could run code in the job."""
    worked(job, HERE)
    (place,) = (job.parent / "kept").iterdir()
    place.chmod(0o777)
    with pytest.raises(library.InputError, match="can be written by everybody"):
        worked(job, HERE)


def test_the_command_line_keeps_programs_and_refuses_what_is_no_folder(jaxplain, job, allowed):
    answer = jaxplain("run", str(job), "--set", HERE, "--set", "plan.batch=5")  # no other test's programs
    assert answer.code == 0, answer.err
    assert any("explain" in entry.name for entry in entries(job.parent / "kept"))
    answer = jaxplain("run", str(job), "--set", "run.compile_cache=images.npz", "--set", "output=other")
    refused(answer, "job.toml: run.compile_cache = 'images.npz'", 'or to "off"')
    refused(jaxplain("run", str(job), "--set", "run.compile_cach=off"), "did you mean 'compile_cache'")


def test_folders_part_versions_and_processors(monkeypatch):
    here = cache.machine()
    assert here.startswith(f"jaxlib-{cache.jaxlib.__version__}-cpu-")
    monkeypatch.setattr(cache, "_cpu_facts", lambda: ["flags : none"])
    other = cache.machine()
    monkeypatch.setattr(cache, "jaxlib", types.SimpleNamespace(__version__="9.9"))
    assert len({here, other, cache.machine()}) == 3


@pytest.mark.parametrize(
    ("platform", "named", "want"),
    [
        ("linux", {}, ".cache/jaxplain/compiled"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, ".cache/jaxplain/compiled"),
        ("darwin", {}, "Library/Caches/jaxplain/compiled"),
        ("win32", {}, "AppData/Local/jaxplain/compiled"),
    ],
)
def test_the_users_folder_is_where_the_system_has_caches(monkeypatch, tmp_path, platform, named, want):
    monkeypatch.setattr(cache, "sys", types.SimpleNamespace(platform=platform))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    assert cache.user_folder() == tmp_path / want
