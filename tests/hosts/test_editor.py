"""The window of the VST3 in DawDreamer, open while sound is rendered and parameters move, then closed by its window manager. Needs Xvfb, openbox
and xdotool: JUCE's windows don't come up without a window manager (pedalboard's not even with one: it asks for the properties of window 0)."""

import os
import shutil
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, os, subprocess, sys, threading, time
import dawdreamer, numpy as np
from mynah_host import VST3

class Error(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("display", ctypes.c_void_p), ("resource", ctypes.c_ulong), ("serial", ctypes.c_ulong),
                ("code", ctypes.c_ubyte), ("request", ctypes.c_ubyte), ("minor", ctypes.c_ubyte)]

@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Error))
def complain(_, error):
    # JUCE asks for the parents of a window (request 15), and one time in five the window manager has just taken its frame away (BadWindow): then Xlib would
    # end the process. The frame is the window manager's, the first program on this screen. No other error is borne.
    e = error.contents
    if (e.code, e.request, e.resource >> 21) == (3, 15, 1):
        return 0
    print(f"X error {e.code} of request {e.request} for {e.resource:#x}", file=sys.stderr, flush=True)
    os._exit(1)

ctypes.CDLL("libX11.so.6").XSetErrorHandler(complain)
engine = dawdreamer.RenderEngine(48000, 512)
plugin = engine.make_plugin_processor("mynah", str(VST3))
source = engine.make_playback_processor("source", np.random.default_rng(0).normal(0, 0.05, (2, 48000)).astype(np.float32))
engine.load_graph([(source, []), (plugin, ["source"])])

def run(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout

def colours():
    run("import", "-window", "root", sys.argv[1])
    return int(run("convert", sys.argv[1], "-format", "%k", "info:") or 0)

def play():
    until = time.monotonic() + 30
    while colours() < 200 and time.monotonic() < until:
        time.sleep(0.2)
    for step in range(8):
        plugin.set_parameter(7, step / 8)  # the gain
        plugin.set_parameter(2, step % 3 / 2)  # the mode
        engine.render(0.25)
        assert np.isfinite(engine.get_audio()).all()
    print("played", colours(), flush=True)
    while not closed.is_set() and time.monotonic() < until + 30:
        run("xdotool", "search", "--name", "DawDreamer", "windowfocus")
        run("xdotool", "key", "alt+F4")
        closed.wait(1)

closed = threading.Event()
thread = threading.Thread(target=play)
thread.start()
plugin.open_editor()
closed.set()
thread.join()
engine.render(0.25)
print("after", np.isfinite(engine.get_audio()).all(), flush=True)
os._exit(0)  # DawDreamer itself ends badly with a display
"""


def test_the_window_opens_while_sound_runs_and_closes(tmp_path):
    missing = [p for p in ("Xvfb", "openbox", "xdotool", "import") if not shutil.which(p)]
    if missing:
        pytest.skip(f"without {' and '.join(missing)} no window can be looked at")
    read, write = os.pipe()
    screen = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x1024x24"], pass_fds=[write], stderr=subprocess.DEVNULL)
    try:
        os.close(write)
        with os.fdopen(read) as pipe:
            display = ":" + pipe.readline().strip()
        environment = dict(os.environ, DISPLAY=display, PYTHONPATH=os.path.dirname(__file__))
        manager = subprocess.Popen(["openbox"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            command = [sys.executable, "-c", PROGRAM, tmp_path / "window.png"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        finally:
            manager.kill()
    finally:
        screen.kill()
    told = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert int(told.get("played", 0)) > 200, (done.stdout, done.stderr)
    assert told.get("after") == "True" and done.returncode == 0, (done.returncode, done.stdout, done.stderr)
