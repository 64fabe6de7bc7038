#!/usr/bin/env python3
"""A process that runs faster-whisper as a peer: whole files, or as a stream under LocalAgreement-2. One thread; requests are JSON lines on the standard input.

The policy follows what Macháček, Dabre and Bojar describe for Whisper-Streaming (2023): the buffer is transcribed again each `step` seconds of sound; the
longest common beginning of two transcriptions in a row is final; text before the buffer is the prompt; a buffer over 15 s is cut at the end of the last segment
that is wholly final. The clock is virtual: after each run it stands at max(clock, heard) + the processor time of the run, and the next run takes all sound that has
come by then. A process of its own, so that its memory is its own.
"""

import json
import resource
import sys
import time

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel

import sounds

RATE = sounds.RATE
TRIM = 15.0  # seconds of buffer
PROMPT = 200  # characters
REPEAT = 5  # words that may be told twice over the edge of what is final


class Agreement:
    """LocalAgreement-2 over words (start, end, text)."""

    def __init__(self):
        self.final, self.standing, self.last = [], [], 0.0

    def hear(self, told):
        """The words that became final with this transcription."""
        told = [w for w in told if w[0] > self.last - 0.1]
        if told and self.final and abs(told[0][0] - self.last) < 1:
            for n in range(min(len(self.final), len(told), REPEAT), 0, -1):
                if [w[2] for w in self.final[-n:]] == [w[2] for w in told[:n]]:
                    told = told[n:]
                    break
        n = 0
        while n < min(len(told), len(self.standing)) and told[n][2] == self.standing[n][2]:
            n += 1
        new, self.standing = told[:n], told[n:]
        self.settle(new)
        return new

    def settle(self, new):
        self.final += new
        if new:
            self.last = new[-1][1]


def line(kind, heard, clock, words):
    told = [{"text": t.strip(), "start": round(s, 3), "end": round(e, 3)} for s, e, t in words]
    return {"kind": kind, "heard": heard, "clock": clock, "words": told}


def transcribe(model, sound, **more):
    """Words and the ends of segments, and the processor time that it took."""
    began = time.process_time()
    segments, _ = model.transcribe(sound, language="en", word_timestamps=True, **more)
    segments = list(segments)
    words = [(w.start, w.end, w.word) for s in segments for w in s.words]
    return words, [s.end for s in segments], time.process_time() - began


def stream(model, sound, step, vad, beam):
    """Lines as `mynah caption --live --jsonl` tells them, and the processor time."""
    total, policy, lines, spent = len(sound) / RATE, Agreement(), [], 0.0
    clock = heard = begin = 0.0
    while heard < total:
        heard = min(total, max(clock, heard + step))
        before = "".join(w[2] for w in policy.final if w[1] <= begin)[-PROMPT:]
        buffer = sound[int(begin * RATE) : int(heard * RATE)]
        words, ends, took = transcribe(model, buffer, beam_size=beam, vad_filter=vad, initial_prompt=before or None, condition_on_previous_text=True)
        clock, spent = max(clock, heard) + took, spent + took
        new = policy.hear([(s + begin, e + begin, t) for s, e, t in words])
        if new:
            lines.append(line("final", heard, clock, new))
        lines.append(line("partial", heard, clock, policy.standing))
        if heard - begin > TRIM:
            whole = [e + begin for e in ends[:-1] if e + begin <= policy.last]
            if whole:
                begin = whole[-1]
            elif heard - begin > 2 * TRIM - 2:  # Whisper hears no more than 30 s: the last final word is the edge then
                begin = max(begin, policy.last, heard - TRIM)
    if policy.standing:
        lines.append(line("final", heard, clock, policy.standing))
    lines.append(line("partial", heard, clock, []))
    return lines, spent


def whole(model, sound, beam):
    words, _, took = transcribe(model, sound, beam_size=beam)
    heard = len(sound) / RATE
    return [line("final", heard, heard + took, words)], took


def main():
    model = WhisperModel(sys.argv[1], device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)
    transcribe(model, np.zeros(RATE, np.float32), beam_size=1)  # warm
    for asked in sys.stdin:
        asked = json.loads(asked)
        sound = sounds.read(asked["file"])
        ctranslate2.set_random_seed(1)  # where a hypothesis looks bad, faster-whisper's default draws others at higher temperatures
        if asked["step"]:
            lines, spent = stream(model, sound, asked["step"], asked["vad"], asked["beam"])
        else:
            lines, spent = whole(model, sound, asked["beam"])
        answer = {"lines": lines, "seconds": spent, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
