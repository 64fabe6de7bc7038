"""The VST3 in pedalboard, which compensates the latency that it is told: what comes back shows whether the plugin told the truth."""

import numpy as np
import pedalboard
import pytest
from mynah_host import RATE, VST3, enrolled, level, preset, recording, settled, state


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    return enrolled(tmp_path_factory.mktemp("home"))


def load(path, component):
    plugin = pedalboard.load_plugin(str(VST3))
    plugin.load_preset(preset(path / "test.vstpreset", component))
    return plugin


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("block", [32, 441, 1024])
@pytest.mark.parametrize("mode", ["live", "studio"])
def test_an_impulse_comes_back_where_it_went_in(tmp_path, rate, block, mode):
    plugin = load(tmp_path, state(bypass=True, mode=mode))
    sound = np.zeros((2, rate), np.float32)
    sound[0, 12345], sound[1, 6789] = 0.5, -0.25
    heard = plugin.process(sound, rate, buffer_size=block)
    assert heard.shape == sound.shape
    assert np.array_equal(heard, sound)


def test_a_voice_is_converted_offline_in_time(tmp_path, voice):
    plugin = load(tmp_path, state(voice, mode="balanced"))
    source = recording("two_cities.wav")[: 8 * RATE]
    heard = plugin.process(np.stack([source, source]), RATE, buffer_size=512)
    instance = [i for i in settled() if i["voice"] == voice["name"]][-1]
    assert instance["engine"]["hops"] > 300 and instance["engine"]["late_hops"] == 0, instance
    assert np.isfinite(heard).all() and heard.shape == (2, len(source))
    assert np.array_equal(heard[0], heard[1]), "a voice in the middle stays in the middle"
    assert not np.allclose(heard[0], source, atol=0.01), "it is another voice"
    assert abs(level(heard[0]) - level(source)) < 6
    # Where the loudness moves, it moves at the same time: no delay is left.
    ours, theirs = (np.convolve(np.abs(x), np.ones(480) / 480, "same")[::48] for x in (heard[0], source))
    lags = range(-100, 101)
    best = max(lags, key=lambda lag: np.corrcoef(np.roll(theirs, lag)[200:-200], ours[200:-200])[0, 1])
    assert abs(best) <= 10, f"the sound is off by {best} ms"


def test_two_bounces_are_equal_whatever_the_blocks(tmp_path, voice):
    source = recording("two_cities.wav")[: 4 * RATE]
    bounces = []
    for block in (512, 512, 64):
        plugin = load(tmp_path, state(voice))
        bounces.append(plugin.process(source[None], RATE, buffer_size=block))
    # The largest block is a part of the latency, and the compensated sound is the same all the same.
    assert np.array_equal(bounces[0], bounces[1])
    assert np.array_equal(bounces[0][:, :-RATE], bounces[2][:, :-RATE])


def test_a_state_comes_back(tmp_path, voice):
    plugin = load(tmp_path, state(voice, mode="studio", mix=0.25))
    saved = plugin.raw_state
    other = pedalboard.load_plugin(str(VST3))
    assert other.raw_state != saved
    other.raw_state = saved
    assert other.raw_state == saved
    source = recording("two_cities.wav")[: 2 * RATE]
    a, b = (p.process(source[None], RATE, buffer_size=256) for p in (plugin, other))
    assert np.array_equal(a, b)


def test_what_is_no_sound_stays_out(tmp_path, voice):
    plugin = load(tmp_path, state(voice))
    sound = np.full((2, RATE), np.nan, np.float32)
    sound[:, ::7], sound[:, 1::7], sound[:, 2::7] = np.inf, -np.inf, 1e-42
    assert np.isfinite(plugin.process(sound, RATE, buffer_size=128)).all()


def test_parameters_read_as_a_person_would_write_them():
    plugin = pedalboard.load_plugin(str(VST3))
    assert {"mode", "bypass"} <= set(plugin.parameters)
    plugin.mode = "Studio"
    assert plugin.mode == "Studio"
