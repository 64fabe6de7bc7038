"""The VST3 in DawDreamer, which doesn't compensate: the raw delay is the one that the plugin tells. It renders offline, and says so with each block."""

import time

import dawdreamer
import numpy as np
import pytest
from mynah_host import RATE, VST3, diagnostics, enrolled, preset, recording, settled, state


def render(component, path, sound, block, ready=False, automation=None):
    engine = dawdreamer.RenderEngine(RATE, block)
    plugin = engine.make_plugin_processor("mynah", str(VST3))
    plugin.load_vst3_preset(preset(path / "test.vstpreset", component))
    for name, values in (automation or {}).items():
        (index,) = [d["index"] for d in plugin.get_parameters_description() if d["name"] == name]
        plugin.set_automation(index, values)
    source = engine.make_playback_processor("source", sound)
    engine.load_graph([(source, []), (plugin, ["source"])])
    if ready:
        # What is counted is to begin with the voice.
        until = time.monotonic() + 30
        while diagnostics()[-1]["engine"]["state"] != "ready":
            assert time.monotonic() < until, diagnostics()[-1]
            time.sleep(0.01)
    engine.render(sound.shape[1] / RATE)
    return engine.get_audio(), plugin.get_latency_samples(), settled()


@pytest.mark.parametrize("block", [128, 512])
@pytest.mark.parametrize("mode", ["live", "balanced", "studio"])
def test_the_raw_delay_is_the_reported_one(tmp_path, block, mode):
    sound = np.zeros((2, RATE), np.float32)
    sound[:, 1000] = 0.5
    heard, latency, instances = render(state(bypass=True, mode=mode), tmp_path, sound, block)
    assert instances[-1]["latency"] == latency
    assert np.flatnonzero(np.abs(heard[0]) > 0.4).tolist() == [1000 + latency]


@pytest.mark.parametrize("block", [64, 1024])
@pytest.mark.parametrize("mode", ["live", "balanced", "studio"])
def test_automation_acts_on_the_sample_it_stands_beside(tmp_path, block, mode):
    """This host sends a parameter with the first sample of a block; the step stands where blocks of both sizes begin."""
    step = 24 * 1024
    sound = np.full((2, RATE), 0.25, np.float32)
    gain = np.where(np.arange(RATE) < step, 0.5, 0.625).astype(np.float32)
    heard, latency, _ = render(state(mode=mode), tmp_path, sound, block, automation={"Gain": gain})
    assert np.flatnonzero(heard[0] > 0.2501)[0] == step + latency
    assert np.all(heard[0][latency + 480 : step + latency] == 0.25), "the same gain before"  # without a voice the dry sound fades in first


@pytest.mark.parametrize("mode, hops", [("live", 500), ("balanced", 250), ("studio", 125)])
def test_a_render_loses_nothing(tmp_path, mode, hops):
    """No hop may be late although the host renders far faster than real time."""
    voice = enrolled(tmp_path / "home")
    source = recording("two_cities.wav")[: 6 * RATE]
    heard, latency, instances = render(state(voice, mode=mode), tmp_path, np.stack([source, source]), 512, ready=True)
    counters = instances[-1]["engine"]
    assert counters["late_hops"] == 0 and counters["hops"] > hops and counters["offline"], counters
    dry = np.concatenate([np.zeros(latency, np.float32), source])[: heard.shape[1]]
    assert not np.allclose(heard[0], dry, atol=0.01), "it is another voice"


def test_a_state_comes_back(tmp_path):
    engine = dawdreamer.RenderEngine(RATE, 512)
    first, second = (engine.make_plugin_processor(name, str(VST3)) for name in ("first", "second"))
    voice = enrolled(tmp_path / "home")
    first.load_vst3_preset(preset(tmp_path / "test.vstpreset", state(voice, mode="studio", mix=0.25)))
    first.save_state(str(tmp_path / "one"))
    second.load_state(str(tmp_path / "one"))
    second.save_state(str(tmp_path / "two"))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    values = {d["name"]: d["text"] for d in second.get_parameters_description()}
    assert (values["Mode"], values["Mix"]) == ("Studio", "25")
