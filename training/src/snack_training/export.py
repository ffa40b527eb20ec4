"""
Export of a trained model: the folder that an image or a Hugging Face repository contains. Needs the packages of
`requirements-train.lock`.
"""

import gc
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .candidate import TOKENIZER_FILES, generation_end_tokens
from .files import read_json, sha256_of, write_json
from .probes import probes
from .prompts import Prompts
from .train import Trained

# GPU memory that one forward pass needs.
_RESERVE_BYTES = 3_000_000_000
PINS = ("accelerate", "datasets", "peft", "safetensors", "tokenizers", "torch", "transformers", "trl")


def export(
    trained: Trained, base: Path, template_file: Path, folder: Path, facts: Mapping[str, object]
) -> dict[str, Any]:
    """
    Merges the adapter, writes the candidate to `folder` and returns the content of its `run.json`. `facts` are the
    fields of `run.json` that describe the base, the data and the configuration.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    prompts = Prompts(template_file, base / "tokenizer.json")
    trainer_prompts = {
        name: _ids(trained.tokenizer.apply_chat_template(messages, add_generation_prompt=True))
        for name, messages in probes().items()
    }
    merged, difference = _merge(trained, trainer_prompts["greeting"])
    # The transformers library has both architectures. `auto_map` would make an engine load code from the repository.
    if hasattr(merged.config, "auto_map"):
        del merged.config.auto_map
    merged.save_pretrained(folder, safe_serialization=True)
    unequal = _unequal_weights(folder, merged)
    # Copies the base's files unchanged, because the transformers library can write a different tokenizer.
    for name in TOKENIZER_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
    shutil.copyfile(template_file, folder / "chat_template.jinja")
    write_json(folder / "generation_config.json", _generation_config(base, prompts.end_token))
    run = {
        **facts,
        "losses": trained.losses,
        "heldOutLosses": trained.held_out_losses,
        "adapterMergedMaxDiff": difference,
        "unequalStoredWeights": unequal,
        "baseVocabulary": {
            "size": read_json(base / "config.json")["vocab_size"],
            "tokenizer": sha256_of(base / "tokenizer.json"),
        },
        "trainerPrompts": trainer_prompts,
        "pins": {name: version(name) for name in PINS},
        "files": {file.name: sha256_of(file) for file in sorted(folder.iterdir())},
    }
    write_json(folder / "run.json", run)
    return run


def _merge(trained: Trained, prompt: list[int]) -> tuple[Any, float]:
    """
    Merges the adapter into the weights in float32. Returns the model, rounded to its original type, and the largest
    difference of a logit before the rounding. In bfloat16, rounding alone changes a logit by more than the gate allows.
    """
    import torch

    dtype = trained.model.dtype
    model = _in_float32(trained.model)
    tokens = torch.tensor([prompt], device=model.device)
    with torch.no_grad():
        before = model(input_ids=tokens).logits
        merged = model.merge_and_unload()
        difference = float((before - merged(input_ids=tokens).logits).abs().max())
    return merged.to(dtype), difference


def _unequal_weights(folder: Path, merged: Any) -> int:
    """Returns the number of weights that differ between the files and the merged model, or that one of them lacks."""
    from safetensors import safe_open

    expected, unequal = dict(merged.state_dict()), 0
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt", device=str(merged.device)) as stored:
            for name in stored.keys():  # noqa: SIM118 (the file is no mapping)
                weights, ours = stored.get_tensor(name), expected.pop(name, None)
                same = ours is not None and ours.shape == weights.shape and ours.dtype == weights.dtype
                unequal += int((ours != weights).sum()) if same else weights.numel()
    return unequal + sum(int(weights.numel()) for weights in expected.values())


def _in_float32(model: Any) -> Any:
    """Converts a model to float32, on the CPU when the GPU has too little memory."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    added = sum(weights.numel() * (4 - weights.element_size()) for weights in model.parameters())
    if model.device.type == "cuda" and torch.cuda.mem_get_info()[0] < added + _RESERVE_BYTES:
        model = model.to("cpu")
    return model.float()


def _generation_config(base: Path, end_token: int) -> dict[str, object]:
    """
    Returns the generation configuration with the base's special tokens. The template's end-of-turn token is the first
    end token. The configuration has no sampling parameters, because the worker sends them with every request.
    """
    file = base / "generation_config.json"
    value = read_json(file) if file.is_file() else read_json(base / "config.json")
    ends = [end_token, *(token for token in generation_end_tokens(value) if token != end_token)]
    special = {name: value[name] for name in ("bos_token_id", "pad_token_id") if value.get(name) is not None}
    return {**special, "eos_token_id": ends}


def _ids(encoded: Any) -> list[int]:
    """
    Returns the tokens of a rendered prompt as a list. The transformers library returns a list, or a mapping that
    contains the list.
    """
    return [int(token) for token in (encoded["input_ids"] if hasattr(encoded, "keys") else encoded)]
