import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from snack_worker.settings import MODEL_PLANS, OwnEngine, SettingsError, read_settings

from .worker_environment import MODEL, MODELS, VERSION, environment


def test_settings_contain_the_values_of_the_environment_and_the_defaults(tmp_path: Path) -> None:
    settings = read_settings(environment(tmp_path))
    assert (settings.model, settings.plan, settings.version) == (MODEL, MODEL_PLANS[MODEL], VERSION)
    assert settings.engine_base_url == "http://127.0.0.1:8000/v1"
    assert settings.engine_health_url == "http://127.0.0.1:8000/health"
    assert settings.max_concurrency == 32
    assert list(settings.ticket_keys) == ["k1"]


@pytest.mark.parametrize("model", MODELS)
def test_settings_contain_the_plan_of_the_model_from_the_contract(tmp_path: Path, model: str) -> None:
    assert read_settings(environment(tmp_path, MODEL=model)).plan == MODEL_PLANS[model]


@pytest.mark.parametrize("name", ["MODEL", "TICKET_ISSUER", "TICKET_JWKS"])
def test_error_names_a_missing_variable(tmp_path: Path, name: str) -> None:
    env = environment(tmp_path)
    del env[name]
    with pytest.raises(SettingsError, match=f"^{name} is not set$"):
        read_settings(env)


def test_worker_starts_an_engine_when_engine_base_url_is_not_set(tmp_path: Path) -> None:
    env = environment(tmp_path, WEIGHTS="baked", QUANTIZATION="fp8_per_tensor", ENGINE_PORT="8001")
    assert read_settings(env).own_engine is None
    del env["ENGINE_BASE_URL"]
    settings = read_settings(env)
    assert settings.engine_base_url == "http://127.0.0.1:8001/v1"
    assert settings.own_engine == OwnEngine(
        port=8001, weights=Path("/models/weights"), quantization="fp8_per_tensor", health_every_s=5
    )
    assert settings.tokenizer_file == Path("/models/weights/tokenizer.json")


_INVALID_ENGINES = [
    ({}, "WEIGHTS is not set (set WEIGHTS to start an engine, or ENGINE_BASE_URL to use a running engine)"),
    ({"WEIGHTS": "remote"}, "WEIGHTS is 'remote'; allowed: baked, cached"),
    ({"WEIGHTS": "cached"}, "MODEL_ID is not set"),
    ({"WEIGHTS": "cached", "MODEL_ID": "a/b"}, "MODEL_REVISION is not set"),
    ({"WEIGHTS": "baked", "ENGINE_PORT": "0"}, "ENGINE_PORT is '0'; allowed: a whole number from 1 to 65535"),
    ({"WEIGHTS": "baked", "ENGINE_HEALTH_EVERY_S": ""}, "ENGINE_HEALTH_EVERY_S is ''; allowed: a whole number"),
]


@pytest.mark.parametrize(("overrides", "message"), _INVALID_ENGINES, ids=[message for _, message in _INVALID_ENGINES])
def test_error_names_a_missing_or_invalid_engine_variable(
    tmp_path: Path, overrides: dict[str, str], message: str
) -> None:
    env = environment(tmp_path, **overrides)
    del env["ENGINE_BASE_URL"]
    with pytest.raises(SettingsError) as caught:
        read_settings(env)
    assert str(caught.value).startswith(message)


_ROPE = {"type": "longrope", "short_factor": [1.0, 1.1], "long_factor": [1.0, 4.2]}
_LONG_ROPES = {
    "Phi-3.5": {"original_max_position_embeddings": 4_096, "rope_scaling": _ROPE},
    "transformers 5": {"rope_parameters": {**_ROPE, "original_max_position_embeddings": 4_096}},
}


@pytest.mark.parametrize("name", _LONG_ROPES)
def test_context_is_rejected_when_the_position_embedding_would_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("snack_worker.settings.BAKED_WEIGHTS", tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(_LONG_ROPES[name]))
    env = environment(tmp_path, WEIGHTS="baked", CONTEXT_TOKENS="4096")
    del env["ENGINE_BASE_URL"]
    assert read_settings(env).context_tokens == 4_096
    with pytest.raises(SettingsError, match=r"^CONTEXT_TOKENS is 4097; allowed for the weights in .+: at most 4096"):
        read_settings({**env, "CONTEXT_TOKENS": "4097"})


@pytest.mark.parametrize("rope", [None, {**_ROPE, "long_factor": [1.0, 1.1]}], ids=["no LongRoPE", "equal factors"])
def test_context_is_not_limited_when_the_position_embedding_never_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rope: object
) -> None:
    monkeypatch.setattr("snack_worker.settings.BAKED_WEIGHTS", tmp_path)
    config = {"original_max_position_embeddings": 4_096, "rope_scaling": rope}
    (tmp_path / "config.json").write_text(json.dumps(config))
    env = environment(tmp_path, WEIGHTS="baked", CONTEXT_TOKENS="8192")
    del env["ENGINE_BASE_URL"]
    assert read_settings(env).context_tokens == 8_192


_PRIVATE = {**OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate(), as_dict=True), "kid": "k1"}


_INVALID_VARIABLES = [
    ("MODEL", "gpt", ", ".join(MODELS)),
    ("TICKET_JWKS", "{", "TICKET_JWKS must be"),
    ("TICKET_JWKS", '{"keys": []}', "non-empty"),
    ("TICKET_JWKS", '{"keys": [{"kty": "RSA", "kid": "k1"}]}', "Ed25519"),
    ("TICKET_JWKS", '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": "??"}]}', "cannot be read"),
    ("TICKET_JWKS", json.dumps({"keys": [_PRIVATE]}), "private key"),
    ("ENGINE_BASE_URL", "http://127.0.0.1:8000", "ending in /v1"),
    ("CONTEXT_TOKENS", "4k", "a whole number from 1 to 1000000"),
    ("MAX_CONCURRENCY", "0", "a whole number from 1 to 256"),
    ("MAX_CONCURRENCY", "many", "a whole number from 1 to 256"),
    ("MODEL_VERSION_FILE", "/nowhere/version.json", "FileNotFoundError"),
]


@pytest.mark.parametrize(
    ("name", "value", "detail"), _INVALID_VARIABLES, ids=[f"{name}: {detail}" for name, _, detail in _INVALID_VARIABLES]
)
def test_error_names_an_invalid_variable_and_the_allowed_values(
    tmp_path: Path, name: str, value: str, detail: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(environment(tmp_path, **{name: value}))
    assert str(caught.value).startswith(name)
    assert detail in str(caught.value)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"version": ""}', '{"version": 1}'],
    ids=["empty file", "list", "no version", "empty version", "number as version"],
)
def test_version_file_without_a_version_is_rejected(tmp_path: Path, content: str) -> None:
    env = environment(tmp_path)
    Path(env["MODEL_VERSION_FILE"]).write_text(content)
    with pytest.raises(SettingsError, match="MODEL_VERSION_FILE"):
        read_settings(env)
