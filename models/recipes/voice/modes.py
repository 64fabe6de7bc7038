"""What the three modes may hear of the future, for all layers that stream. Knows nothing else, and needs no package."""

MELS = 80
AHEAD = {"live": (1, 0, 0, 0), "balanced": (2, 2, 0, 0), "studio": (2, 2, 2, 1)}  # taps of the encoder's first blocks that lie in the future
MODES = tuple(AHEAD)
FIRST_DILATIONS = (1, 1, 2, 4)  # of those blocks


def lookahead(mode):
    """Frames of 10 ms that the content lags its input by."""
    return sum(taps * dilation for taps, dilation in zip(AHEAD[mode], FIRST_DILATIONS))


FARTHEST = max(lookahead(m) for m in MODES)
