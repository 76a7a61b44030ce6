"""The examples for clusters: they can be read by what reads them, and use options and variables that exist."""

import os
import re
import shutil
import subprocess

import pytest
import yaml

from jaxplain.cli.main import _parser
from jaxplain.cli.rank import LAUNCHERS, worker_of
from tests.sources import ROOT

FOLDER = ROOT / "examples" / "cluster"
SCRIPTS = sorted(FOLDER.glob("*.sh"))


def test_every_example_is_looked_at():
    assert [path.name for path in SCRIPTS] == ["slurm_array.sh", "slurm_srun.sh", "tpu_pod.sh"]
    assert {path.suffix for path in FOLDER.iterdir()} == {".sh", ".yaml"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_bash_reads_the_scripts(path):
    subprocess.run(["bash", "-n", str(path)], check=True)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_commands_are_those_of_the_command_line(path):
    commands = re.findall(r"^.*?(jaxplain run .*?)(?: &)?$", path.read_text().replace("\\\n", " "), re.MULTILINE)
    assert len(commands) == 1
    words = commands[0].replace('"$job"', "job.toml").replace('"$((number + 1))/${#hosts[@]}"', "2/4").split()
    assert understood(words).steal


def understood(words):
    """What the command line makes of a command."""
    assert words[0] == "jaxplain"
    arguments = _parser().parse_args(words[1:])
    worker_of(None if arguments.worker == "auto" else arguments.worker, {})
    return arguments


def test_the_indexed_job_tells_its_workers_how_many_they_are():
    job = yaml.safe_load((FOLDER / "kubernetes.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    arguments = understood(container["command"])
    environ = {one["name"]: one["value"] for one in container["env"]} | {"JOB_COMPLETION_INDEX": "3"}
    assert str(worker_of(arguments.worker, environ)) == f"4/{job['spec']['completions']}"
    assert job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > arguments.grace
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in job["spec"]["template"]["spec"]["volumes"]}


@pytest.mark.parametrize("name", ["slurm_array.sh", "slurm_srun.sh"])
def test_a_grace_ends_before_slurm_loses_its_patience(name):
    text = (FOLDER / name).read_text()
    signal = re.search(r"--signal=(?:B:)?TERM@(\d+)", text)
    grace = re.search(r"--grace (\d+)", text)
    assert int(grace[1]) < int(signal[1])


@pytest.mark.parametrize(("codes", "asked", "requeued"), [("75", False, True), ("0", False, False), ("75", True, True)])
def test_the_array_goes_back_into_the_queue_when_something_is_left(tmp_path, codes, asked, requeued):
    """With stand-ins for the two programs that the script calls."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    waits = "while :; do sleep 0.05; done" if asked else f"exit {codes}"
    stand_in(tmp_path, "jaxplain", f"trap 'exit 75' TERM; echo started > {tmp_path}/started; {waits}")
    stand_in(tmp_path, "scontrol", f'echo "$@" > {tmp_path}/requeued')
    environ = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_ARRAY_JOB_ID": "77",
        "SLURM_ARRAY_TASK_ID": "3",
    }
    script = subprocess.Popen(["bash", str(FOLDER / "slurm_array.sh"), "job.toml"], env=environ)
    while asked and not (tmp_path / "started").exists():
        assert script.poll() is None
    if asked:
        script.terminate()
    assert script.wait(30) == int(codes)
    assert (tmp_path / "requeued").exists() == requeued
    if requeued:
        assert (tmp_path / "requeued").read_text() == "requeue 77_3\n"


def stand_in(folder, name, text):
    """A program that does as told."""
    path = folder / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def test_the_table_of_launchers_has_no_two_alike():
    assert len({launcher.rank for launcher in LAUNCHERS}) == len(LAUNCHERS)
