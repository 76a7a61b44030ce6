"""Maps of jaxplain and of its peers on the same weights, and the harness that times them."""

import json
import sys
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from jaxplain.graph.predicates import OfKind, ReadsInput
from jaxplain.methods.lrp import AlphaBeta, Epsilon, Flat, Gamma, WSquare, ZBox, ZPlus

torch = pytest.importorskip("torch")
captum, grad_cam, shap, zennit = (
    pytest.importorskip(f"benchmarks.against.{peer}") for peer in ("captum", "grad_cam", "shap", "zennit")
)
against, pairs, stand_in, subjects, torch_side = (
    import_module(f"benchmarks.against.{name}")
    for name in ("__main__", "pair", "torchvision_stand_in", "subjects", "torch_side")
)
composites, rules, types = (import_module(f"zennit.{name}") for name in ("composites", "rules", "types"))

# The peers warn of their own hooks and of what they import.
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]

SETTING = torch_side.Setting()
EVERY = [*captum.PAIRS, *zennit.PAIRS, *grad_cam.PAIRS]
EXACT = [pair for pair in EVERY if not pair.differs]
DEEP = [pair for pair in EXACT if pair.cell in {"captum/deeplift", "grad_cam/hires_cam"} or pair.peer == "zennit"]


@pytest.fixture(scope="module")
def networks():
    made = {}

    def make(name, size=32):
        if name not in made:
            made[name] = subjects.make(name, n_images=2, size=size)
        return made[name]

    return make


@pytest.mark.parametrize("pair", EXACT, ids=lambda pair: pair.cell)
def test_maps_agree_on_a_small_network(pair, networks):
    name = "small" if pair.serves(networks("small")) else "small_plain"
    found = pair.agreement(networks(name), 9, SETTING)
    assert found.agrees, found
    assert found.in_float64 < (2e-3 if pair.method == "deeplift" else 1e-5)  # where thresholds decide otherwise
    assert found.relative_l2 < 1e-3 and found.cosine > 0.999


@pytest.mark.parametrize("pair", DEEP, ids=lambda pair: pair.cell)
def test_maps_agree_on_a_small_resnet(pair, networks):
    found = pair.agreement(networks("small_resnet", 64), 0, SETTING)
    assert found.agrees and found.relative_l2 < 1e-4  # what Zennit leaves of a merged normalization would be 1e-4


def test_score_cam_agrees_where_no_mask_is_enlarged(networks):
    (pair,) = [pair for pair in grad_cam.PAIRS if pair.method == "score_cam"]
    found = pair.agreement(replace(networks("small"), layer="relu1"), 9, SETTING)
    assert found.agrees is None and found.relative_l2 < 1e-3


def test_expected_gradients_from_one_background_are_integrated_gradients_up_to_their_sampling_error(networks):
    """By Markov's inequality the squared distance exceeds a hundred times its mean in at most 1 of 100 seeds."""
    subject, samples = networks("small"), 64
    pair = shap.PAIRS[-1]
    ours = pair.ours(subject, samples)()
    explainer = shap.shap.GradientExplainer(subject.original, torch.zeros(1, 3, 32, 32))
    x = SETTING.tensor(subject.images)
    maps, figures, ranks = explainer.shap_values(x, samples, ranked_outputs=1, rseed=1, return_variances=True)
    assert ranks[:, 0].tolist() == subject.labels.tolist()
    variance_of_mean = np.sum(figures[0]) / np.sqrt(samples)  # it gives the variance over the root of n
    distance = np.sum((pairs.channels_last(maps[..., 0]) - ours) ** 2)
    assert 0 < distance < 100 * variance_of_mean
    assert distance < 0.2 * np.sum(ours**2)


