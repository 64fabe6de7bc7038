"""What the host tests share: where the bundles lie, states with a voice in them, sounds and diagnostics. Knows no host."""

import ctypes
import json
import os
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = Path(os.environ.get("MYNAH_BUNDLED", ROOT / "target" / "bundled"))
VST3 = BUNDLED / "Mynah.vst3"
MYNAH = BUNDLED.parent / "release" / "mynah"
CLASS = b"MynahVoiceCapt01".hex().upper().encode()
RATE = 48000
# Seconds that a host may take for something.
PATIENCE = 40


def home():
    """The user's data folder, as Mynah finds it."""
    return Path(os.environ.get("MYNAH_HOME") or Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "mynah")


def until(what, holds):
    """Waits until something holds, and gives it."""
    end = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.1)
    return found


def recording(name):
    """A real recording, mono, at `RATE`."""
    sound, rate = soundfile.read(home() / "packs" / "recordings" / name, dtype="float32", always_2d=True)
    assert rate == RATE, f"{name} has {rate} Hz"
    return sound.mean(axis=1)


def enrolled(folder, name="reference"):
    """The target voice that the command line makes of a recording, as plain data."""
    environment = dict(os.environ, MYNAH_HOME=str(folder), MYNAH_PACKS=str(home() / "packs"))
    reference = home() / "packs" / "recordings" / "beckett.wav"
    subprocess.run([MYNAH, "voices", "enrol", reference, "--name", name], check=True, env=environment, capture_output=True)
    (file,) = (Path(folder) / "voices").glob("*.json")
    return json.loads(file.read_text())


def state(voice=None, **parameters):
    """A state as the plugin saves it in VST3: parameters in plain units, the voice as a field."""
    values = {"voice": True, "mode": "live", "mix": 1.0, "bypass": False, "capt": False} | parameters
    kind = {bool: "bool", str: "string", float: "f32"}
    return json.dumps({
        "version": "0.1.0",
        "params": {name: {kind[type(value)]: value} for name, value in values.items()},
        "fields": {"voice": json.dumps(voice)},
    }).encode()


def preset(path, component):
    """Writes a `.vstpreset` file around a component's state: header, chunk, list of chunks (VST 3 SDK, preset file format)."""
    header = 4 + 4 + 32 + 8
    listing = header + len(component)
    data = b"VST3" + struct.pack("<i", 1) + CLASS + struct.pack("<q", listing) + component
    data += b"List" + struct.pack("<i", 1) + b"Comp" + struct.pack("<qq", header, len(component))
    Path(path).write_bytes(data)
    return str(path)


def diagnostics(bundle=VST3):
    """What the loaded module tells of its active instances, newest last."""
    module = ctypes.CDLL(str(Path(bundle) / "Contents" / "x86_64-linux" / "Mynah.so"))
    module.mynah_diagnostics.restype = ctypes.c_size_t
    module.mynah_diagnostics.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    buffer = ctypes.create_string_buffer(1 << 20)
    length = module.mynah_diagnostics(buffer, len(buffer))
    assert 0 < length < len(buffer)
    return [i for i in json.loads(buffer.raw[:length])["instances"] if i["active"]]


def settled():
    """The diagnostics once they stand still: the plugin gathers them fifty times a second, and a render of seconds may be over in less."""
    now = diagnostics()
    while True:
        time.sleep(0.1)
        before, now = now, diagnostics()
        if [i.get("engine", {}).get("hops") for i in before] == [i.get("engine", {}).get("hops") for i in now]:
            return now


def level(sound):
    """RMS in dBFS."""
    return 20 * np.log10(np.sqrt(np.mean(np.square(sound))) + 1e-9)
