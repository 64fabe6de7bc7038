"""qtractor: its scanner makes an instance of the CLAP and reads what it has, and a session plays through three of them, follows their latency and keeps
their state. The session runs in its real window under Xvfb, over JACK without a sound card, and where the kernel has no ALSA sequencer (sequencer.c)
without that. Debian's qtractor is built without VST3."""

import base64
import fcntl
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from mynah_host import BUNDLED, PATIENCE, RATE, enrolled, home, level, state, until

PLUGIN = BUNDLED / "Mynah.clap"
SERVER = "mynah-test"
SECONDS = 7
# A track of the session: its name and its bus's, the state of its plugin or none, and whether qtractor makes up for the plugin's latency.
TRACK = """
  <track name="{name}" type="audio">
   <properties><output-bus>{name}</output-bus><plugin-list-latency>{compensated}</plugin-list-latency></properties>
   <state><mute>0</mute><solo>0</solo><record>0</record><monitor>0</monitor><gain>1</gain><panning>0</panning></state>
   <clips>
    <clip name="speech">
     <properties><start>0</start><offset>0</offset><length>{frames}</length><gain>1</gain></properties>
     <audio-clip><filename>{recording}</filename></audio-clip>
    </clip>
   </clips>
   <plugins>{plugins}</plugins>
  </track>"""
CHAIN = """
    <plugin type="CLAP"><filename>{plugin}</filename><index>0</index><label>Mynah</label><activated>1</activated>
     <configs><config key="state">{state}</config></configs>
    </plugin>"""
BUS = '<audio-bus name="{name}" mode="output"><channels>2</channels><auto-connect>0</auto-connect><output-gain>1</output-gain></audio-bus>'
SESSION = """<!DOCTYPE qtractorSession>
<session name="session" version="0.9.31">
 <properties><directory>{folder}</directory><sample-rate>{rate}</sample-rate><tempo>120</tempo></properties>
 <devices><audio-engine>{buses}</audio-engine></devices>
 <tracks>{tracks}
 </tracks>
</session>
"""


def packed(component):
    """A state as a session of qtractor holds it: the CLAP's (its length in eight bytes, then what VST3 saves too), through Qt's qCompress and base64."""
    data = struct.pack("<Q", len(component)) + component
    return base64.b64encode(struct.pack(">I", len(data)) + zlib.compress(data)).decode()


def unpacked(text):
    """The state in a session, as plain data."""
    return json.loads(zlib.decompress(base64.b64decode(text)[4:])[8:])


def session(folder, tracks):
    """Writes a session in which each track, given as (state, compensated) by its name, plays the same recording into a bus of its own."""
    source = home() / "packs/recordings/two_cities.wav"
    written = []
    for name, (component, compensated) in tracks.items():
        chain = CHAIN.format(plugin=PLUGIN, state=packed(component)) if component else ""
        written.append(TRACK.format(name=name, compensated=int(compensated), frames=40 * RATE, recording=source, plugins=chain))
    buses = "".join(BUS.format(name=name) for name in tracks)
    path = folder / "session.qtr"
    path.write_text(SESSION.format(folder=folder, rate=RATE, buses=buses, tracks="".join(written)))
    return path


def delay(late, early):
    """By how many samples one sound is later than another, and how like each other they are at that: 1 for the same, whatever their level."""
    size = 1 << (len(late) + len(early)).bit_length()
    likeness = np.fft.irfft(np.fft.rfft(late, size) * np.conj(np.fft.rfft(early, size)), size)
    at = int(np.argmax(np.abs(likeness)))
    return at if at < size // 2 else at - size, float(likeness[at] / (np.linalg.norm(late) * np.linalg.norm(early) + 1e-9))


