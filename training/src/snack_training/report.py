"""The report of a candidate: one HTML page without external files, and the same content as JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from . import plots
from .gates import Input, Result, Status, keeps_the_contract, may_be_promoted, open_gates
from .measurements import PersonaReply
from .persona_rules import MAX_CHARS, RULES, broken_rule

_LABELS: dict[Status, str] = {
    "passed": "passed",
    "failed": "failed",
    "notMeasured": "not measured",
    "notJudged": "not judged",
}
_SAMPLES = 12


def summary(given: Input, results: Sequence[Result]) -> dict[str, Any]:
    """Returns the content of a report as JSON."""
    counts = Counter(result.status for result in results)
    return {
        "model": given.facts.model,
        "tiny": given.candidate.run.get("tiny") is True,
        "mayBePromoted": may_be_promoted(given.candidate, results),
        "openGates": open_gates(results),
        "gates": {status: counts[status] for status in _LABELS},
        "results": [asdict(result) for result in results],
        "run": {key: value for key, value in given.candidate.run.items() if key != "trainerPrompts"},
    }


def page(given: Input, results: Sequence[Result]) -> str:
    """Returns the report as an HTML page."""
    environment = Environment(
        loader=PackageLoader("snack_training", ""), autoescape=select_autoescape(["jinja"]), trim_blocks=True
    )
    run, measured = given.candidate.run, given.measurements
    verdict, tone = _verdict(given, results)
    return environment.get_template("report.html.jinja").render(
        model=given.facts.model,
        run=run,
        style=Markup(files("snack_training").joinpath("report.css").read_text(encoding="utf-8")),  # noqa: S704
        labels=_LABELS,
        counts=Counter(result.status for result in results),
        verdict=verdict,
        tone=tone,
        open=open_gates(results),
        contract=[result for result in results if result.kind == "contract"],
        quality=[result for result in results if result.kind == "quality"],
        curve=_curve(run.get("losses", []), run.get("heldOutLosses", [])),
        replies=measured.replies,
        rules=_rules(measured.replies),
        lengths=plots.histogram([len(reply.text) for reply in measured.replies], limit=MAX_CHARS["ja"]),
        samples=[(reply, broken_rule(reply)) for reply in _spread(measured.replies)],
        engine=measured.engine,
        speed=measured.speed,
        serving=measured.serving_speed or {},
        notes=measured.notes,
    )


def _verdict(given: Input, results: Sequence[Result]) -> tuple[str, str]:
    """Returns the text of the verdict, and the status that selects the text's colour."""
    if may_be_promoted(given.candidate, results):
        return "May be promoted", "passed"
    if not given.candidate.run.get("tiny"):
        return "Must not be promoted", "failed"
    works = keeps_the_contract(results)
    return ("The pipeline works", "passed") if works else ("The pipeline is broken", "failed")


def _curve(losses: Sequence[float], held_out: Sequence[float]) -> Markup | None:
    """Returns the plot of the losses. `held_out` contains one loss for each epoch."""
    if not losses:
        return None
    marks = [((epoch + 1) * len(losses) / len(held_out), loss) for epoch, loss in enumerate(held_out)]
    return plots.line(list(enumerate(losses, 1)), marks, label="loss by step")


def _rules(replies: Sequence[PersonaReply]) -> Markup:
    broken = Counter(rule for rule in map(broken_rule, replies) if rule)
    sound = len(replies) - broken.total()
    return plots.bars([("no rule broken", sound), *((name, broken[name]) for name in RULES)], len(replies))


def _spread(replies: Sequence[PersonaReply]) -> list[PersonaReply]:
    count = min(_SAMPLES, len(replies))
    return [replies[index * len(replies) // count] for index in range(count)]
