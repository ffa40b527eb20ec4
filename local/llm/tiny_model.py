"""
Writes a tiny model with random weights, with the architecture and the tokenizer of a real model. Run with the Python
of vLLM's environment.

Arguments: the folder to write to, which contains the model's `tokenizer.json`, and the architecture: `phi3` or
`mistral`.
"""

import json
import pathlib
import sys

import torch
from transformers import MistralConfig, MistralForCausalLM, Phi3Config, Phi3ForCausalLM

SIZE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}


def phi3(vocab_size: int) -> Phi3ForCausalLM:
    """
    Creates a Phi-3 model with a common training fault: its end tokens do not contain the chat template's end token.
    """
    return Phi3ForCausalLM(
        Phi3Config(
            **SIZE,
            vocab_size=vocab_size,
            num_key_value_heads=2,
            bos_token_id=1,
            eos_token_id=32_000,
            pad_token_id=32_000,
            max_position_embeddings=131_072,
            original_max_position_embeddings=4_096,
            # One factor for each pair of a head's dimensions.
            rope_scaling={"type": "longrope", "short_factor": [1.0] * 16, "long_factor": [2.0] * 16},
        )
    )


def mistral(vocab_size: int) -> MistralForCausalLM:
    return MistralForCausalLM(
        MistralConfig(
            **SIZE,
            vocab_size=vocab_size,
            num_key_value_heads=1,
            bos_token_id=1,
            eos_token_id=2,
            max_position_embeddings=32_768,
            sliding_window=None,
        )
    )


def main() -> None:
    folder, architecture = pathlib.Path(sys.argv[1]), sys.argv[2]
    tokenizer = json.loads((folder / "tokenizer.json").read_bytes())
    ids = [*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])]
    torch.manual_seed(0)
    model = {"phi3": phi3, "mistral": mistral}[architecture](max(ids) + 1)
    # Writes several files with an index, like the real weights.
    model.to(torch.bfloat16).save_pretrained(folder, max_shard_size="5MB")
    # Like a repository of Mistral, the folder also contains the weights in a second format. vLLM must not read them: it
    # must read the files that the index names.
    if architecture == "mistral":
        (folder / "consolidated.safetensors").write_bytes(b"not the weights")
        (folder / "params.json").write_text("{}")
    end = {"phi3": "<|endoftext|>", "mistral": "</s>"}[architecture]
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": end}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))


if __name__ == "__main__":
    main()
