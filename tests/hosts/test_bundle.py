"""A bundle that was moved elsewhere works with what it carries: no packs of the user, another working directory."""

import json
import os
import shutil
import subprocess
import sys

from mynah_host import VST3

PLAY = """
import json, sys, time
import numpy as np, pedalboard
from mynah_host import diagnostics, preset, state
voice = {"name": "x", "embedding": [1.0] + [0.0] * 255, "median_pitch": 150.0}
plugin = pedalboard.load_plugin(sys.argv[1])
plugin.load_preset(preset(sys.argv[2], state(voice)))
plugin.process(np.random.default_rng(0).normal(0, 0.05, (2, 48000)).astype(np.float32), 48000, buffer_size=512)
time.sleep(0.2)  # the readings are brought up to date fifty times a second
(instance,) = diagnostics(sys.argv[1])
print(json.dumps({"problems": instance["problems"], "state": instance["engine"]["state"], "hops": instance["engine"]["hops"]}))
"""


def play(bundle, path):
    """What the instance tells after a second of noise in a process of its own, without packs of the user."""
    environment = dict(os.environ, MYNAH_HOME=str(path / "nobody"), PYTHONPATH=os.path.dirname(__file__))
    environment.pop("MYNAH_PACKS", None)
    command = [sys.executable, "-c", PLAY, str(bundle), str(path / "p.vstpreset")]
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_moved_bundle_finds_what_it_carries(tmp_path):
    moved = tmp_path / "some where" / "Mynah.vst3"
    shutil.copytree(VST3, moved)
    told = play(moved, tmp_path)
    assert told["problems"] == [] and told["state"] == "ready" and told["hops"] > 80, told


def test_a_bundle_without_its_packs_plays_dry_and_says_why(tmp_path):
    moved = tmp_path / "Mynah.vst3"
    shutil.copytree(VST3, moved)
    shutil.rmtree(moved / "Contents" / "Resources")
    told = play(moved, tmp_path)
    assert told["state"] == "dead" and "fetch" in told["problems"][0], told
