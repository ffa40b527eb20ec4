"""What the worker reads from its environment, in one place and before anything slow is imported."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from .tickets import TicketKeys, parse_jwks
from .weights import BAKED, CACHE, WeightsError, cached_weights

MODEL_PLANS: dict[str, str] = json.loads(files(__package__).joinpath("contract/models.json").read_bytes())
"""Plan of each model, from the contract. The keys are all allowed models."""


class SettingsError(Exception):
    """A missing or invalid environment variable; the text names it and says what is allowed."""


@dataclass(frozen=True)
class OwnEngine:
    """The engine that the worker starts itself."""

    port: int
    weights: Path
    """Folder of the weights."""
    quantization: str | None
    """As vLLM names it; None loads the weights as they are."""
    health_every_s: float
    """Pause between two looks at its health page once it is up, and how long the page may take."""


@dataclass(frozen=True)
class Settings:
    """Everything the worker is told from outside."""

    model: str
    """`phi3` or `mistral`: the engine's model name and the audience of accepted tickets."""
    plan: str
    """The plan that model serves: `free` or `paid`."""
    version: str
    """Version of the weights, from the file baked beside them."""
    context_tokens: int
    """Longest prompt and reply together."""
    tokenizer_file: Path
    """`tokenizer.json` beside the weights. It may be missing; see tokenizer.py."""
    chat_template_file: Path
    """The chat template the engine was given."""
    ticket_issuer: str
    """`snack-misaki/<stack>`."""
    ticket_keys: TicketKeys
    engine_base_url: str
    """OpenAI-compatible base, ending in `/v1`."""
    engine_start_limit_s: float
    """How long the engine may take to become healthy."""
    own_engine: OwnEngine | None
    """The engine to start at that address; None when one runs there already."""
    max_concurrency: int
    """Jobs worked on at once."""

    @property
    def engine_health_url(self) -> str:
        """`/health` sits beside `/v1`, not under it."""
        return self.engine_base_url.removesuffix("/v1") + "/health"


def read_settings(env: Mapping[str, str]) -> Settings:
    """Reads and checks every variable. Raises SettingsError for the first one that is missing or wrong."""
    model = _required(env, "MODEL")
    if model not in MODEL_PLANS:
        raise SettingsError(f"MODEL is {model!r}; allowed: {', '.join(MODEL_PLANS)}")

    issuer = _required(env, "TICKET_ISSUER")
    try:
        keys = parse_jwks(_required(env, "TICKET_JWKS"))
    except ValueError as error:
        raise SettingsError(f"TICKET_JWKS must be a JSON Web Key Set of Ed25519 public keys: {error}") from error

    engine = None if "ENGINE_BASE_URL" in env else _own_engine(env)
    weights = engine.weights if engine else BAKED
    base_url = f"http://127.0.0.1:{engine.port}/v1" if engine else env["ENGINE_BASE_URL"].rstrip("/")
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?/v1", base_url):
        raise SettingsError(f"ENGINE_BASE_URL is {base_url!r}; allowed: an http(s) URL ending in /v1")

    return Settings(
        model=model,
        plan=MODEL_PLANS[model],
        version=_version(Path(env.get("MODEL_VERSION_FILE", "/models/version.json"))),
        context_tokens=_whole_number(env, "CONTEXT_TOKENS", default=4_096, most=1_000_000),
        tokenizer_file=Path(env.get("TOKENIZER_FILE", weights / "tokenizer.json")),
        chat_template_file=Path(env.get("CHAT_TEMPLATE_FILE", "/models/chat_template.jinja")),
        ticket_issuer=issuer,
        ticket_keys=keys,
        engine_base_url=base_url,
        # RunPod gives up on a worker after seven minutes without a word of why.
        engine_start_limit_s=_whole_number(env, "ENGINE_START_LIMIT_S", default=400, most=3_600),
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
    source = _required(env, "WEIGHTS", "nor ENGINE_BASE_URL, for an engine that runs already")
    if source == "baked":
        return BAKED
    if source != "cached":
        raise SettingsError(f"WEIGHTS is {source!r}; allowed: baked, cached")
    cache = Path(env.get("MODEL_CACHE", CACHE))
    try:
        return cached_weights(cache, _required(env, "MODEL_ID"), _required(env, "MODEL_REVISION"))
    except WeightsError as error:
        raise SettingsError(f"WEIGHTS is 'cached', but {error}") from error


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
        problem = f'{file} must hold {{"version": "…"}} ({type(error).__name__})'
        raise SettingsError(f"MODEL_VERSION_FILE: {problem}") from error
    if not isinstance(version, str) or not version:
        raise SettingsError(f"MODEL_VERSION_FILE: the version in {file} must be a non-empty string")
    return version