RULES = {
    "epsilon": (Epsilon(0.25), rules.Epsilon(0.25)),
    "z-plus": (ZPlus(epsilon=0.25), rules.ZPlus(0.25)),
    "alpha-beta": (AlphaBeta(2.0, epsilon=0.25), rules.AlphaBeta(2, 1, 0.25)),
    "gamma": (Gamma(0.5, epsilon=0.25), rules.Gamma(0.5, 0.25)),
    "flat": (Flat(), rules.Flat()),
    "w-square": (WSquare(), rules.WSquare(zero_params="bias")),
    "z-box": (ZBox(-2.0, 2.0, 0.25), rules.ZBox(-2.0, 2.0, 0.25)),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_at_the_first_layer_is_zennits_also_where_its_stabilizer_is_large(name, networks):
    """The first layer has inputs of both signs, a bias, and padding; of w-square Zennit's is told to leave the bias."""
    ours, theirs = RULES[name]
    others = [
        *composites.layer_map_base(),
        (types.Convolution, rules.ZPlus()),
        (torch.nn.Linear, rules.Epsilon()),
    ]

    def composite(**more):
        first = [(types.Convolution, theirs)]
        return composites.SpecialFirstLayerMapComposite(layer_map=others, first_map=first, **more)

    pair = replace(
        zennit.PAIRS[0],
        open_peer=lambda samples: zennit.opened(composite),
        keywords=lambda subject, samples: {
            "composite": ((ReadsInput(), ours), (OfKind("conv"), ZPlus()), (OfKind("dot"), Epsilon()))
        },
    )
    assert pair.agreement(networks("small"), 0, SETTING).agrees


def test_captums_deeplift_differs_at_pooling_windows_that_overlap_and_there_alone(networks):
    (pair,) = [pair for pair in captum.PAIRS if pair.method == "deeplift"]
    as_it_is = replace(pair, agreeing=None)
    assert as_it_is.agreement(networks("small"), 0, SETTING).agrees
    assert not as_it_is.agreement(networks("small_resnet", 64), 0, SETTING).agrees


def test_a_network_taken_apart_has_equal_values_and_no_module_twice(networks):
    subject = networks("small_resnet", 64)
    x = SETTING.tensor(subject.images)
    network = torch_side.separate(subject.original)
    torch.testing.assert_close(network(x), subject.original(x))
    names = [node.target for node in network.graph.nodes if node.op == "call_module"]
    assert len(names) == len(set(names)) and sum("use" in name for name in names) == 4


def test_a_map_of_another_network_does_not_agree(networks):
    pair, subject = EXACT[0], networks("small")
    with torch_side.runner(pair.open_peer(0), subject, SETTING) as run:
        theirs = pairs.channels_last(run())
    found = pairs.Agreement.of(1.005 * theirs, theirs, (2 * theirs, theirs), pair)
    assert not found.agrees and found.in_float64 == pytest.approx(1) and found.rounding == 0
    found = pairs.Agreement.of(1.1 * theirs, theirs, (theirs, theirs), pair)
    assert not found.agrees and found.relative_l2 == pytest.approx(0.1)
    with pytest.raises(ValueError, match="do not compare"):
        pairs.Agreement.of(theirs[:1], theirs, (theirs, theirs), pair)


def test_rounding_that_turns_a_gate_over_leaves_the_definition_the_same(networks):
    pair, subject = EXACT[0], networks("small")
    with torch_side.runner(pair.open_peer(0), subject, SETTING) as run:
        theirs = pairs.channels_last(run())
    assert pairs.Agreement.of(1.005 * theirs, theirs, (theirs, theirs), pair).agrees


def test_formats_and_inner_batches_are_tried_and_change_no_map(networks):
    subject, (pair,) = networks("small"), [pair for pair in captum.PAIRS if pair.method == "occlusion"]
    chosen, tried = torch_side.best(pair.open_peer(9), subject, SETTING, (4, 8))
    assert {key.split(",")[0] for key in tried} == {"channels first", "channels last"}
    assert {key.split("inner ")[1] for key in tried} == {"4", "8"}
    for setting in (chosen, replace(SETTING, channels_last=True, inner=4), replace(SETTING, inner=18)):
        assert pair.agreement(subject, 9, setting).agrees


def test_the_stand_in_goes_with_its_block_and_says_what_is_missing():
    before = {name: sys.modules.get(name) for name in stand_in.NAMES}
    with stand_in.importable_torchvision():
        from torchvision.transforms import Compose
    assert {name: sys.modules.get(name) for name in stand_in.NAMES} == before
    if Compose.__mro__[-2].__name__ == "_Missing":
        with pytest.raises(ImportError, match="needs torchvision"):
            Compose([])


def test_a_run_keeps_every_cell_and_takes_up_where_it_ended(tmp_path, monkeypatch, capsys):
    words = [
        "against",
        "--networks",
        "small",
        "--methods",
        "gradient",
        "lrp:epsilon_plus",
        "--pairs",
        "2",
        "--size",
        "32",
    ]
    monkeypatch.setattr(sys, "argv", words)
    against.main(tmp_path)
    (place,) = tmp_path.rglob("against*.json")
    first = json.loads(place.read_text())
    cells = first["cells"]["small"]
    assert set(cells) == {"captum/gradient", "zennit/lrp:epsilon_plus"}
    assert set(first["peers"]) == {"torch", "captum", "zennit", "grad-cam", "shap"}
    cell = cells["captum/gradient"]
    assert cell["agreement"]["agrees"] and len(cell["ratio"]["values"]) == 2 and cell["batch"] == 64
    monkeypatch.setattr(sys, "argv", [*words, "--only-missing"])
    monkeypatch.setattr(against, "measure", lambda *_: pytest.fail("measured again"))
    against.main(tmp_path)
    assert json.loads(place.read_text()) == first
    assert capsys.readouterr().out.count("captum/gradient") == 1


def test_methods_without_a_pair_are_named(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["against", "--methods", "gradientt"])
    with pytest.raises(SystemExit, match="no pair for"):
        against.main()
