"""Settings from environment variables. They are checked before any slow import."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from .tickets import TicketKeys, parse_jwks

MODEL_PLANS: dict[str, str] = json.loads(files(__package__).joinpath("contract/models.json").read_bytes())
"""Plan of each model, from the contract. The keys are the allowed models."""

BAKED_WEIGHTS = Path("/models/weights")
"""Folder of weights that are part of the image."""

MODEL_CACHE = Path("/runpod-volume/huggingface-cache/hub")
"""Mount point of RunPod's model cache."""


class SettingsError(Exception):
    """An environment variable is missing or invalid. The text names the variable and the allowed values."""


@dataclass(frozen=True)
class OwnEngine:
    """An engine that the worker starts itself."""

    port: int
    weights: Path
    """Folder of the weights."""
    quantization: str | None
    """vLLM's name of the quantization; None loads the weights unchanged."""
    health_every_s: float
    """Seconds between health checks after the start. Each check also has this time limit."""


@dataclass(frozen=True)
class Settings:
    """All settings of a worker."""

    model: str
    """Key of MODEL_PLANS. It is also the engine's name for the model and the audience of accepted tickets."""
    plan: str
    """Plan of the model."""
    version: str
    """Version of the weights, from a file in the image."""
    context_tokens: int
    """Maximum tokens of prompt and reply together."""
    tokenizer_file: Path
    """`tokenizer.json` in the folder of the weights. Without this file, token counts are estimated."""
    chat_template_file: Path
    """Chat template that the engine uses."""
    ticket_issuer: str
    """Issuer of accepted tickets: `snack-misaki/<stack>`."""
    ticket_keys: TicketKeys
    endpoint: str | None
    """RunPod's id of this endpoint. None when the worker does not run at RunPod."""
    engine_base_url: str
    """Base URL of the OpenAI-compatible API. It ends with `/v1`."""
    engine_start_limit_s: float
    """Time limit for the engine to become healthy."""
    first_text_limit_s: float
    """Time limit for the first text of a reply."""
    own_engine: OwnEngine | None
    """Engine to start at `engine_base_url`; None when an engine already runs there."""
    max_concurrency: int
    """Maximum number of concurrent jobs."""

    @property
    def engine_health_url(self) -> str:
        """URL of the engine's health page, which is not under `/v1`."""
        return self.engine_base_url.removesuffix("/v1") + "/health"


def read_settings(env: Mapping[str, str]) -> Settings:
    """Reads and checks all variables. Raises SettingsError for the first missing or invalid one."""
    model = _required(env, "MODEL")
    if model not in MODEL_PLANS:
        raise SettingsError(f"MODEL is {model!r}; allowed: {', '.join(MODEL_PLANS)}")

    issuer = _required(env, "TICKET_ISSUER")
    try:
        keys = parse_jwks(_required(env, "TICKET_JWKS"))
    except ValueError as error:
        raise SettingsError(f"TICKET_JWKS must be a JSON Web Key Set of Ed25519 public keys: {error}") from error

    context_tokens = _whole_number(env, "CONTEXT_TOKENS", default=4_096, most=1_000_000)
    engine = None if "ENGINE_BASE_URL" in env else _own_engine(env)
    if engine:
        _check_long_rope(engine.weights, context_tokens)
    weights = engine.weights if engine else BAKED_WEIGHTS
    base_url = f"http://127.0.0.1:{engine.port}/v1" if engine else env["ENGINE_BASE_URL"].rstrip("/")
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?/v1", base_url):
        raise SettingsError(f"ENGINE_BASE_URL is {base_url!r}; allowed: an http(s) URL ending in /v1")

    return Settings(
        model=model,
        plan=MODEL_PLANS[model],
        version=_version(Path(env.get("MODEL_VERSION_FILE", "/models/version.json"))),
        context_tokens=context_tokens,
        tokenizer_file=Path(env.get("TOKENIZER_FILE", weights / "tokenizer.json")),
        chat_template_file=Path(env.get("CHAT_TEMPLATE_FILE", "/models/chat_template.jinja")),
        ticket_issuer=issuer,
        ticket_keys=keys,
        endpoint=env.get("RUNPOD_ENDPOINT_ID", "").strip() or None,
        engine_base_url=base_url,
        # RunPod kills a starting worker after seven minutes and gives no reason. Therefore the default is shorter.
        engine_start_limit_s=_whole_number(env, "ENGINE_START_LIMIT_S", default=400, most=3_600),
        first_text_limit_s=_whole_number(env, "FIRST_TEXT_LIMIT_S", default=30, most=90),
        own_engine=engine,
        max_concurrency=_whole_number(env, "MAX_CONCURRENCY", default=32, most=256),
    )


