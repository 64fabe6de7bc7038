"""The loop that every stage of training shares: a time budget over all resumptions, a log, checkpoints, and an end by a signal that loses nothing. Knows no layers and no losses."""

import signal
import time

import numpy as np

SAVED = 180  # seconds between checkpoints
STEP_MOST = 60  # seconds that a step counts for at most: a run that was stopped for a while has not trained


def falling(o, step, spent):
    """The rate of a step: up over 200 steps, level for the share `o.level` of `o.seconds`, then down along a half cosine."""
    fall = max(0.0, min(1, spent / o.seconds) - o.level) / (1 - o.level)
    return o.rate * min(1, (step + 1) / 200) * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * fall)))


def train(run, o, fields, every, about=lambda run: [], between=lambda run: None):
    """Calls `run.train_step()`, which gives the rate and the losses, until `o.seconds` are spent or a signal asks to stop.

    `run` has step, spent and save(). Each `every` steps a line goes to RUN/log.csv: step, seconds, what `about` tells, rate, mean losses. `between` is called after each step; its time counts for nothing.
    """
    asked = []
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: asked.append(True))
    with open(o.run / "log.csv", "a", buffering=1) as log:
        if log.tell() == 0:
            log.write(",".join(fields) + "\n")
        sums, summed, saved = 0.0, 0, time.time()
        while run.spent < o.seconds and not asked:
            began = time.time()
            rate, figures = run.train_step()
            run.spent += min(time.time() - began, STEP_MOST)
            sums, summed = sums + np.array(figures), summed + 1
            if run.step % every == 0:
                log.write(",".join([str(run.step), str(round(run.spent)), *about(run), f"{rate:.2e}", *(f"{x:.4f}" for x in sums / summed)]) + "\n")
                sums, summed = 0.0, 0
            if time.time() - saved > SAVED:
                run.save()
                saved = time.time()
            between(run)
    run.save()
