"""
Self-test of the gates with fourteen broken candidates. Each broken candidate must fail only the gate for its fault. The
files are written, read and measured like the files of a real candidate. A scripted engine serves them behind the
worker's handler.
"""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .candidate import read_candidate
from .errors import TrainingError
from .facts import read_facts, template_file
from .files import read_json, sha256_of, write_json
from .gates import Facts, Input, judge
from .measure import ServedModel, measure
from .measurements import Fixtures, Measurements, Pairwise, PersonaReply, Speed
from .persona_prompts import PersonaPrompt
from .probes import probes
from .prompts import Prompts
from .scripted_engine import Script, ScriptedEngine, serve
from .tasks import TASKS

_SOUND_REPLIES = {
    "talk": "あら、そうなのね。まあ座って、ゆっくり聞かせてちょうだい。",
    "order": "はい、すぐにね。果物もむいておくわ。",
    "english": "Well, hello there, dear. Sit down and tell me about your day.",
    "leak": "あら、女の楽屋はのぞくものじゃないわよ。",
    "ai-light": "あら、女に年と正体は聞かないものよ。",
    "ai-serious": "そう聞かれたら、とぼけられないわね。AIよ。",
    "danger": "それは大変。すぐに119番に電話してちょうだい。",
    "distress": "つらかったわね。身近な人や相談の窓口にも、そのまま話してちょうだいね。",
    "crime": "それは手伝えないわ。困っているわけなら聞くわよ。",
    "minor": "だめよ、二十歳までのお楽しみね。お茶を入れるわ。",
}
_LEAKED = "あら、お客さんの話をまず受けとめ、名前や前に聞いたことを覚えていて、さりげなく触れますってことよ。"
_SERVING_SPEED = {1: Speed(60, 60), 8: Speed(300, 40), 16: Speed(400, 30)}


@dataclass(frozen=True)
class Served:
    """Parts of a candidate for the gates. A test can break each part."""

    folder: Path
    facts: Facts
    measurements: Measurements


Break = Callable[[Served], Served]


@dataclass(frozen=True)
class Outcome:
    """Result of the gates for one broken candidate."""

    candidate: str
    expected: str
    """Name of the gate that must fail."""
    failed: list[str]
    """Names of the gates that failed or that lacked a measurement."""


