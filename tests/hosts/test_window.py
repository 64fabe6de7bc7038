"""A walk through the plugin's real window by pointer and keys: a voice is chosen, bypassed and heard again, the window gets another look and scale by keyboard.
Each step is waited for by its effect: a report of the plugin, a file, the window's own size, the sound. Needs Xvfb and xdotool, and the host of
examples/window_host.rs."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mynah_host import BUNDLED, PATIENCE, RATE, home, until
from mynah_host import recording as recorded

HOSTS = [BUNDLED.parent / profile / "examples" / "window_host" for profile in ("release", "debug")]
# Where things lie, in pixels from the corner of a window of the first size.
BYPASS = (940, 40)
ADD, NAME, CONSENT, FROM_A_FILE = (101, 680), (538, 322), (327, 354), (448, 382)
CAPTIONS, EXPORT, CHOOSE_A_PLACE = (767, 306), (722, 663), (382, 426)


class Walk:
    """The window, its host, and the pointer."""

    def __init__(self, folder, environment):
        self.environment = environment
        self.heard = folder / "heard.wav"
        command = [next(filter(Path.exists, HOSTS)), "--plugin", BUNDLED / "Mynah.clap", "--source", home() / "packs/recordings/two_cities.wav", "--out", self.heard]
        command += ["--reference", home() / "packs/recordings/beckett.wav", "--packs", home() / "packs"]
        self.host = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.host.stdout.readline() == "open\n"
        self.window = until("the window", lambda: self.run("search", "--name", "^Mynah in its host$").split())[-1]

    def run(self, *command):
        return subprocess.run(["xdotool", *map(str, command)], env=self.environment, capture_output=True, text=True).stdout

    def ask(self, what):
        self.host.stdin.write(what + "\n")
        self.host.stdin.flush()
        return self.host.stdout.readline().strip()

    def status(self):
        return json.loads(self.ask("status"))

    def where(self):
        return float(self.ask("where"))

    def click(self, x, y):
        self.run("mousemove", "--window", self.window, x, y)
        self.run("mousemove_relative", "1", "0")
        self.run("click", "1")

    def keys_until(self, what, holds, *names):
        """Presses keys from where nothing has the keyboard, until something holds: a machine that draws few pictures a second may miss one."""
        for _ in range(4):
            for name in ("Escape", *names):
                self.run("key", name)
                time.sleep(0.4)
            end = time.monotonic() + 5
            while time.monotonic() < end:
                if holds():
                    return
                time.sleep(0.1)
        raise AssertionError(f"{what} did not come")

    def dialog_until(self, what, holds, *steps):
        """Goes through a dialog from the closed window on, a pointer's place or a text at a time, until something holds; again where a picture was missed."""
        for _ in range(4):
            self.run("key", "Escape")
            for step in steps:
                time.sleep(0.7)
                self.click(*step) if isinstance(step, tuple) else self.run(*step)
            end = time.monotonic() + 15
            while time.monotonic() < end:
                if holds():
                    return
                time.sleep(0.1)
        raise AssertionError(f"{what} did not come")

    def end(self):
        """Ends the host and gives what was heard, mono."""
        self.host.stdin.close()
        assert self.host.wait(PATIENCE) == 0
        sound, rate = soundfile.read(self.heard, dtype="float32", always_2d=True)
        assert rate == RATE
        return sound.mean(axis=1)


@pytest.fixture
def walk(tmp_path):
    missing = [p for p in ("Xvfb", "xdotool") if not shutil.which(p)]
    if missing:
        pytest.skip(f"without {' and '.join(missing)} no window can be walked through")
    if not any(host.exists() for host in HOSTS):
        pytest.skip("without its host no window is opened; `cargo build --example window_host` makes it")
    read, write = os.pipe()
    screen = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x1024x24"], pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as pipe:
        display = ":" + pipe.readline().strip()
    mine = tmp_path / "home"
    mine.mkdir()
    (mine / "window.toml").write_text('look = "dark"\n')
    environment = dict(os.environ, DISPLAY=display, MYNAH_HOME=str(mine), LIBGL_ALWAYS_SOFTWARE="1")
    walk = Walk(tmp_path, environment)
    try:
        yield walk
    finally:
        walk.host.kill()
        screen.kill()


def dry(sound, recording, latency, start, end):
    """The share of the sound between two moments that is the recording of a latency before, at its best: 1 for a bypass, less for another voice."""
    at = np.arange(int(start * RATE), int(end * RATE))
    a, b = sound[at], recording[(at - latency) % len(recording)]
    return float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-9))


def test_a_walk_through_the_window(walk):
    assert walk.ask("voice") == "chosen"
    until("the voice", lambda: walk.status()["engine"]["state"] == "ready")
    latency, converted = walk.status()["latency"], walk.where()
    until("three seconds of it", lambda: walk.where() > converted + 3)

    # By pointer: the switch in the header, until it holds.
    before = walk.where()
    walk.click(*BYPASS)
    until("the bypass", lambda: walk.status()["bypass"])
    bypassed = walk.where()
    until("three seconds of it", lambda: walk.where() > bypassed + 3)

    # By keyboard: the menu is the first stop, the switch the second.
    walk.keys_until("the voice again", lambda: not walk.status()["bypass"], "Tab", "Tab", "space")
    again = walk.where()
    until("three seconds of it", lambda: walk.where() > again + 3)

    # In the menu the looks come first: as the system, dark, light.
    settings = Path(walk.environment["MYNAH_HOME"]) / "window.toml"
    walk.keys_until("the look", lambda: 'look = "light"' in settings.read_text(), "Tab", "space", "Tab", "Tab", "Tab", "space")
    sound = walk.end()

    recording = recorded("two_cities.wav")
    assert dry(sound, recording, latency, bypassed + 0.5, bypassed + 2.5) > 0.999
    assert dry(sound, recording, latency, converted + 0.5, min(before, converted + 2.5)) < 0.9
    assert dry(sound, recording, latency, again + 0.5, again + 2.5) < 0.9


def test_a_voice_is_added_and_swapped_and_captions_are_exported(walk, tmp_path):
    assert walk.ask("voice") == "chosen"
    until("the voice", lambda: walk.status()["engine"]["state"] == "ready")
    first = walk.status()["voice"]
    walk.dialog_until("captions", lambda: walk.status()["engine"]["captions_ready"], CAPTIONS)

    # A name, the consent, a recording by its path: the new voice is kept, and speaks.
    library = Path(walk.environment["MYNAH_HOME"]) / "voices"
    path = ["type", str(home() / "packs" / "recordings" / "clone-test.wav")]
    added = [ADD, NAME, ["type", "Ada"], CONSENT, FROM_A_FILE, path, ["key", "Return"]]
    walk.dialog_until("the voice in the library", lambda: library.exists() and list(library.iterdir()), *added)
    until("the other voice", lambda: walk.status()["voice"] == "Ada" and walk.status()["engine"]["voice"] == "Ada")
    (kept,) = library.iterdir()
    assert first != "Ada" and "permission" in kept.read_text(), "what was agreed to is kept with the voice"

    until("some words", lambda: walk.status()["words"] >= 12)
    target = tmp_path / "walk.srt"
    place = [EXPORT, CHOOSE_A_PLACE, ["key", "ctrl+a"], ["type", str(target)], ["key", "Return"]]
    walk.dialog_until("the captions", target.exists, *place)
    assert "best of times" in target.read_text()
    assert not walk.status()["problems"]
    walk.end()
