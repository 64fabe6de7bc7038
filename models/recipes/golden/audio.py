"""Makes tests/data/audio: half a second of a tone in each format that Mynah reads, and one in a codec that it does not.

Needs: pip install imageio-ffmpeg soundfile numpy
"""
import pathlib
import subprocess

import imageio_ffmpeg
import numpy as np
import soundfile as sf

OUT = pathlib.Path(__file__).parents[3] / "tests/data/audio"


def main():
    rate = 44100
    t = np.arange(rate // 2) / rate
    left = 0.5 * np.sin(2 * np.pi * 441 * t)
    sound = np.stack([left, -left], axis=1).astype(np.float32)
    for name, options in [("tone.flac", {"subtype": "PCM_16"}), ("tone.ogg", {}), ("tone.mp3", {})]:
        sf.write(OUT / name, sound, rate, **options)
    sf.write("/tmp/tone.wav", sound, rate, subtype="PCM_16")
    for name, codec in [("tone.m4a", "aac"), ("tone.opus", "libopus")]:
        subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-i", "/tmp/tone.wav", "-map_metadata", "-1",
                        "-fflags", "+bitexact", "-c:a", codec, "-b:a", "64k", str(OUT / name)], check=True)


main()
