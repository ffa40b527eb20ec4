"""The report of a candidate: one HTML page without external files, and the same content as JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from importlib.resources import files
from typing import Any

from . import plots
from .candidate import Candidate
from .gates import Facts, Input, Result, may_be_promoted
from .measurements import Measurements, PersonaReply
from .persona_rules import MAX_CHARS, RULES, broken_rule

_LABELS = {"passed": "passed", "failed": "failed", "notMeasured": "not measured", "notJudged": "not judged"}
_SAMPLES = 12


def summary(given: Input, results: Sequence[Result]) -> dict[str, Any]:
    """Returns the content of a report as JSON."""
    counts = Counter(result.status for result in results)
    return {
        "model": given.facts.model,
        "tiny": given.candidate.run.get("tiny") is True,
        "mayBePromoted": may_be_promoted(given.candidate, list(results)),
        "gates": {status: counts[status] for status in _LABELS},
        "results": [asdict(result) for result in results],
        "run": {key: value for key, value in given.candidate.run.items() if key != "trainerPrompts"},
    }


def page(given: Input, results: Sequence[Result]) -> str:
    """Returns the report as an HTML page."""
    candidate, measured, facts = given.candidate, given.measurements, given.facts
    sections = [
        _header(candidate, results, facts),
        _gates("Contract gates", "They protect the interface that clients and workers rely on.", results, "contract"),
        _gates("Quality gates", "They protect what customers read.", results, "quality"),
        _training(candidate),
        _replies(measured),
        _speed(measured),
        _provenance(candidate, measured),
    ]
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    title = f"{facts.model}: candidate {_name(candidate)}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(sections)
        + "\n</main>\n</body>\n</html>\n"
    )


def _header(candidate: Candidate, results: Sequence[Result], facts: Facts) -> str:
    counts = Counter(result.status for result in results)
    tiny = candidate.run.get("tiny") is True
    if may_be_promoted(candidate, list(results)):
        verdict, tone = "May be promoted", "passed"
    elif tiny:
        broken = sum(result.status == "failed" for result in results)
        verdict, tone = ("The pipeline works", "passed") if not broken else ("The pipeline is broken", "failed")
    else:
        verdict, tone = "Must not be promoted", "failed"
    note = (
        "A tiny model with random weights. It proves the way from data to a served candidate. Its replies are noise, so "
        "the quality gates measure them and do not judge them. It can never be promoted."
        if tiny
        else "A gate that was not measured counts as not passed."
    )
    chips = "".join(
        f'<li class="chip {status}"><b>{counts[status]}</b> {label}</li>'
        for status, label in _LABELS.items()
        if counts[status]
    )
    return (
        f'<header><p class="kicker">Snack Misaki · retraining report</p><h1>{escape(facts.model)}'
        f'<span class="run">{escape(_name(candidate))}</span></h1>'
        f'<p class="verdict {tone}">{verdict}</p><ul class="chips">{chips}</ul><p class="note">{escape(note)}</p></header>'
    )


def _gates(title: str, about: str, results: Sequence[Result], kind: str) -> str:
    rows = "".join(_row(result) for result in results if result.kind == kind)
    return (
        f'<section><h2>{title}</h2><p class="about">{about}</p><div class="scroll"><table class="gates"><thead><tr>'
        f"<th>Gate</th><th>Result</th><th>Measured</th><th>Limit</th></tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _row(result: Result) -> str:
    details = "".join(f"<li>{escape(detail)}</li>" for detail in result.details[:10])
    if len(result.details) > 10:
        details += f"<li>… and {len(result.details) - 10} more</li>"
    return (
        f'<tr class="{result.status}"><td><code>{result.gate}</code><small>{escape(result.about)}</small></td>'
        f'<td><span class="mark {result.status}">{_LABELS[result.status]}</span></td>'
        f"<td>{escape(result.measured)}{f'<ul>{details}</ul>' if details else ''}</td><td>{escape(result.limit)}</td></tr>"
    )


def _training(candidate: Candidate) -> str:
    losses: list[float] = candidate.run.get("losses", [])
    if not losses:
        return ""
    held_out: list[float] = candidate.run.get("heldOutLosses", [])
    steps = len(losses)
    marks = [((index + 1) * steps / len(held_out), loss) for index, loss in enumerate(held_out)]
    curve = plots.line(list(enumerate(losses, 1)), marks, x_label="step", y_label="loss")
    legend = (
        '<p class="legend"><i class="a"></i> training <i class="b"></i> held-out conversations, after each epoch</p>'
    )
    return f"<section><h2>Training</h2><figure>{curve}{legend}</figure></section>"


def _replies(measured: Measurements) -> str:
    replies = measured.replies
    if not replies:
        return ""
    broken = Counter(name for name in map(broken_rule, replies) if name)
    sound = len(replies) - broken.total()
    rules = plots.bars([("no rule broken", sound), *((name, broken[name]) for name in RULES)], len(replies))
    lengths = plots.histogram([len(reply.text) for reply in replies], limit=MAX_CHARS["ja"], label="characters")
    samples = "".join(_sample(reply) for reply in _spread(replies))
    return (
        f'<section><h2>Replies as Mama</h2><p class="about">{len(replies)} prompts. Each reply counts for the first rule '
        f'that it breaks.</p><div class="pair"><figure><figcaption>First broken rule</figcaption>{rules}</figure>'
        f"<figure><figcaption>Length of the replies</figcaption>{lengths}</figure></div>"
        f'<details open><summary>{min(_SAMPLES, len(replies))} of the replies</summary><div class="samples">{samples}</div>'
        "</details></section>"
    )


def _sample(reply: PersonaReply) -> str:
    rule = broken_rule(reply)
    mark = f'<span class="mark failed">{rule}</span>' if rule else '<span class="mark passed">sound</span>'
    text = escape(reply.text) or "<em>no reply</em>"
    return (
        f'<article><p class="meta">{escape(reply.kind)} · {escape(reply.finish_reason)} {mark}</p>'
        f'<p class="guest">{escape(reply.prompt)}</p><p class="mama">{text}</p></article>'
    )


def _spread(replies: Sequence[PersonaReply]) -> list[PersonaReply]:
    count = min(_SAMPLES, len(replies))
    return [replies[index * len(replies) // count] for index in range(count)]


def _speed(measured: Measurements) -> str:
    if not measured.speed:
        return ""
    serving = measured.serving_speed or {}
    rows = "".join(
        f"<tr><td>{chats}</td><td>{speed.first_text_ms:,.0f} ms</td><td>{speed.tokens_per_second:,.0f}</td>"
        f"<td>{f'{serving[chats].first_text_ms:,.0f} ms' if chats in serving else '–'}</td>"
        f"<td>{f'{serving[chats].tokens_per_second:,.0f}' if chats in serving else '–'}</td></tr>"
        for chats, speed in measured.speed.items()
    )
    return (
        f'<section><h2>Speed</h2><p class="about">Through the worker, with {escape(measured.engine)}.</p>'
        '<div class="scroll"><table class="numbers"><thead><tr><th>Chats at once</th><th>First text</th><th>Tokens per '
        "second</th><th>Serving: first text</th><th>Serving: tokens per second</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _provenance(candidate: Candidate, measured: Measurements) -> str:
    run = candidate.run
    data: dict[str, Any] = run.get("data", {})
    sources = "; ".join(f"{entry['file']} ({entry['licence']}, {entry['origin']})" for entry in data.get("sources", []))
    facts = {
        "Base": f"{run.get('base', {}).get('huggingFaceId', '–')} @ {run.get('base', {}).get('revision', '–')}",
        "Data": f"{data.get('trained', '–')} trained, {data.get('heldOut', '–')} held out; SHA-256 {data.get('sha256', '–')}",
        "Sources": sources or "–",
        "Configuration": ", ".join(f"{key} {value}" for key, value in run.get("config", {}).items()) or "–",
        "Packages": ", ".join(f"{name} {version}" for name, version in run.get("pins", {}).items()) or "–",
        "Notes": "; ".join(measured.notes) or "–",
    }
    rows = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    hashes = "".join(
        f"<tr><td>{escape(name)}</td><td><code>{escape(digest)}</code></td></tr>"
        for name, digest in run.get("files", {}).items()
    )
    table = (
        f'<details><summary>SHA-256 of each file</summary><div class="scroll"><table>{hashes}</table></div></details>'
    )
    return f"<section><h2>Where it comes from</h2><dl>{rows}</dl>{table}</section>"


def _name(candidate: Candidate) -> str:
    return str(candidate.run.get("name", "without a name"))
