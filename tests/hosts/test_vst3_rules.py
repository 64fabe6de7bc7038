"""The rules that pluginval at strictness 10 holds a VST3 to, as far as pedalboard can ask: parameters, states, layouts, threads."""

import threading

import numpy as np
import pedalboard
import pytest
from mynah_host import RATE, VST3, diagnostics, preset, state

VOICE = {"name": "x", "embedding": [1.0] + [0.0] * 255, "median_pitch": 150.0}


def load():
    return pedalboard.load_plugin(str(VST3))


def noise(seed, channels=2, samples=4800):
    return np.random.default_rng(seed).normal(0, 0.05, (channels, samples)).astype(np.float32)


def shown(plugin):
    return {name: parameter.string_value for name, parameter in plugin.parameters.items()}


def test_random_parameters_sound_and_come_back():
    plugin, other, random = load(), load(), np.random.default_rng(1)
    for seed in range(6):
        for parameter in plugin.parameters.values():
            parameter.raw_value = float(random.uniform())
        heard = plugin.process(noise(seed), RATE, buffer_size=int(random.choice([16, 480, 1000])))
        assert np.isfinite(heard).all()
        saved = plugin.raw_state
        other.raw_state = saved
        assert shown(other) == shown(plugin) and other.raw_state == saved, seed


def test_parameters_that_are_out_of_range_break_nothing():
    plugin, other = load(), load()
    for value in (-3.0, 7.0):
        for parameter in plugin.parameters.values():
            try:
                parameter.raw_value = value
            except ValueError:
                pass  # pedalboard itself refuses
        heard = plugin.process(noise(2), RATE)
        assert np.isfinite(heard).all() and np.abs(heard).max() < 16
        other.raw_state = plugin.raw_state
        assert other.raw_state == plugin.raw_state


def test_no_bytes_break_a_state(tmp_path):
    plugin, random = load(), np.random.default_rng(3)
    good = state(VOICE, mode="studio", mix=0.5)
    plugin.load_preset(preset(tmp_path / "good.vstpreset", good))
    before = plugin.raw_state
    other_plugin = b'{"version":"1.0.0","params":{"gain":{"f32":9.0},"bypass":{"bool":true}},"fields":{}}'
    bad = [b"", b"\0", b"{}", b"null", b"[" * 100_000, bytes(1 << 20), good[:-1], good[: len(good) // 2], other_plugin]
    bad += [random.bytes(int(n)) for n in random.integers(1, 5000, 10)]
    for index, body in enumerate(bad):
        try:
            plugin.load_preset(preset(tmp_path / "bad.vstpreset", body))
        except (RuntimeError, ValueError):
            pass  # told; what counts is what stays
        assert plugin.raw_state == before, f"{index}: {body[:40]}"
    for seed in range(40):
        flipped = bytearray(good)
        flipped[int(random.integers(len(flipped)))] ^= 1 << int(random.integers(8))
        try:
            plugin.load_preset(preset(tmp_path / "bad.vstpreset", bytes(flipped)))
        except (RuntimeError, ValueError):
            continue
        saved = plugin.raw_state
        plugin.raw_state = saved
        assert plugin.raw_state == saved, seed
    plugin.load_preset(preset(tmp_path / "good.vstpreset", good))
    assert plugin.raw_state == before
    assert np.isfinite(plugin.process(noise(4), RATE)).all()


@pytest.mark.parametrize("channels", [1, 2])
def test_layouts_are_mono_and_stereo(tmp_path, channels):
    plugin = load()
    plugin.load_preset(preset(tmp_path / "p.vstpreset", state(bypass=True)))
    sound = noise(5, channels, RATE)
    assert np.array_equal(plugin.process(sound, RATE, buffer_size=300), sound)
    assert diagnostics()[-1]["host"]["channels"] == channels


def test_a_layout_of_three_is_refused():
    with pytest.raises(ValueError):
        load().process(noise(6, 3), RATE)


@pytest.mark.parametrize("rate", [1000, 7999])
def test_rates_outside_its_own_play_dry(tmp_path, rate):
    plugin = load()
    plugin.load_preset(preset(tmp_path / "p.vstpreset", state(VOICE)))
    sound = noise(7, 2, 20000)
    for block in (1, 16384):
        assert np.array_equal(plugin.process(sound, rate, buffer_size=block), sound)


@pytest.mark.parametrize("rate", [384000, 768000])
def test_a_host_that_oversamples_gets_the_voice_and_the_latency(tmp_path, rate):
    plugin, sound = load(), noise(8, 2, rate // 2)
    plugin.load_preset(preset(tmp_path / "p.vstpreset", state(VOICE, bypass=True)))
    assert np.array_equal(plugin.process(sound, rate, buffer_size=4096), sound)
    plugin.load_preset(preset(tmp_path / "q.vstpreset", state(VOICE, late="silence")))
    heard = plugin.process(sound, rate, buffer_size=4096)
    assert np.isfinite(heard).all() and np.abs(np.corrcoef(heard[0], sound[0])[0, 1]) < 0.1, "nothing dry"


def test_other_threads_ask_while_one_plays(tmp_path):
    plugin, done, problems, asked = load(), threading.Event(), [], [0]
    plugin.load_preset(preset(tmp_path / "p.vstpreset", state(VOICE)))

    def ask():
        random = np.random.default_rng(8)
        while not done.is_set():
            try:
                assert plugin.raw_state and shown(plugin)
                plugin.mix = float(random.uniform(0, 100))
                diagnostics()
                asked[0] += 1
            except Exception as e:  # shown by the main thread
                problems.append(e)
                return

    thread = threading.Thread(target=ask)
    thread.start()
    heard = [plugin.process(noise(seed, 2, RATE // 4), RATE, buffer_size=128, reset=False) for seed in range(4)]
    done.set()
    thread.join()
    assert problems == [] and asked[0] > 5, (problems, asked)
    assert all(np.isfinite(h).all() for h in heard)


def test_instances_come_and_go(tmp_path):
    path = preset(tmp_path / "p.vstpreset", state(VOICE))
    kept = load()
    for round in range(3):
        plugin = load()
        plugin.load_preset(path)
        if round % 2:
            plugin.process(noise(round), RATE, buffer_size=256)
        del plugin
        assert np.isfinite(kept.process(noise(round), RATE)).all()
