"""What was measured, as Markdown; and its place between two markers of a page. Knows no recogniser and no sound."""

import pathlib

from figures import middle

BEGIN, END = "<!-- figures -->", "<!-- /figures -->"


def rows(head, body):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(map(str, r)) + " |" for r in body)])


def percent(x):
    return "–" if x is None else f"{100 * x:.1f} %"


def pair(values, scale=1.0, form="{:.2f}", worst=95):
    return f"{middle(values, 50, scale, form)} / {middle(values, worst, scale, form)}"


def systems(totals):
    """The main table: one row a captioner, sums over the recordings it heard."""
    head = ["captioner", "recordings, words", "WER", "first showing after the word's end, s: p50 / p95", "final, s: p50 / p95", "word start error, ms: p50 / p90",
            "word end error, ms", "words that flicker", "changes a second", "RTF, one core", "largest lag, s", "memory, MiB"]  # fmt: skip
    body = []
    for t in totals:
        s, live = t["shown"], t["live"]
        star = "" if t["clocked"] else " ¹"
        body.append([
            t["name"], f"{t['recordings']}, {t['errors'].words}", percent(t["errors"].rate), pair(s.first_delays) + star if live else "–", pair(s.final_delays) + star if live else "–",
            pair([abs(e) for e in s.start_errors], 1000, "{:.0f}", 90), pair([abs(e) for e in s.end_errors], 1000, "{:.0f}", 90),
            percent(s.revised / s.shown) if live and s.shown else "–", f"{s.revised / t['seconds']:.2f}" if live else "–",
            f"{t['compute'] / t['seconds']:.3f}", f"{s.lag:.2f}{star}" if live else "–", f"{t['memory']:.0f}",
        ])  # fmt: skip
    note = "" if all(t["clocked"] for t in totals) else "\n\n¹ This program told no clock: its computing counts as nothing, the true delay is longer."
    return rows(head, body) + note


def by_recording(names, totals, cells):
    return rows(["WER of", *(t["name"] for t in totals)], [[n, *(percent(cells.get((t["name"], n))) for t in totals)] for n in names])


def policies(points, pairs):
    body = [[p["name"], p["family"], percent(p["errors"].rate), f"{p['mean']:.2f}", pair(p["shown"].final_delays), percent(p["shown"].revised / max(1, p["shown"].shown)), f"{p['compute']:.2f}"] for p in points]
    text = rows(["options", "policy", "WER", "mean delay of finals, s", "p50 / p95", "words that flicker", "RTF"], body)
    if pairs:
        text += "\n\n" + rows(
            ["mean delay of finals, s", "WER adaptive", "WER fixed wait", "WER agreement"],
            [[f"{p['mean']:.2f}", percent(p["adaptive"]), percent(p["fixed"]), percent(p["agreement"])] for p in pairs],
        )
    return text


def rough(results):
    parts = []
    invented, said = ([r for r in results if (r["group"] == "English") == english] for english in (False, True))
    for some, key, head, form in ((invented, "told", "nobody speaks English: words told a minute", "{:.0f}".format), (said, "wer", "a woman reads, and: WER", percent)):
        if some:
            names = list(some[0][key])
            parts.append(rows([head, *names], [[r["name"], *(form(r[key][n]) for n in names)] for r in some]))
    return "\n\n".join(parts)


def long(results):
    return rows(
        ["ten minutes", "captioner", "WER", "final, s: p50 / p95", "largest lag, s", "sound given up, s", "RTF", "memory, MiB"],
        [[r["name"], r["system"], percent(r["errors"].rate), pair(r["shown"].final_delays), f"{r['shown'].lag:.2f}", f"{r['shown'].skipped:.1f}", f"{r['compute'] / r['seconds']:.3f}", f"{r['memory']:.0f}"] for r in results],
    )


def glossary(result):
    if isinstance(result, str):
        return result
    return rows(["", "names said", "found", "invented"], [[k, result["said"], v["found"], v["invented"]] for k, v in result["runs"].items()])


def put(page, text):
    """Replaces what stands between the markers of a page."""
    page = pathlib.Path(page)
    whole = page.read_text(encoding="utf-8")
    head, rest = whole.split(BEGIN, 1)
    _, tail = rest.split(END, 1)
    half = page.with_name(page.name + ".part")
    half.write_text(f"{head}{BEGIN}\n{text.strip()}\n{END}{tail}", encoding="utf-8")
    half.rename(page)
