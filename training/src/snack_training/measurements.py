"""Measurements of a served candidate. A JSON file contains them as numbers and texts, so the gates need no engine."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import TrainingError
from .files import read_json, write_json


@dataclass(frozen=True)
class PersonaReply:
    """The worker's reply to one prompt."""

    id: str
    kind: str
    """Key of `persona_prompts.KINDS`."""
    language: str
    """Expected language: `ja` or `en`."""
    prompt: str
    """Newest message of the customer."""
    text: str
    """Text of the reply. Empty when the worker returned an error."""
    finish_reason: str
    """`stop`, `length`, `filter`, or the worker's error code."""


@dataclass(frozen=True)
class PromptTokens:
    """The tokens of one prompt from the tokenizer and from the server. `run.json` contains the trainer's tokens."""

    tokenizer: list[int]
    server: list[int]
    counted: int
    """`prompt_tokens` that the server reported for a chat."""


@dataclass(frozen=True)
class Speed:
    """Speed with a number of concurrent chats."""

    first_text_ms: float
    """Median time until the first text."""
    tokens_per_second: float
    """Median of the chats. Counts only tokens after the first text."""


@dataclass(frozen=True)
class Fixtures:
    """Result of the contract's fixtures against the served candidate."""

    passed: int
    failed: int
    skipped: int
    problems: list[str]
    """Fixture and problem of each failure."""


@dataclass(frozen=True)
class Pairwise:
    """
    A judge's comparison with the serving model. A win or a loss counts only when both orders of the replies give the
    same result.
    """

    wins: int
    ties: int
    losses: int
    unread: int = 0
    """Number of pairs for which the judge failed or gave an unreadable answer."""


@dataclass(frozen=True)
class Measurements:
    """All measurements of one candidate. A part that was not measured is None."""

    engine: str
    """Engine that served the candidate, such as `llama.cpp` or `vllm`."""
    prompts: dict[str, PromptTokens]
    replies: list[PersonaReply]
    speed: dict[int, Speed]
    """Speed by the number of concurrent chats."""
    fixtures: Fixtures | None = None
    serving_speed: dict[int, Speed] | None = None
    """Speed of the serving image, measured on the same machine."""
    has_judge: bool = False
    """Whether a judge was configured. With a judge, `pairwise` must be measured."""
    pairwise: Pairwise | None = None
    tasks: dict[str, tuple[float, float]] | None = None
    """Scores of the candidate and of the serving model for each lm-eval task, in points from 0 to 100."""
    notes: list[str] = field(default_factory=list)
    """Reasons why something was not measured."""


def write_measurements(file: Path, measurements: Measurements) -> None:
    """Writes measurements as JSON."""
    write_json(file, asdict(measurements))


def read_measurements(file: Path) -> Measurements:
    """Reads measurements. Raises TrainingError that names the file and the field."""
    value = read_json(file)
    try:
        return Measurements(
            engine=value["engine"],
            prompts={name: PromptTokens(**entry) for name, entry in value["prompts"].items()},
            replies=[PersonaReply(**entry) for entry in value["replies"]],
            speed=_speeds(value["speed"]),
            fixtures=_optional(value, "fixtures", lambda entry: Fixtures(**entry)),
            serving_speed=_optional(value, "serving_speed", _speeds),
            has_judge=value.get("has_judge", False),
            pairwise=_optional(value, "pairwise", lambda entry: Pairwise(**entry)),
            tasks=_optional(value, "tasks", lambda entry: {name: tuple(pair) for name, pair in entry.items()}),
            notes=value.get("notes", []),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise TrainingError(f"{file} has no valid measurements: {type(error).__name__} at {error}") from error


def read_fixtures(file: Path) -> Fixtures:
    """Reads the result of the contract's fixtures. Raises TrainingError that names the file and the fields."""
    try:
        return Fixtures(**read_json(file))
    except TypeError as error:
        names = ", ".join(entry.name for entry in fields(Fixtures))
        raise TrainingError(f"{file} must be an object with exactly {names}") from error


def _speeds(value: Mapping[str, Any]) -> dict[int, Speed]:
    return {int(number): Speed(**entry) for number, entry in value.items()}


def _optional(value: Mapping[str, Any], name: str, read: Any) -> Any:
    return None if value.get(name) is None else read(value[name])
