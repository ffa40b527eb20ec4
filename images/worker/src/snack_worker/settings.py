"""What the worker reads from its environment, in one place and before anything slow is imported."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .tickets import TicketKeys, parse_jwks

# The plan each model serves; also the closed list of models.
PLANS = {"phi3": "free", "mistral": "paid"}


class SettingsError(Exception):
    """A missing or invalid environment variable; the text names it and says what is allowed."""


@dataclass(frozen=True)
class Settings:
    """Everything the worker is told from outside."""

    model: str
    """`phi3` or `mistral`: the engine's model name and the audience of accepted tickets."""
    plan: str
    """The plan that model serves: `free` or `paid`."""
    version: str
    """Version of the weights, from the file baked beside them."""
    ticket_issuer: str
    """`snack-misaki/<stack>`."""
    ticket_keys: TicketKeys
    engine_base_url: str
    """OpenAI-compatible base, ending in `/v1`."""
    engine_start_limit_s: float
    """How long the engine may take to become healthy."""
    max_concurrency: int
    """Jobs worked on at once."""

    @property
    def engine_health_url(self) -> str:
        """`/health` sits beside `/v1`, not under it."""
        return self.engine_base_url.removesuffix("/v1") + "/health"


def read_settings(env: Mapping[str, str]) -> Settings:
    """Reads and checks every variable. Raises SettingsError for the first one that is missing or wrong."""
    model = _required(env, "MODEL")
    if model not in PLANS:
        raise SettingsError(f"MODEL is {model!r}; allowed: {', '.join(PLANS)}")

    issuer = _required(env, "TICKET_ISSUER")
    try:
        keys = parse_jwks(_required(env, "TICKET_JWKS"))
    except ValueError as error:
        raise SettingsError(f"TICKET_JWKS must be a JSON Web Key Set of Ed25519 public keys: {error}") from error

    base_url = env.get("ENGINE_BASE_URL", "http://127.0.0.1:8000/v1").rstrip("/")
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?/v1", base_url):
        raise SettingsError(f"ENGINE_BASE_URL is {base_url!r}; allowed: an http(s) URL ending in /v1")

    return Settings(
        model=model,
        plan=PLANS[model],
        version=_version(Path(env.get("MODEL_VERSION_FILE", "/models/version.json"))),
        ticket_issuer=issuer,
        ticket_keys=keys,
        engine_base_url=base_url,
        engine_start_limit_s=_whole_number(env, "ENGINE_START_LIMIT_S", default=900, most=3_600),
        max_concurrency=_whole_number(env, "MAX_CONCURRENCY", default=32, most=256),
    )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "").strip()
    if not value:
        raise SettingsError(f"{name} is not set")
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
