"""A candidate: the folder of a retrained model. Read without torch."""

from collections.abc import Mapping

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
)


def generation_end_tokens(config: Mapping[str, object]) -> list[int]:
    """Returns the end tokens of a generation configuration, which may be one number or a list."""
    ends = config.get("eos_token_id")
    tokens = ends if isinstance(ends, list) else [ends]
    return [token for token in tokens if isinstance(token, int)]
