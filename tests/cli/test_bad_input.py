"""Bad input: exit code 2, one message that names the file or the key and the remedy, and nothing taken for finished."""

import numpy as np
import pytest

import jaxplain as library
from tests.cli.conftest import refused


def setting(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (["methods.smothgrad={}"], ["unknown method 'smothgrad'; did you mean 'smoothgrad'"]),
        (["methods.smoothgrad.n_sample=4"], ["[methods.smoothgrad]", "'n_sample'; did you mean 'n_samples'?"]),
        (["methods.smoothgrad.n_samples=0"], ["[methods.smoothgrad]", "n_samples = 0 lies outside"]),
        (["methods.smoothgrad.n_samples=few"], ["n_samples must be of type int, got 'few'"]),
        (["methods.smoothgrad.key=3"], ["set seed at the top of the file"]),
        (["methods.integrated_gradients={}"], ["baseline is missing and has no default", "channel-mean"]),
        (["methods.integrated_gradients.baseline=blurred"], ["baseline: unknown word 'blurred'; did you mean 'blur'?"]),
        (["methods.integrated_gradients.baseline=noisy-linear"], ["a baseline that depends on what is hidden"]),
        (["methods.integrated_gradients.baseline=[1, 2]"], ["give one number for each of the 1 channels"]),
        (["methods.integrated_gradients.baseline=black.npy"], ["black.npy does not exist; check the path."]),
        (["methods.occlusion={baseline = 0, window = [9, 9]}"], ["window (9, 9) does not fit the input (4, 4)"]),
        (["methods.occlusion={baseline = 0, window = [2]}"], ["3 axes, (4, 4, 1); give both 3 numbers, or 2 without"]),
        (["methods.rise={baseline = 0, keep = 1.5}"], ["[methods.rise] rise: keep = 1.5 lies outside (0, 1]"]),
        (["methods.grad_cam={}"], ["layer is missing and has no default", "jaxplain layers"]),
        (["model.factory=tests.cli.networks"], ['write it as "package.module:function"']),
        (["model.factory=tests.cli.netwroks:linear"], ["no module 'tests.cli.netwroks'"]),
        (["model.factory=tests.cli.networks:linaer"], ["has no 'linaer'; did you mean 'linear'"]),
        (["model.factory=tests.cli.networks:broken"], ["failed with RuntimeError: no such luck", "--debug"]),
        (["model.factory=tests.cli.networks:number"], ["returned a int; return a Linen module"]),
        (["model.kwargs.clases=3"], ["unexpected keyword argument 'clases'", "its arguments: shape, classes, scale"]),
        (["model.kwargs.shape=[5, 5, 1]"], ["cannot take float32 images of shape (4, 4, 1)", "check [input]"]),
        (["model.factory=tests.cli.networks:mixing"], ["with the others in its batch"]),
        (["model.factory=tests.cli.networks:linen"], ["model.checkpoint is missing", "Linen module"]),
        (["model.checkpoint=weights"], ["job.toml: model.checkpoint", "weights does not exist"]),
        (["source.url=npz://none.npz"], ["none.npz: no such file; check the path."]),
        (["source.url=nz://images.npz"], ["job.toml: source.url: unknown kind 'nz'; did you mean 'npz'"]),
        (["source.url=npz://images.npz?images=pictures"], ["unknown array 'pictures'", "images"]),
        (["source.labels=labels", "labels.file=labels.csv"], ["source.labels and labels.file are the same thing"]),
        (["labels.file=labels.csv"], ["labels.csv: no such label file"]),
        (["source.limit=0"], ["source.limit = 0 must be at least 1"]),
        (["target.kind=logit"], ["target.index is missing"]),
        (["target.kind=logit", "target.index=3"], ["target.index: class 3 lies outside the network's outputs 0 ... 2"]),
        (["target.kind=logits", "target.indices=[0, 5]"], ["target.indices: class 5 lies outside"]),
        (["target.kind=logits", "target.of=prob"], ['target.of = "prob" does not go with kind = "logits"']),
        (["target.index=1"], ['target.index goes with kind = "logit", not with "predicted"']),
        (["target.kind=label", "model.kwargs.classes=2"], ["image 2 has label 2, outside 0 ... 1 (6 such images)"]),
        (["aggregate.exclude=['d']"], ["aggregate.exclude: unknown label 'd'"]),
        (["plan.memory=much"], ["memory 'much' is no size; write it like '512MiB'"]),
        (["plan.memory=10B"], ["raise memory"]),
        (["output=ftp://host/x"], ["cannot open 'ftp://host/x'"]),
    ],
)  # fmt: skip
def test_the_key_and_the_remedy_are_named(jaxplain, job, changes, parts):
    refused(jaxplain("run", str(job), *setting(*changes)), *parts)
    assert not (job.parent / "store" / "jaxplain.json").exists()


