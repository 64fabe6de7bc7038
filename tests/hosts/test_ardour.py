"""Ardour: its scanner reads the VST3, and a session without a window plays through it, follows its latency and keeps its state."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from mynah_host import VST3, enrolled, home, preset, state

SESSION = Path(__file__).with_name("session.lua")


def scan(bundle, folder):
    scanners = [shutil.which("ardour-vst3-scanner"), *map(str, Path("/usr/lib").glob("ardour*/ardour-vst3-scanner"))]
    scanner = next(filter(None, scanners))
    libraries = str(Path(scanner).resolve().parent)
    environment = dict(os.environ, HOME=str(folder), LD_LIBRARY_PATH=libraries)
    done = subprocess.run([scanner, "-f", "-v", bundle], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_scanner_reads_the_bundle(tmp_path):
    told = scan(VST3, tmp_path)
    assert "Mynah" in told and "MynahVoiceCapt01".encode().hex().upper() in told.upper(), told
    assert 'n_inputs="2" n_outputs="2"' in told, told


def test_a_session_plays_and_keeps_it(tmp_path):
    lua = next(filter(None, map(shutil.which, ("ardour7-lua", "ardour8-lua", "ardour9-lua"))), None)
    if lua is None:
        pytest.skip("no Lua of Ardour here")
    plugins = tmp_path / ".vst3"
    plugins.mkdir()
    (plugins / "Mynah.vst3").symlink_to(VST3)
    scan(plugins / "Mynah.vst3", tmp_path)
    presets = plugins / "presets" / "Mynah" / "Mynah"
    presets.mkdir(parents=True)
    preset(presets / "Reference.vstpreset", state(enrolled(tmp_path / "home"), mode="balanced", mix=0.5))
    environment = dict(os.environ, HOME=str(tmp_path), MYNAH_HOME=str(tmp_path / "home"), MYNAH_PACKS=str(home() / "packs"))
    command = [lua, SESSION, tmp_path / "session", "test", "Reference"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    told = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert abs(float(told["before"]) + 18) < 0.2 and abs(float(told["through"]) + 18) < 0.2, "it passes the sound on"
    assert abs(float(told["louder"]) + 12) < 0.2, "a parameter is heard"
    assert float(told["studio"]) > float(told["latency"]) > float(told["live"]) > 0, "the latency follows the mode, in the reopened session too"
    values = [float(v) for v in told["preset"].split()]
    assert values[2] == 1 and values[6] == 0.5, "the preset is there"
    assert told["reopened"] == told["preset"], "the session brings it back"
    assert "closed" in done.stdout
