"""Maps that end in an upsampling: the registry tells, the engine leaves it out, reading makes up for it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain._registry import METHODS, find_method
from jaxplain.core.score import Score
from jaxplain.core.targets import Logit, Logits
from jaxplain.engine.coarse import last_step, without_last_step
from jaxplain.engine.finalize import global_maps
from jaxplain.engine.job import Explanation
from jaxplain.engine.run import run
from jaxplain.io.encoding import ERROR_BOUND
from jaxplain.io.upsampling import Upsampling
from jaxplain.testing.networks import CLASSES, LAYER, SHAPE, images, smooth_network
from jaxplain.testing.promises import example_keywords, network_for
from jaxplain.testing.tolerance import tol
from tests.engine.places import job, place, source

COARSE = sorted(name for name, entry in METHODS.items() if "coarse" in entry.notes)
LAYERED = {"layer": LAYER}
CAMS = (
    Explanation("cam", "grad_cam", LAYERED, {"layer": LAYER}),
    Explanation("eigen", "eigen_cam", {**LAYERED, "upsample": "nearest"}, {"upsample": "nearest"}),
)
N = 11


def test_every_method_with_the_knob_says_whether_it_is_the_last_step():
    assert {name for name, entry in METHODS.items() if "upsample" in entry.knobs} - set(COARSE) == {"guided_grad_cam"}


@pytest.mark.parametrize("name", COARSE)
def test_the_map_is_the_coarse_one_upsampled(name):
    entry, x = find_method(name), jnp.asarray(images(1)[0])
    score = Score(network_for(entry), Logit(1))
    keywords = {**example_keywords(entry, x), **({"layer": LAYER} if "layer" in entry.context else {})}
    how = ["bilinear", "nearest"] if name == "grad_cam" else entry.notes["coarse"][-1:]
    maps = jax.jit(lambda x: [entry(score, x, **keywords, upsample=upsample) for upsample in (None, *how)])(x)
    for upsample, want in zip(how, maps[1:], strict=True):
        got = Upsampling(upsample, SHAPE[:-1], ("y", "x"))(np.asarray(maps[0]))
        assert maps[0].shape == (6, 5) and want.shape == SHAPE[:-1]
        np.testing.assert_allclose(got, want, **tol(np.float32, terms=6, scale=np.abs(want).max()))


def test_a_wrapped_method_and_maps_of_several_layers_keep_their_size():
    assert "coarse" not in find_method("smooth(grad_cam)").notes
    for keywords in ({"layer": (LAYER, LAYER)}, {**LAYERED, "upsample": None}):
        one = Explanation("cam", "grad_cam", keywords)
        assert last_step(one) is None and without_last_step(one) == keywords
    assert last_step(Explanation("score", "score_cam", {**LAYERED, "upsample": "nearest"})) is None
    assert last_step(Explanation("cam", "excitation_backprop")) is None
    assert without_last_step(CAMS[1]) == {**LAYERED, "upsample": None}


@pytest.fixture(scope="module", params=["float16", "float32"])
def stores(request):
    """Runs with coarse and with full maps."""
    found = {}
    for coarse in (True, False):
        where, storage = place()
        assert run(job(CAMS, store=request.param, coarse=coarse), source(N, bad=[3]), where).complete
        found[coarse] = jaxplain.open(storage.url)
    return found, ERROR_BOUND if request.param == "float16" else 0


def test_a_run_stores_coarse_maps_and_reads_the_maps_that_explain_returns(stores):
    (found, rounding), good = stores, np.arange(N) != 3
    for one in CAMS:
        maps = found[True].maps(one.name)
        assert maps.coarse.shape == (N, 6, 5) and maps.shape == found[False].maps(one.name).shape == (N, *SHAPE[:-1])
        want = jaxplain.explain(
            smooth_network(), images(N), jaxplain.Predicted(), method=one.method, batch=4, **one.keywords
        )
        largest = np.abs(maps.coarse[:][good]).max(axis=(1, 2))
        error = np.abs(maps[:] - want)[good].max(axis=(1, 2))
        assert (error <= largest * (rounding + 2**-18)).all()
        assert np.isnan(maps[3]).all() and found[True].rows("status")[3]
    assert found[True].manifest["plan"]["coarse"] and "upsampling" in found[True].manifest["conventions"]["maps"]
    assert found[False].maps("cam").upsampling is None


def test_global_maps_of_coarse_maps_are_those_of_full_ones_to_rounding(stores):
    found, rounding = stores
    made = []
    for store in found.values():
        rows = [store.rows(field) for field in ("label", "prediction", "status")]
        made.append(global_maps(store.maps("cam"), *rows, n_labels=CLASSES))
    (coarse, full), bound = made, 4 * rounding + 2**-18  # a map of largest entry 1; variances of at most 1
    assert coarse.dimensions == full.dimensions == ("y", "x")
    np.testing.assert_array_equal(coarse.count, full.count)
    np.testing.assert_allclose(coarse.mean, full.mean, rtol=0, atol=bound)
    np.testing.assert_allclose(coarse.variance, full.variance, rtol=0, atol=2 * bound)


def test_several_targets_and_a_resumed_store_keep_their_axes():
    several = job(CAMS[:1], target=Logits(jnp.array([0, 3])))
    where, storage = place()
    run(several, source(N), where)
    maps = jaxplain.open(storage.url).maps("cam")
    assert maps.dims == ("image", "target", "y", "x") and maps.shape == (N, 2, *SHAPE[:-1])
    assert storage.node("maps/cam")["attributes"]["space"] == list(SHAPE[:-1])
    assert run(several, source(N), where).images == 0


def test_a_store_that_was_begun_with_full_maps_goes_on_with_them():
    where, storage = place()
    run(job(CAMS[:1], coarse=False), source(N), where)
    run(job(CAMS), source(N), where)
    assert jaxplain.open(storage.url).maps("eigen").upsampling is None


def test_where_no_maps_are_kept_partials_have_the_full_size():
    where, storage = place()
    with pytest.raises(jaxplain.InputError, match="needs a place for partials"):
        run(job(CAMS, store="none", n_labels=CLASSES), source(N), where)
    assert storage.node("maps/cam")["attributes"]["space"] == list(SHAPE[:-1])