def _own_engine(env: Mapping[str, str]) -> OwnEngine:
    return OwnEngine(
        port=_whole_number(env, "ENGINE_PORT", default=8_000, most=65_535),
        weights=_weights(env),
        quantization=env.get("QUANTIZATION") or None,
        health_every_s=_whole_number(env, "ENGINE_HEALTH_EVERY_S", default=5, most=60),
    )


def _weights(env: Mapping[str, str]) -> Path:
    source = _required(env, "WEIGHTS", "set WEIGHTS to start an engine, or ENGINE_BASE_URL to use a running engine")
    if source == "baked":
        return BAKED_WEIGHTS
    if source != "cached":
        raise SettingsError(f"WEIGHTS is {source!r}; allowed: baked, cached")
    cache = Path(env.get("MODEL_CACHE", MODEL_CACHE))
    return cached_weights(cache, _required(env, "MODEL_ID"), _required(env, "MODEL_REVISION"))


def cached_weights(cache: Path, model_id: str, revision: str) -> Path:
    """
    Returns the folder of one commit of a Hugging Face repository in `cache`, which has huggingface_hub's layout. Raises
    SettingsError when the cache lacks that commit. Another commit is not accepted, because the image reports the
    version of `revision`.
    """
    repository = cache / f"models--{model_id.replace('/', '--')}"
    snapshot = repository / "snapshots" / revision
    if snapshot.is_dir():
        return snapshot
    problem = "WEIGHTS is 'cached', but RunPod's model cache has no"
    fix = f"the endpoint must reference https://huggingface.co/{model_id}:{revision}"
    if not repository.is_dir():
        raise SettingsError(f"{problem} {repository}; {fix}")
    main = repository / "refs" / "main"
    found = main.read_text(encoding="utf-8").strip() if main.is_file() else "no refs/main"
    raise SettingsError(f"{problem} {snapshot} (found: {found}); {fix}")


def _check_long_rope(weights: Path, context_tokens: int) -> None:
    """
    Raises SettingsError when a conversation could grow beyond the length at which LongRoPE changes its factors (4,096
    tokens for Phi-3.5). At that length the engine's cached keys become wrong, and the reply turns into noise (vLLM
    issue 27414).
    """
    try:
        config = json.loads((weights / "config.json").read_bytes())
    except (OSError, ValueError):
        return  # The engine reports a missing or unreadable file.
    # The field's name depends on the version of the transformers library.
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if "long_factor" not in rope or rope["long_factor"] == rope.get("short_factor"):
        return
    most = config.get("original_max_position_embeddings") or rope.get("original_max_position_embeddings")
    if isinstance(most, int) and context_tokens > most:
        raise SettingsError(
            f"CONTEXT_TOKENS is {context_tokens}; allowed for the weights in {weights}: at most {most}, because their "
            "position embedding (LongRoPE) changes there"
        )


def _required(env: Mapping[str, str], name: str, hint: str | None = None) -> str:
    value = env.get(name, "").strip()
    if not value:
        raise SettingsError(f"{name} is not set" + (f" ({hint})" if hint else ""))
    return value


def _whole_number(env: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    text = env.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
        raise SettingsError(f"{name} is {text!r}; allowed: a whole number from 1 to {most}")
    return int(text)


def _version(file: Path) -> str:
    try:
        version = json.loads(file.read_bytes())["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f'{file} must contain {{"version": "…"}} ({type(error).__name__})'
        raise SettingsError(f"MODEL_VERSION_FILE: {problem}") from error
    if not isinstance(version, str) or not version:
        raise SettingsError(f"MODEL_VERSION_FILE: the version in {file} must be a non-empty string")
    return version
