"""The figures on lines that a person can count by hand: `python -m pytest test_figures.py`."""

import numpy as np
import pytest

import align
import figures
import words
from figures import Line, Word


def line(kind, heard, clock, *told):
    return Line(kind, heard, clock, tuple(Word(t, s, e) for t, s, e in told))


REFERENCE = [align.Spoken("one", 0.0, 0.4), align.Spoken("two", 0.5, 0.9), align.Spoken("three", 1.0, 1.4)]
LINES = [
    line("partial", 1.0, 1.2, ("One", 0.1, 0.4), ("too", 0.5, 0.8)),
    line("final", 2.0, 2.3, ("One,", 0.1, 0.5)),
    line("partial", 2.0, 2.3, ("two", 0.5, 0.8), ("tree", 1.0, 1.5)),
    line("final", 2.5, 2.6, ("two", 0.5, 0.8), ("three.", 1.1, 1.5)),
    line("partial", 2.5, 2.6),
]


def test_delays_run_from_the_end_of_a_word_to_its_showing():
    shown = figures.watch(LINES, REFERENCE)
    assert shown.final_delays == pytest.approx([2.3 - 0.4, 2.6 - 0.9, 2.6 - 1.4])
    assert shown.first_delays == pytest.approx([1.2 - 0.4, 2.3 - 0.9, 2.6 - 1.4])
    assert shown.lag == pytest.approx(0.3)


def test_word_times_are_compared_over_the_words_that_were_met():
    shown = figures.watch(LINES, REFERENCE)
    assert shown.start_errors == pytest.approx([0.1, 0.0, 0.1])
    assert shown.end_errors == pytest.approx([0.1, -0.1, 0.1])


def test_flicker_counts_words_that_changed_or_went():
    # Shown as partial: one, too, two, tree. Changed: too and tree; “One,” only got its comma.
    shown = figures.watch(LINES, REFERENCE)
    assert (shown.shown, shown.revised) == (4, 2)


def test_a_final_alone_takes_its_words_from_the_partial():
    lines = [line("partial", 1, 1, ("a", 0, 0.3), ("b", 0.4, 0.6)), line("final", 2, 2, ("a", 0, 0.3))]
    *_, last = figures.screens(lines)
    assert [w.text for w in last[3]] == ["a", "b"]
    assert figures.flicker(list(figures.screens(lines))) == (2, 0)


def test_words_are_not_found_before_they_are_said():
    reference = [align.Spoken("the", 0.0, 0.2), align.Spoken("end", 0.3, 0.6), align.Spoken("the", 3.0, 3.2)]
    lines = [line("partial", 1, 1, ("the", 0, 0.2), ("end", 0.3, 0.6)), line("final", 4, 4, ("the", 0, 0.2), ("end", 0.3, 0.6), ("the", 3, 3.2))]
    assert figures.watch(lines, reference).first_delays == pytest.approx([0.8, 0.4, 0.8])


def test_sums_keep_the_largest_lag():
    total = figures.watch(LINES, REFERENCE) + figures.watch(LINES[:1], REFERENCE)
    assert total.lag == pytest.approx(0.3) and len(total.final_delays) == 3 and total.shown == 6


def test_errors_are_counted_after_the_normaliser():
    assert words.errors("Mister Smith has twenty-one dogs.", "mr smith has 21 dogs").count == 0
    assert words.errors("red green blue white", "red blue white black") == words.Errors(substituted=0, deleted=1, inserted=1, words=4)


def test_names_are_found_as_whole_words():
    assert words.mentions(("Gruff", "Billy-goat"), "The billy goat Gruff is gruffly.") == {"Gruff": 1, "Billy-goat": 1}


def test_the_aligner_is_near_the_labels():
    starts, ends = align.own_error()
    assert len(starts) > 50 and np.median(np.abs(starts)) <= 0.02 and np.median(np.abs(ends)) <= 0.02
