"""qtractor's own scanner makes an instance of the CLAP and reads what it has. Debian's qtractor is built without VST3."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from mynah_host import BUNDLED


def test_the_scanner_reads_the_clap(tmp_path):
    if not shutil.which("qtractor"):
        pytest.skip("no qtractor here")
    (scanner,) = Path("/usr/lib").glob("**/qtractor/qtractor_plugin_scan")
    environment = dict(os.environ, HOME=str(tmp_path), QT_QPA_PLATFORM="offscreen")
    plugin = BUNDLED / "Mynah.clap"
    done = subprocess.run([scanner], input=f"CLAP:{plugin}\n", env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    # Kind, name, audio in and out, MIDI in and out, parameters in and out, what it can, the file, which one, a number.
    fields = done.stdout.strip().split("|")
    assert fields[:5] == ["CLAP", "Mynah", "2:2", "0:0", "10:0"] and "GUI" in fields[5] and fields[6] == str(plugin), done.stdout