class Host:
    """qtractor with its session, its screen and its JACK server, all its own: within `with`, its voice speaks."""

    def __init__(self, folder, path, server=SERVER):
        folder.mkdir()
        self.folder, self.path, self.server, self.started = folder, path, server, []
        # JACK knows eight servers by their names and keeps that of one that was killed until it is started again: always the same, one run at a time.
        self.turn = open(Path(tempfile.gettempdir()) / f"{server}-{os.getuid()}", "w")
        fcntl.flock(self.turn, fcntl.LOCK_EX)

    def __enter__(self):
        try:
            self.prepare()
            self.launch()
            until("the voice", lambda: any(i["engine"]["state"] == "ready" and i["engine"]["voice"] for i in self.instances()))
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.host.terminate()
                assert self.host.wait(PATIENCE) == 0, f"it closes: {self.log.read_text()}"
        finally:
            self.end()

    def prepare(self):
        """The screen and the server, which outlast a host."""
        folder = self.folder
        preloaded = ["witness"] if Path("/dev/snd/seq").exists() else ["sequencer", "witness"]
        for name in preloaded:
            source = Path(__file__).with_name(f"{name}.c")
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", folder / f"{name}.so", source, "-lpthread", "-ldl"], check=True)
        self.pipe, self.log = folder / "witness", folder / "log"
        os.mkfifo(self.pipe)
        (folder / "rncbc.org").mkdir()
        (folder / "rncbc.org" / "Qtractor.conf").write_text("[Options]\nDisplay\\StdoutCapture=false\n")  # what it says last is lost in its window
        self.environment = dict(
            os.environ, HOME=str(folder), XDG_CONFIG_HOME=str(folder), XDG_RUNTIME_DIR=str(folder), MYNAH_HOME=str(folder / "home"),
            MYNAH_PACKS=str(home() / "packs"), MYNAH_MODULE=str(PLUGIN), MYNAH_WITNESS=str(self.pipe), QT_QPA_PLATFORM="xcb",
            JACK_DEFAULT_SERVER=self.server, JACK_NO_START_SERVER="1", JACK_NO_AUDIO_RESERVATION="1",
        )  # fmt: skip
        read, write = os.pipe()
        self.start("Xvfb", "-displayfd", write, "-screen", "0", "1280x1024x24", pass_fds=[write])
        os.close(write)
        with os.fdopen(read) as pipe:
            self.environment["DISPLAY"] = ":" + pipe.readline().strip()
        # It waits for a program that is late, so that nothing is missing from what is heard on a machine busy with other things.
        self.start("jackd", "-n", self.server, "-r", "-S", "-t", "10000", "-d", "dummy", "-r", RATE, "-p", "1024")
        until("JACK", lambda: self.run("jack_lsp").returncode == 0)
        self.preloaded = " ".join(str(folder / f"{name}.so") for name in preloaded)

    def launch(self):
        self.host = self.start("qtractor", self.path, LD_PRELOAD=self.preloaded)

    def start(self, *command, pass_fds=(), **more):
        with self.log.open("a") as log:
            command = list(map(str, command))
            self.started.append(subprocess.Popen(command, env=self.environment | more, pass_fds=pass_fds, stdout=log, stderr=log))
        return self.started[-1]

    def run(self, *command, **more):
        return subprocess.run(list(map(str, command)), env=self.environment, capture_output=True, text=True, timeout=PATIENCE, **more)

    def instances(self):
        """What the plugin in the host tells of its active instances."""
        told, reader = b"", os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            end = time.monotonic() + PATIENCE
            while b"\n" not in told:
                assert self.host.poll() is None, "qtractor ended"
                assert time.monotonic() < end, "nothing is told"
                told += pipe.read(1 << 16) or b""
                time.sleep(0.02)
        return [i for i in json.loads(told.split(b"\n")[0])["instances"] if i["active"]]

    def heard(self, names, path):
        """Plays from the start and gives what comes out of buses, a row each."""
        ports = [f"Qtractor:{name}/out_1" for name in names]
        recorded = self.run(sys.executable, Path(__file__).with_name("jack_recorder.py"), self.server, SECONDS, path, *ports)
        assert recorded.returncode == 0, recorded.stdout + recorded.stderr
        sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
        assert rate == RATE and len(sound) == SECONDS * RATE
        return sound.T

    def save(self, path):
        """Has the session saved and gives the states of its plugins, by track."""
        before = path.stat().st_mtime_ns
        self.host.send_signal(signal.SIGUSR1)
        until("the saved session", lambda: path.stat().st_mtime_ns != before and path.read_text().rstrip().endswith("</session>"))
        tracks = ElementTree.parse(path).findall("./tracks/track")
        return {t.get("name"): unpacked(c.text) for t in tracks for c in t.iterfind("./plugins/plugin/configs/config[@key='state']")}

    def end(self):
        for process in reversed(self.started):
            process.terminate()  # JACK takes its shared memory with it
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.turn.close()