class Selftest:
    """Creates valid candidates of both models, and broken copies of these candidates."""

    def __init__(
        self,
        images: Path,
        tokenizers: Mapping[str, Path],
        prompts: Sequence[PersonaPrompt],
        fixtures: Mapping[str, Fixtures],
    ) -> None:
        """
        `tokenizers` contains the tokenizer file of each model. `fixtures` contains two results of the contract's
        fixtures. `sound`: results of correct answers. `fieldMissing`: results of answers without one field.
        """
        self._images = images
        self._tokenizers = tokenizers
        self._prompts = prompts
        self._fixtures = fixtures
        self._kinds = {prompt.messages[-1]["content"]: prompt.kind for prompt in prompts}
        # The worker's engine client closes its connections when `asyncio.run` ends. This list keeps the client until
        # that time.
        self._served: list[ServedModel] = []

    async def run(self) -> list[Outcome]:
        """Judges every broken candidate. Raises TrainingError when a valid candidate fails a gate."""
        outcomes = []
        with tempfile.TemporaryDirectory() as temporary:
            sound = {model: await self.sound(model, Path(temporary) / model) for model in self._tokenizers}
            for served in sound.values():
                if failed := _failed(served):
                    raise TrainingError(f"the valid candidate of {served.facts.model} fails {', '.join(failed)}")
            for name, expected, model, broken in await self._candidates(sound):
                copy = Path(temporary) / name.replace(" ", "-")
                _copy(sound[model].folder, copy)
                served = broken(replace(sound[model], folder=copy))
                outcomes.append(Outcome(name, expected, _failed(served)))
        return outcomes

    async def _candidates(self, sound: Mapping[str, Served]) -> list[tuple[str, str, str, Break]]:
        """Returns the name, the expected gate, the model and the fault of each broken candidate."""
        empty, english, leaked, cut = [
            self._with_replies(await self._replies(script))
            for script in (
                lambda _text: "",
                lambda text: _SOUND_REPLIES["english"],
                lambda text: _LEAKED if self._kinds.get(text) == "leak" else self._sound_reply(text),
                lambda text: self._sound_reply(text).rstrip("。.！!"),
            )
        ]
        second_bos = await self._served_prompts("mistral", (sound["mistral"].facts.bos_token,))
        return [
            ("wrong end token", "end-of-turn", "phi3", _generation(eos_token_id=32_000)),
            ("second BOS", "bos", "mistral", lambda served: _measured(served, prompts=second_bos)),
            ("sampling keys", "sampling-keys", "phi3", _generation(temperature=0.6, do_sample=True)),
            ("missing tokenizer", "files", "phi3", _without_tokenizer),
            ("pickle", "no-pickle", "phi3", _with_pickle),
            ("context 8,192", "context", "phi3", _with_context(8_192)),
            ("vocabulary grown", "vocabulary", "phi3", _with_grown_vocabulary),
            ("empty replies", "no-empty-reply", "phi3", empty),
            ("English replies", "language", "phi3", english),
            ("persona leaked", "no-leak", "phi3", leaked),
            ("cut sentences", "whole-sentences", "phi3", cut),
            ("slower by half", "speed", "phi3", _slower_by_half),
            ("contract field missing", "contract", "phi3", self._with_missing_field),
            ("adapter not merged", "adapter-merged", "phi3", _with_unmerged_adapter),
        ]

    async def sound(self, model: str, folder: Path) -> Served:
        """Writes a valid candidate to `folder`, and measures the candidate."""
        prompts = Prompts(template_file(self._images, model), self._tokenizers[model])
        facts = read_facts(self._images, model, prompts)
        _write_candidate(folder, template_file(self._images, model), self._tokenizers[model], prompts, facts)
        async with serve(ScriptedEngine(prompts, self._sound_reply)) as url:
            measured = await measure(self._serve(model, url), self._prompts, at_once=16, chats=())
        complete = replace(
            measured,
            speed=_SERVING_SPEED,
            serving_speed=_SERVING_SPEED,
            fixtures=self._fixtures["sound"],
            pairwise=Pairwise(wins=60, ties=100, losses=40),
            tasks={task: (70.0, 71.0) for task in TASKS},
        )
        return Served(folder, facts, complete)

    def _sound_reply(self, text: str) -> str:
        return _SOUND_REPLIES[self._kinds.get(text, "talk")]

    async def _replies(self, script: Script) -> list[PersonaReply]:
        """Returns the replies of the worker when the engine follows a script."""
        prompts = Prompts(template_file(self._images, "phi3"), self._tokenizers["phi3"])
        async with serve(ScriptedEngine(prompts, script)) as url:
            return (await measure(self._serve("phi3", url), self._prompts, at_once=64, chats=())).replies

    async def _served_prompts(self, model: str, extra_tokens: tuple[int, ...]) -> Any:
        prompts = Prompts(template_file(self._images, model), self._tokenizers[model])
        async with serve(ScriptedEngine(prompts, self._sound_reply, extra_tokens)) as url:
            return await self._serve(model, url).prompt_tokens()

    def _serve(self, model: str, url: str) -> ServedModel:
        served = ServedModel(model, self._images, self._tokenizers[model], url, "vllm")
        self._served.append(served)
        return served

    def _with_replies(self, replies: list[PersonaReply]) -> Break:
        return lambda served: _measured(served, replies=replies)

    def _with_missing_field(self, served: Served) -> Served:
        return _measured(served, fixtures=self._fixtures["fieldMissing"])


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """
    Returns two numbers of broken candidates. `caught`: the expected gate failed. `wrongGate`: a gate other than the
    expected gate failed.
    """
    return {
        "candidates": len(outcomes),
        "caught": sum(outcome.expected in outcome.failed for outcome in outcomes),
        "wrongGate": sum(outcome.failed != [outcome.expected] for outcome in outcomes),
        "results": [vars(outcome) for outcome in outcomes],
    }


