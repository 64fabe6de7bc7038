"""Closes qtractor again and again at a moment drawn by chance while its session plays, and tells how it ended each time:

    target/hosts/bin/python tests/hosts/closings.py 1500                with three Mynahs
    target/hosts/bin/python tests/hosts/closings.py 300 --plain         with no plugin

Where the kernel has no ALSA sequencer ours stands in its place (sequencer.c), and tells at the end whether libasound wrote into its handle: that ends the host by SIGABRT.

Several at once need a `--server` each, a name for their JACK server. An ending by a signal or with a status keeps the log of its host, with thread, stack and maps
where it aborted, in `--logs`. Every so many closings, and where a session was not opened, a new screen and a new JACK server are taken: that one does not bear
hundreds of clients that come and go. Exits with the number of wrong endings. It needs what test_qtractor.py needs."""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import jack
from mynah_host import PATIENCE, enrolled, state, until
from test_qtractor import Host, session

# A host that is not over by then hangs.
CLOSES = 30
# Closings with one JACK server.
BATCH = 20
NEVER_OPEN = "was never open"


class EndedItself(Exception):
    """The host ended while it opened its session."""


def tracks(folder, plain):
    """The session: three tracks, each with a Mynah that speaks, is bypassed or captions, or with none."""
    if plain:
        return {name: (None, False) for name in ("A", "B", "C")}
    voice = enrolled(folder / "home")
    kinds = {"mode": "balanced", "mix": 0.75}, {"mode": "live", "bypass": True}, {"mode": "live", "capt": True}
    return {name: (state(voice, **kind), False) for name, kind in zip("ABC", kinds)}


def is_open(host, client, plain):
    """Whether the host has opened its session as far as can be told from outside."""
    if (ended := host.host.poll()) is not None:
        raise EndedItself(ended)
    return len(client.get_ports("Qtractor:.*out_1")) >= 3 and (plain or len(host.instances()) == 3)


def close(host, client, chance, plain):
    """Opens the session, plays it from its start, and closes it; gives how the host ended: 0, a status, less than 0 for a signal, or a word."""
    host.launch()
    try:
        until("the session", lambda: is_open(host, client, plain))
        time.sleep(0.3)  # its handlers of signals come with its window
        client.transport_locate(0)
        if chance.random() < 0.8:
            client.transport_start()
        host.save(host.path)  # of one that is changed, as by a plugin that tells its latency, it would ask
        time.sleep(chance.random() * 1.2)
        host.host.send_signal(signal.SIGTERM)
        return host.host.wait(CLOSES)
    except EndedItself as ended:
        return f"ended itself with {ended}"
    except AssertionError:
        host.host.kill()
        host.host.wait()
        return NEVER_OPEN
    except subprocess.TimeoutExpired:
        host.host.send_signal(signal.SIGABRT)
        host.host.wait(PATIENCE)
        return "hangs"
    finally:
        client.transport_stop()
        host.started.remove(host.host)


def batch(given, kind, seed):
    """Some closings with one screen and one server; prints how each ended, as JSON."""
    chance, ends = random.Random(seed), []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        path = session(folder, tracks(folder, given.plain))
        host = Host(folder / "host", path, given.server)
        try:
            host.prepare()
            # One for all: JACK does not take it well when several come and go at once.
            client = jack.Client("closings", servername=host.server, no_start_server=True)
            client.activate()
            while len(ends) < given.batch and NEVER_OPEN not in ends:
                host.log.write_text("")
                ends.append(close(host, client, chance, given.plain))
                if ends[-1] != 0:
                    given.logs.mkdir(parents=True, exist_ok=True)
                    shutil.copy(host.log, given.logs / f"{kind}-{seed}-{len(ends)}.log")
        finally:
            host.end()
    print(json.dumps(ends))


def main():
    order = argparse.ArgumentParser(description="closes qtractor again and again")
    order.add_argument("count", type=int)
    order.add_argument("--plain", action="store_true")
    order.add_argument("--server", default="mynah-close")
    order.add_argument("--seed", type=int, default=0)
    order.add_argument("--seconds", type=float, default=float("inf"), help="begins no batch after that time")
    order.add_argument("--logs", type=Path, default=Path("target/closings"))
    order.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    given = order.parse_args()
    kind = "plain" if given.plain else "three"
    if given.batch:
        return batch(given, kind, given.seed)
    began, ends, done, seed = time.monotonic(), Counter(), 0, given.seed * 1000
    while done < given.count and time.monotonic() - began < given.seconds:
        # The library keeps what it knows of a server that has gone: each server has a process of its own.
        more = ["--batch", str(min(BATCH, given.count - done)), "--seed", str(seed)]
        told = subprocess.run([sys.executable, *sys.argv, *more], stdout=subprocess.PIPE, text=True)
        batch_ends = json.loads(told.stdout.strip().splitlines()[-1]) if told.returncode == 0 else ["no batch"]
        ends.update(map(str, batch_ends))
        done, seed = ends.total() - ends[NEVER_OPEN] - ends["no batch"], seed + 1
        print(f"{kind}: {done} closings in {time.monotonic() - began:.0f} s, by how they ended: {dict(ends)}", flush=True)
    return min(done - ends["0"], 100)


if __name__ == "__main__":
    sys.exit(main())
