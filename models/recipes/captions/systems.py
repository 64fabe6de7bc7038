"""The captioners that are compared, each called the same way: a file in, lines, processor seconds and memory out. One core each.

Knows how they are run, nothing of how they are judged.
"""

import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

import numpy as np

import fetch
import sounds
from figures import Line, Word

ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass
class Heard:
    """What a captioner made of one file."""

    lines: list[Line]
    seconds: float  # of the processor, without start-up
    memory: float  # MiB, the most that its process held so far
    clocked: bool = True  # whether its lines tell a clock; without one their clock is what was heard: computing would take no time


def of_line(line):
    told = line.get("words", ())
    if line["kind"] == "skipped" and not told:  # the sound that was given up may stand in the line itself
        told = [{"text": "", "start": line.get("start", 0.0), "end": line.get("end", line.get("start", 0.0) + line.get("seconds", 0.0))}]
    words = tuple(Word(w["text"], w["start"], w["end"]) for w in told)
    return Line(line["kind"], line["heard"], line.get("clock", line["heard"]), words)


def alone():
    """In the child: one core, and kinder to others."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.nice(5)


@dataclass
class Mynah:
    """`mynah caption --jsonl` with some options; a process each file."""

    name: str
    binary: pathlib.Path
    options: tuple[str, ...] = ()
    live: bool = True
    short: bool = False

    def call(self, file, more=()):
        """(standard output, processor seconds, MiB) of one call; a failure ends the evaluation with what the program said."""
        command = [str(self.binary), "caption", "--jsonl", *self.options, *more, str(file)]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = subprocess.Popen(command, stdout=out, stderr=err, env=os.environ | ALONE, preexec_fn=alone)
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            err.seek(0), out.seek(0)
            if child.returncode:
                raise RuntimeError(f"`{' '.join(command)}` ended with {child.returncode}: {err.read().decode(errors='replace').strip()[-400:]}")
            return out.read().decode("utf-8"), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024

    @functools.cached_property
    def start(self):
        """Processor seconds that a call takes before it hears anything: the least of three on a tenth of a second of silence."""
        with tempfile.TemporaryDirectory() as t:
            silence = sounds.write(pathlib.Path(t) / "silence.wav", np.zeros(sounds.RATE // 10, np.float32))
            return min(self.call(silence)[1] for _ in range(3))

    def able(self):
        """None, or why this version of the program can't do it."""
        try:
            self.start
        except RuntimeError as e:
            return str(e)
        return None

    def hear(self, file, more=()):
        # Its clock is the wall's: a call that others kept waiting says more of them than of it, so it is made again, and the calmest of three counts.
        calls = []
        while len(calls) < 3:
            began = time.monotonic()
            calls.append(self.call(file, more))
            calls[-1] = (time.monotonic() - began, *calls[-1])
            if calls[-1][0] < 1.15 * calls[-1][2] + 0.2:
                break
        _, text, seconds, memory = min(calls, key=lambda c: c[0] - c[2])
        lines = [json.loads(t) for t in text.splitlines() if t.strip()]
        clocked = all("clock" in t for t in lines)
        return Heard([of_line(t) for t in lines], max(0.0, seconds - self.start), memory, clocked)


@dataclass
class FasterWhisper:
    """faster-whisper, tiny.en in 8 bits, in a process of its own that stays."""

    name: str
    step: float | None = None  # None: the whole file at once
    vad: bool = False
    beam: int = 1
    work: pathlib.Path = fetch.WORK
    short: bool = False  # only on the recordings of the policies' comparison, to save time
    live: bool = field(init=False)

    def __post_init__(self):
        self.live = self.step is not None

    @functools.cached_property
    def child(self):
        command = [sys.executable, str(pathlib.Path(__file__).parent / "rival.py"), str(fetch.whisper_tiny(self.work))]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | ALONE, preexec_fn=alone)

    def hear(self, file, more=()):
        self.child.stdin.write(json.dumps({"file": str(file), "step": self.step, "vad": self.vad, "beam": self.beam}) + "\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.name} ended while it heard {file}: what it said is above")
        answer = json.loads(answer)
        return Heard([of_line(t) for t in answer["lines"]], answer["seconds"], answer["memory"])

    def close(self):
        if "child" in self.__dict__:
            self.child.stdin.close()
            self.child.wait()