def test_a_layer_that_is_not_there(jaxplain, job):
    checkpoint = linen_checkpoint(job.parent)
    changes = [
        "model.factory=tests.cli.networks:linen",
        f"model.checkpoint={checkpoint}",
        "methods.grad_cam.layer=feature",
    ]
    refused(jaxplain("run", str(job), *setting(*changes)), "unknown layer 'feature'; did you mean 'features'")


def linen_checkpoint(folder, classes=3):
    import jax
    import jax.numpy as jnp
    import orbax.checkpoint as orbax

    from tests.cli.networks import Net

    variables = Net(classes).init(jax.random.key(0), jnp.zeros((1, 4, 4, 1)))
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save((folder / f"weights{classes}").absolute(), variables)
    return f"weights{classes}"


def test_a_checkpoint_of_another_network_names_the_leaf(jaxplain, job):
    checkpoint = linen_checkpoint(job.parent, classes=2)
    answer = jaxplain(
        "run", str(job), *setting("model.factory=tests.cli.networks:linen", f"model.checkpoint={checkpoint}")
    )
    refused(answer, "job.toml: model.checkpoint", "params/head/kernel: expected float32[32, 3], found float32[32, 2]")


def test_a_linen_module_with_its_checkpoint(jaxplain, job):
    checkpoint = linen_checkpoint(job.parent)
    changes = ["model.factory=tests.cli.networks:linen", f"model.checkpoint={checkpoint}", "model.call.train=false"]
    changes += ["methods.grad_cam.layer=features", "methods.grad_cam.upsample=none"]
    answer = jaxplain("run", str(job), *setting(*changes))
    assert answer.code == 0, answer.err
    assert library.open("store").maps("grad_cam").shape == (20, 4, 4)


def test_an_nnx_module(jaxplain, job):
    answer = jaxplain("run", str(job), "--set", "model.factory=tests.cli.networks:nnx_linear")
    assert answer.code == 0, answer.err


def save(job, **arrays):
    with np.load(job.parent / "images.npz") as old:
        np.savez(job.parent / "images.npz", **{**old, **arrays})


def test_integer_pixels_without_a_divisor(jaxplain, job):
    job.write_text(job.read_text().replace("divisor = 255", ""))
    refused(jaxplain("run", str(job)), "job.toml: ", "images.npz[images]: input.divisor", "say what divides them: 255")


@pytest.mark.parametrize(
    ("arrays", "parts"),
    [
        ({"images": np.zeros((0, 4, 4, 1), np.uint8), "labels": np.zeros(0, int)}, ["images.npz[images]: no images"]),
        ({"images": np.array([{"a": 1}])}, ["objects and pickle are never loaded"]),
        ({"images": np.zeros((20, 4, 4), "<U3")}, ["expected numbers, got dtype <U3"]),
        ({"images": np.zeros(20)}, ["expected images as (N, ...)"]),
        ({"labels": np.full(20, 7)}, ["images.npz[labels]: row 0 holds label 7, outside -1 (unlabeled) ... 2"]),
        ({"labels": np.zeros(19, int)}, ["expected labels for 20 images, got shape (19,)"]),
        ({"labels": np.zeros(20)}, ["labels must be whole numbers, got dtype float64"]),
    ],
)
def test_arrays_that_are_no_images_or_labels(jaxplain, job, arrays, parts):
    save(job, **arrays)
    refused(jaxplain("run", str(job)), "job.toml: ", *parts)


