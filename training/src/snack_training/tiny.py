"""
Tiny random models with the architecture, the tokenizer and the chat template of the real models. They test the pipeline
on a CPU. Needs the packages of `requirements-train.lock`.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from .files import write_json

_SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    # With the default of 0.02, frozen embeddings with so few dimensions could not distinguish tokens.
    "initializer_range": 0.2,
}


def write_tiny_base(architecture: str, tokenizer_file: Path, folder: Path, seed: int) -> None:
    """Writes a random model for the tokenizer in `tokenizer_file`. `architecture` is `phi3` or `mistral`."""
    import torch

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(tokenizer_file, folder / "tokenizer.json")
    tokenizer = json.loads(tokenizer_file.read_bytes())
    ids = [*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])]
    end = {"phi3": "<|endoftext|>", "mistral": "</s>"}[architecture]
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": end, "unk_token": "<unk>"}
    write_json(folder / "tokenizer_config.json", names)
    torch.manual_seed(seed)
    built = {"phi3": _phi3, "mistral": _mistral}[architecture](max(ids) + 1)
    built.save_pretrained(folder, safe_serialization=True)


def _phi3(vocab_size: int) -> Any:
    from transformers import Phi3Config, Phi3ForCausalLM

    # One factor for each pair of dimensions of a head.
    factors = {"short_factor": [1.0] * 16, "long_factor": [1.5] * 16}
    rope = {"rope_type": "longrope", "rope_theta": 10_000.0, "original_max_position_embeddings": 4_096, **factors}
    return Phi3ForCausalLM(
        Phi3Config(
            **_SHAPE,
            vocab_size=vocab_size,
            num_key_value_heads=2,
            bos_token_id=1,
            # The end token of the pre-training, as in the real model. The export must add the end token of the
            # template.
            eos_token_id=32_000,
            pad_token_id=32_000,
            max_position_embeddings=131_072,
            original_max_position_embeddings=4_096,
            rope_parameters=rope,
        )
    )


def _mistral(vocab_size: int) -> Any:
    from transformers import MistralConfig, MistralForCausalLM

    return MistralForCausalLM(
        MistralConfig(
            **_SHAPE,
            vocab_size=vocab_size,
            num_key_value_heads=1,
            bos_token_id=1,
            eos_token_id=2,
            max_position_embeddings=32_768,
            sliding_window=None,
        )
    )
