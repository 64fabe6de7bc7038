"""Ardour's own scanner reads the VST3."""

import os
import shutil
import subprocess
from pathlib import Path

from mynah_host import VST3


def test_the_scanner_reads_the_bundle(tmp_path):
    scanners = [shutil.which("ardour-vst3-scanner"), *map(str, Path("/usr/lib").glob("ardour*/ardour-vst3-scanner"))]
    scanner = next(filter(None, scanners))
    libraries = str(Path(scanner).resolve().parent)
    environment = dict(os.environ, HOME=str(tmp_path), LD_LIBRARY_PATH=libraries)
    done = subprocess.run([scanner, "-f", "-v", VST3], env=environment, capture_output=True, text=True, timeout=60)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert "Mynah" in told and "MynahVoiceCapt01".encode().hex().upper() in told.upper(), told
    assert 'n_inputs="2" n_outputs="2"' in told, told