def test_the_scanner_reads_the_clap(tmp_path):
    if not shutil.which("qtractor"):
        pytest.skip("no qtractor here")
    (scanner,) = Path("/usr/lib").glob("**/qtractor/qtractor_plugin_scan")
    environment = dict(os.environ, HOME=str(tmp_path), QT_QPA_PLATFORM="offscreen")
    done = subprocess.run([scanner], input=f"CLAP:{PLUGIN}\n", env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    # Kind, name, audio in and out, MIDI in and out, parameters in and out, what it can, the file, which one, a number.
    fields = done.stdout.strip().split("|")
    assert fields[:5] == ["CLAP", "Mynah", "2:2", "0:0", "10:0"] and "GUI" in fields[5] and fields[6] == str(PLUGIN), done.stdout


def test_a_session_plays_and_keeps_it(tmp_path):
    missing = [p for p in ("qtractor", "jackd", "jack_lsp", "Xvfb", "cc") if not shutil.which(p)]
    if not Path("/dev/snd/seq").exists() and not Path("/usr/include/alsa/asoundlib.h").exists():
        missing.append("an ALSA sequencer or alsa/asoundlib.h")
    if missing:
        pytest.skip(f"without {', '.join(missing)} no session is opened")
    voice = enrolled(tmp_path / "home")
    bypassed = state(bypass=True, mode="balanced")
    tracks = {"Plain": (None, False), "Late": (bypassed, False), "Made up": (bypassed, True), "Voice": (state(voice, mode="balanced", mix=0.75), False)}
    path = session(tmp_path, tracks)
    # Now and then, in one session of some fifty, qtractor never plays the clip of one of its tracks, whether there is a plugin on it or none.
    for attempt in range(3):
        with Host(tmp_path / f"host-{attempt}", path) as host:
            host.save(path)  # what it does once the session is wholly open
            sounds = host.heard(tracks, tmp_path / "heard.wav")
            told = host.instances()
            kept = host.save(path)
        if all(level(sound) > -50 for sound in sounds):
            break
        warnings.warn(f"session {attempt}: {dict(zip(tracks, map(level, sounds)))} dBFS")
    plain, late, made_up, voiced = sounds
    with Host(tmp_path / "again", path) as host:
        reopened = host.save(path)

    assert len(told) == 3 and not any(i["problems"] for i in told), told
    (latency,) = {i["latency"] for i in told}
    assert all(i["host"]["rate"] == RATE and i["host"]["channels"] == 2 and i["mode"] == "balanced" for i in told)
    (speaking,) = [i["engine"] for i in told if not i["bypass"]]
    assert speaking["hops"] > SECONDS * 45 and speaking["late_hops"] < speaking["hops"] / 10, speaking

    assert all(level(sound) > -50 for sound in sounds), f"the session plays: {[level(sound) for sound in sounds]}"
    # To the sample and the bit, once qtractor has faded in what plays.
    settled = 5 * RATE
    assert np.array_equal(late[-settled:], plain[-settled - latency : -latency]), f"late by {delay(late, plain)} and not by {latency}"
    assert np.array_equal(made_up[-settled:], plain[-settled:]), f"qtractor makes up for what it was told, but {delay(made_up, plain)}"
    assert abs(level(voiced) - level(plain)) < 6 and abs(delay(voiced, plain)[1]) < 0.9, "it is another voice"

    assert set(kept) == {"Late", "Made up", "Voice"} and reopened == kept, (kept, reopened)
    assert json.loads(kept["Voice"]["fields"]["voice"])["name"] == voice["name"] and kept["Voice"]["params"]["mix"] == {"f32": 0.75}
    assert kept["Late"]["params"]["bypass"] == {"bool": True} and kept["Late"]["params"]["mode"] == {"string": "balanced"}, "the session keeps it"
