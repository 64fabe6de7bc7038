"""More than one ONNX Runtime in a process: two copies of the bundle, each with its own, and Python's, of another version. Each says what it says alone."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from mynah_host import VST3, home

# Plays and tells hashes of what was heard, in the order of the arguments: bundles, and `python` for a graph in Python's own runtime.
PLAY = """
import hashlib, json, os, sys
import numpy as np, pedalboard
from mynah_host import preset, recording, state
path, graph, *order = sys.argv[1:]
voice = {"name": "x", "embedding": [1.0] + [0.0] * 255, "median_pitch": 150.0}
source = recording("two_cities.wav")[None, :48000]
plugins, sessions, told = {}, {}, []

def plugin(bundle):
    if bundle not in plugins:
        plugins[bundle] = pedalboard.load_plugin(bundle)
        plugins[bundle].load_preset(preset(path, state(voice)))
    return plugins[bundle].process(source, 48000, buffer_size=512).tobytes()

def python():
    import onnxruntime
    session = sessions.setdefault("one", onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]))
    mel = np.random.default_rng(0).uniform(0, 1, (1, 160, 40)).astype(np.float32)
    return b"".join(out.tobytes() for out in session.run(None, {"mel": mel}))

for what in order:
    told.append(hashlib.sha256(python() if what == "python" else plugin(what)).hexdigest())
with open("/proc/self/maps") as maps:
    folders = {os.path.dirname(line.split(maxsplit=5)[5]) for line in maps if "libonnxruntime" in line or "onnxruntime_pybind11_state" in line}
print(json.dumps([told, len(folders)]))
"""


def play(path, *order):
    """What was heard in a process of its own, and how many ONNX Runtimes it held."""
    environment = dict(os.environ, PYTHONPATH=os.path.dirname(__file__), MYNAH_HOME=str(home()), MYNAH_PACKS="")
    graph = home() / "packs" / "ge2e" / "ge2e.onnx"
    command = [sys.executable, "-c", PLAY, path / "p.vstpreset", graph, *order]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What the plugin and Python's runtime say where each is alone: (ours, theirs)."""
    path = tmp_path_factory.mktemp("alone")
    (ours,), one = play(path, VST3)
    (theirs,), other = play(path, "python")
    assert (one, other) == (1, 1)
    return ours, theirs


@pytest.mark.parametrize("order", ["python first", "plugin first"])
def test_a_runtime_of_another_version_in_the_process(tmp_path, alone, order):
    ours, theirs = alone
    if order == "python first":
        assert play(tmp_path, "python", VST3, "python", VST3) == [[theirs, ours, theirs, ours], 2]
    else:
        assert play(tmp_path, VST3, "python", VST3, "python") == [[ours, theirs, ours, theirs], 2]


def test_two_bundles_with_a_runtime_each(tmp_path, alone):
    copy = tmp_path / "copy" / "Mynah.vst3"
    shutil.copytree(VST3, copy)  # real copies, no links: the loader takes them for different libraries
    ours, theirs = alone
    assert play(tmp_path, VST3, copy, "python", VST3) == [[ours, ours, theirs, ours], 3]