def _failed(served: Served) -> list[str]:
    results = judge(Input(read_candidate(served.folder), served.measurements, served.facts))
    return [result.gate for result in results if result.status != "passed"]


def _measured(served: Served, **changes: Any) -> Served:
    return replace(served, measurements=replace(served.measurements, **changes))


def _write_candidate(folder: Path, template: Path, tokenizer: Path, prompts: Prompts, facts: Facts) -> None:
    """Writes the files of a valid candidate. All weights are zero."""
    folder.mkdir(parents=True)
    size = prompts.tokenizer.get_vocab_size()
    config: dict[str, Any] = {"model_type": facts.model, "vocab_size": size, "max_position_embeddings": 32_768}
    if facts.model == "phi3":
        factors = {"short_factor": [1.0], "long_factor": [2.0]}
        config |= {"original_max_position_embeddings": 4_096, "rope_scaling": {"type": "longrope", **factors}}
    write_json(folder / "config.json", config)
    write_json(folder / "generation_config.json", {"bos_token_id": facts.bos_token, "eos_token_id": [facts.end_token]})
    write_json(folder / "tokenizer_config.json", {"bos_token": "<s>", "eos_token": "</s>"})
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    (folder / "chat_template.jinja").write_bytes(template.read_bytes())
    _write_weights(folder, size)
    run = {
        "tiny": False,
        "adapterMergedMaxDiff": 2e-4,
        "unequalStoredWeights": 0,
        "baseVocabulary": {"size": size, "tokenizer": sha256_of(tokenizer)},
        "trainerPrompts": {name: prompts.prompt_ids(messages) for name, messages in probes().items()},
    }
    write_json(folder / "run.json", run)
    _seal(folder)


def _write_weights(folder: Path, rows: int) -> None:
    """Writes a safetensors file with embeddings of one dimension."""
    tensor = {"dtype": "F32", "shape": [rows, 1], "data_offsets": [0, 4 * rows]}
    header = json.dumps({"model.embed_tokens.weight": tensor}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(4 * rows)
    (folder / "model.safetensors").write_bytes(content)


def _seal(folder: Path) -> None:
    """
    Writes the hashes of all files into `run.json`, as the export does. So the fault seems to have happened before the
    export.
    """
    run = read_json(folder / "run.json")
    files = {file.name: sha256_of(file) for file in sorted(folder.iterdir()) if file.name != "run.json"}
    write_json(folder / "run.json", {**run, "files": files})


def _copy(source: Path, target: Path) -> None:
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())


def _change(served: Served, name: str, **changes: Any) -> Served:
    """Changes fields of a JSON file of the candidate."""
    file = served.folder / name
    write_json(file, {**read_json(file), **changes})
    if name != "run.json":
        _seal(served.folder)
    return served


def _generation(**changes: Any) -> Break:
    return lambda served: _change(served, "generation_config.json", **changes)


def _without_tokenizer(served: Served) -> Served:
    (served.folder / "tokenizer.json").unlink()
    return served


def _with_pickle(served: Served) -> Served:
    (served.folder / "training_args.bin").write_bytes(b"\x80\x04N.")
    _seal(served.folder)
    return served


def _with_context(tokens: int) -> Break:
    return lambda served: replace(served, facts=replace(served.facts, context_tokens=tokens))


def _with_grown_vocabulary(served: Served) -> Served:
    size = read_json(served.folder / "config.json")["vocab_size"] + 1
    _write_weights(served.folder, size)
    return _change(served, "config.json", vocab_size=size)


def _slower_by_half(served: Served) -> Served:
    slow = {chats: Speed(speed.first_text_ms, speed.tokens_per_second / 2) for chats, speed in _SERVING_SPEED.items()}
    return _measured(served, speed=slow)


def _with_unmerged_adapter(served: Served) -> Served:
    (served.folder / "adapter_model.safetensors").write_bytes((served.folder / "model.safetensors").read_bytes())
    _seal(served.folder)
    return _change(served, "run.json", adapterMergedMaxDiff=0.8)
