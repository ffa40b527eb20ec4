"""Facts of a model's image, read from `images/<model>/`."""

from pathlib import Path

from .errors import TrainingError
from .files import read_json
from .gates import Facts
from .prompts import Prompts

BOS = "<s>"


def template_file(images: Path, model: str) -> Path:
    """Returns the path of a model's chat template."""
    return images / model / "chat_template.jinja"


def read_facts(images: Path, model: str, prompts: Prompts) -> Facts:
    """Reads the facts of a model. `prompts` has its chat template and tokenizer."""
    bos = prompts.tokenizer.token_to_id(BOS)
    if bos is None:
        raise TrainingError(f"the tokenizer of {model} has no token {BOS}")
    expected = prompts.prompt_ids([{"role": "user", "content": "こんばんは"}]).count(bos)
    return Facts(
        model=model,
        context_tokens=read_json(images / model / "model.json")["contextTokens"],
        end_token=prompts.end_token,
        bos_token=bos,
        bos_count=expected,
    )
