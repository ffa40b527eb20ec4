"""Scores of lm-eval. They show when the model loses general Japanese."""

from pathlib import Path

from .errors import TrainingError
from .files import read_json

TASKS = {"jcommonsenseqa_parquet": "acc,none", "xwinograd_jp_parquet": "acc,none"}
"""Names of two Japanese tasks for lm-eval 0.4.13, with the name of each task's score."""
TASK_FOLDER = Path(__file__).parents[2] / "tasks"
"""Folder of the tasks' YAML files."""


def read_scores(file: Path) -> dict[str, float]:
    """
    Reads the scores from a `results_*.json` of lm-eval, in points from 0 to 100. Raises TrainingError that names a
    missing task.
    """
    results = read_json(file).get("results", {})
    scores = {}
    for task, metric in TASKS.items():
        value = results.get(task, {}).get(metric)
        if not isinstance(value, (int, float)):
            raise TrainingError(f"{file} has no {metric} of the task {task}; required: {', '.join(TASKS)}")
        scores[task] = 100 * float(value)
    return scores


def pair(candidate: Path, serving: Path) -> dict[str, tuple[float, float]]:
    """Returns the scores of the candidate and of the serving model by task."""
    new, old = read_scores(candidate), read_scores(serving)
    return {task: (new[task], old[task]) for task in TASKS}
