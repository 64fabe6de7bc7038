"""Plays the session of a JACK server from its start and records what comes out of ports: `jack_recorder.py SERVER SECONDS FILE PORT...`.
The ports must be there already.

One client does all of it, since JACK does not take it well when several come and go at once; and it is a process of its own, since the library keeps what
it knows of a server that has gone.
"""

import sys
import threading

import jack
import numpy as np
import soundfile
from mynah_host import PATIENCE


def main(server, seconds, path, *ports):
    client = jack.Client("recorder", servername=server, no_start_server=True)
    inputs = [client.inports.register(f"in_{i}") for i in range(len(ports))]
    rate = client.samplerate
    sound = np.zeros((int(seconds) * rate, len(ports)), np.float32)
    filled, done = 0, threading.Event()

    @client.set_process_callback
    def process(frames):
        nonlocal filled
        if client.transport_state == jack.ROLLING and filled < len(sound):
            n = min(frames, len(sound) - filled)
            for column, port in zip(sound.T, inputs):
                column[filled : filled + n] = port.get_array()[:n]
            filled += n
            if filled == len(sound):
                done.set()

    with client:
        for name, port in zip(ports, inputs):
            client.connect(name, port)
        client.transport_locate(0)
        client.transport_start()
        assert done.wait(PATIENCE / 2), f"{filled} of {len(sound)} samples came"
        client.transport_stop()
    soundfile.write(path, sound, rate, "FLOAT")


main(*sys.argv[1:])