def test_an_unlabeled_image_has_no_label_to_explain(jaxplain, job):
    save(job, labels=np.array([0, 1, -1] + [0] * 17))
    answer = jaxplain("run", str(job), "--set", "target.kind=label")
    refused(answer, "image 2 has no label (1 such images)", 'explain kind = "predicted"')


def test_an_empty_folder(jaxplain, job):
    (job.parent / "photos").mkdir()
    refused(jaxplain("run", str(job), "--set", "source.url=photos"), "photos: no images; expected files ending in")
    refused(jaxplain("index", "photos"), "photos: no images")
    refused(jaxplain("index", "nowhere"), "nowhere: no such folder")


@pytest.mark.parametrize("command", ["status", "finalize", "report"])
def test_what_is_no_store(jaxplain, command):
    refused(jaxplain(command, "nowhere"), "nowhere", "check the path")


@pytest.mark.parametrize("command", ["retry", "peppr"])
def test_a_store_runs_no_code_unless_trusted(jaxplain, job, monkeypatch, command):
    jaxplain("run", str(job))
    called = []
    monkeypatch.setattr("jaxplain.cli.network.call_factory", lambda *a: called.append(a))
    refused(jaxplain(command, "store"), f"{command}: store is a store and names the code", "--trust")
    for harmless in (("status", "store"), ("finalize", "store"), ("report", "store")):
        assert jaxplain(*harmless).code == 0
    assert not called


def test_peppr_before_the_run(jaxplain, job):
    refused(jaxplain("peppr", str(job)), "not found, so this is no store")


@pytest.mark.parametrize("value", ["noisy-linear", "{kind = 'noisy-linear', sigma = 0.1}"])
def test_a_fill_that_depends_on_what_is_hidden_is_no_baseline_of_peppr(jaxplain, job, value):
    for command in ("run", "peppr"):
        answer = jaxplain(command, str(job), *setting(f"peppr.baseline={value}"))
        refused(answer, "job.toml: peppr.baseline: 'noisy-linear' depends on what is hidden, which no curve takes")
    assert not (job.parent / "store").exists()


def test_words_that_are_no_commands(jaxplain):
    refused(jaxplain("rum", "job.toml"), "unknown command 'rum'; did you mean 'run'?")
    assert jaxplain("run").code == 2
    assert jaxplain().code == 2
    assert jaxplain("run", "--help").code == 0


def test_a_missing_job_file(jaxplain):
    refused(jaxplain("run", "jobs.toml"), "jobs.toml: no such job file; check the path.")


def test_debug_shows_where(jaxplain):
    answer = jaxplain("run", "jobs.toml", "--debug")
    assert answer.code == 2
    assert "Traceback" in answer.err


def test_a_fault_of_the_library_shows_its_traceback(jaxplain, job, monkeypatch):
    monkeypatch.setattr("jaxplain.cli.build.network_of", lambda *a: 1 / 0)
    answer = jaxplain("run", str(job))
    assert answer.code == 1
    assert "Traceback" in answer.err
    assert "ZeroDivisionError: a fault of jaxplain, not of your input" in answer.err


def test_an_output_without_permission(jaxplain, job):
    (job.parent / "file").write_text("")
    answer = jaxplain("run", str(job), "--set", "output=file/store")
    assert answer.code == 2, answer
    assert "file/store" in answer.err


def test_modules_of_one_name_in_two_folders(jaxplain, job):
    for scale, folder in ((1.0, "first"), (2.0, "second")):
        (job.parent / folder).mkdir()
        text = f"from tests.cli.networks import linear\ndef make():\n    return linear(scale={scale})\n"
        (job.parent / folder / "network_of_the_job.py").write_text(text)
        text = job.read_text().replace("tests.cli.networks:linear", "network_of_the_job:make")
        (job.parent / folder / "job.toml").write_text(text.replace("npz://images.npz", "../images.npz"))
        assert jaxplain("run", f"{folder}/job.toml").code == 0
    parameters = [
        library.open(f"{folder}/store").manifest["job"]["model"]["parameters"] for folder in ("first", "second")
    ]
    assert parameters[0] != parameters[1]
