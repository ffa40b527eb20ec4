"""
Measures a candidate on the machine that trained it. Serves the serving model first and then the candidate, because one
GPU has memory for only one model. When a part cannot be measured, the report contains a note, and the gate of that part
has not passed.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import aiohttp

from .errors import TrainingError
from .judge import Ask, compare
from .measure import CHATS, ServedModel, measure
from .measurements import Fixtures, Measurements
from .persona_prompts import PersonaPrompt
from .serving import Serve
from .tasks import pair

ENGINE_URL = "http://127.0.0.1:8000/v1"

Result = TypeVar("Result")


@dataclass(frozen=True)
class Programs:
    """Programs of the training image that are not part of this package."""

    serve: Serve
    fixtures: Callable[[str, Path], Fixtures]
    """Sends the contract's fixtures. Parameters: the engine's URL and `tokenizer.json`."""
    tasks: Callable[[str, Path, Path], Path]
    """
    Runs lm-eval. Parameters: the engine's URL, the folder of the weights and the folder for the result. Returns the
    file of the result.
    """
    ask: Ask | None
    """None: no judge is configured."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation."""

    model: str
    images: Path
    candidate: Path
    serving: Path
    """Weights of the model that customers get today."""
    work: Path
    """Folder for temporary files."""
    prompts: Sequence[PersonaPrompt]
    programs: Programs
    say: Callable[[str], None]
    engine_url: str = ENGINE_URL
    notes: list[str] = field(default_factory=list)

    def run(self) -> Measurements:
        """Measures both models and compares them."""
        serving, serving_tasks = self._measure(self.serving, "serving model")
        measured, tasks = self._measure(self.candidate, "candidate")
        measured = replace(measured, serving_speed=serving.speed or None)
        if tasks and serving_tasks:
            measured = replace(measured, tasks=self._attempt("lm-eval", lambda: pair(tasks, serving_tasks)))
        ask = self.programs.ask
        measured = replace(measured, has_judge=ask is not None)
        if ask and measured.replies:
            self.say("asking the judge to compare the replies")
            judged = self._attempt("judge", lambda: asyncio.run(compare(measured.replies, serving.replies, ask)))
            measured = replace(measured, pairwise=judged)
        return replace(measured, notes=self.notes)

    def _measure(self, weights: Path, name: str) -> tuple[Measurements, Path | None]:
        """Serves weights. Returns the measurements and the result of lm-eval."""
        measured, tasks = Measurements(engine="vllm", prompts={}, replies=[], speed={}), None
        self.say(f"{name}: starting vLLM")

        def served() -> None:
            nonlocal measured, tasks
            tokenizer = weights / "tokenizer.json"
            model = ServedModel(self.model, self.images, tokenizer, self.engine_url, "vllm")
            with self.programs.serve(model.settings, weights):
                self.say(
                    f"{name}: sending {len(self.prompts)} persona prompts, then {', '.join(map(str, CHATS))} chats"
                )
                replies = self._attempt(f"{name}, replies", lambda: asyncio.run(measure(model, self.prompts)))
                measured = replies or measured
                if weights == self.candidate:
                    self.say(f"{name}: sending the contract's fixtures")
                    fixtures = self._attempt("fixtures", lambda: self.programs.fixtures(self.engine_url, tokenizer))
                    measured = replace(measured, fixtures=fixtures)
                self.say(f"{name}: running two Japanese tasks of lm-eval")
                output = self.work / name.replace(" ", "-")
                tasks = self._attempt(f"{name}, lm-eval", lambda: self.programs.tasks(self.engine_url, weights, output))

        self._attempt(name, served)
        return measured, tasks

    def _attempt(self, name: str, call: Callable[[], Result]) -> Result | None:
        """
        Returns the result of a call. After any error, adds a note and returns None, so that the other parts are still
        measured.
        """
        try:
            return call()
        except Exception as error:
            known = isinstance(error, (TrainingError, aiohttp.ClientError, OSError))
            text = " ".join(str(error).split())
            note = f"{name}: {text if known and text else f'{type(error).__name__} {text}'.strip()}"
            self.say(note)
            self.notes.append(note)
            return None
