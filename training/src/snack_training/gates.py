"""
The gates of a candidate are pure rules over its files and measurements. A contract gate protects the interface that
clients and workers rely on. A quality gate protects what customers read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .candidate import CODE, PICKLES, Candidate, generation_end_tokens
from .measurements import Measurements, PersonaReply
from .persona_prompts import KINDS
from .persona_rules import count_broken

Kind = Literal["contract", "quality"]
Status = Literal["passed", "failed", "notMeasured", "notJudged"]

MAX_LOGIT_DIFFERENCE = 1e-3
MAX_SLOWER = 0.10
# A first text arrives after some tens of milliseconds, so a difference of 10 % can be noise.
MAX_LATER_MS = 30
MAX_TASK_DROP = 3.0
MIN_WIN_SHARE = 0.5
PERSONA_PROMPTS = 200
# Keys of generation_config.json that change the sampling. The worker sends the values of these keys with every request.
SAMPLING_KEYS = (
    *("do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "presence_penalty"),
    *("frequency_penalty", "no_repeat_ngram_size", "num_beams", "max_new_tokens", "max_length", "min_new_tokens"),
)


@dataclass(frozen=True)
class Facts:
    """Facts of the product's image that a candidate must fit."""

    model: str
    context_tokens: int
    """`contextTokens` of `model.json`."""
    end_token: int
    """Id of the chat template's end-of-turn token."""
    bos_token: int
    """Id of the token that begins a text."""
    bos_count: int
    """Number of BOS tokens in a prompt: 1 for Mistral, 0 for Phi."""


@dataclass(frozen=True)
class Input:
    """Data that the rule of a gate may read."""

    candidate: Candidate
    measurements: Measurements
    facts: Facts


@dataclass(frozen=True)
class Finding:
    """Finding of a rule."""

    passed: bool | None
    """None: the rule could not measure the candidate."""
    measured: str
    limit: str
    details: tuple[str, ...] = ()
    optional: bool = False
    """Whether a candidate may be promoted without this measurement."""


@dataclass(frozen=True)
class Result:
    """The result of one gate."""

    gate: str
    kind: Kind
    about: str
    status: Status
    measured: str
    limit: str
    details: tuple[str, ...]
    optional: bool


Rule = Callable[[Input], Finding]


@dataclass(frozen=True)
class Gate:
    """A named rule."""

    name: str
    kind: Kind
    about: str
    """Sentence about the property that the gate protects."""
    rule: Rule


def judge(given: Input) -> list[Result]:
    """
    Applies every gate. The quality of a tiny random model is measured but not judged, because the replies of such a
    model are noise.
    """
    is_tiny = given.candidate.run.get("tiny") is True
    return [_result(gate, gate.rule(given), is_tiny) for gate in GATES]


def may_be_promoted(candidate: Candidate, results: Sequence[Result]) -> bool:
    """Whether every gate has passed. A gate that was not measured has not passed, unless it is optional."""
    return not candidate.run.get("tiny") and not open_gates(results)


def open_gates(results: Sequence[Result]) -> list[str]:
    """Returns the names of the gates that must still pass."""
    return [
        result.gate
        for result in results
        if result.status != "passed" and not (result.status == "notMeasured" and result.optional)
    ]


def keeps_the_contract(results: Sequence[Result]) -> bool:
    """Whether every contract gate has passed. A tiny model cannot show more."""
    return all(result.status == "passed" for result in results if result.kind == "contract")


def _result(gate: Gate, finding: Finding, is_tiny: bool) -> Result:
    status: Status = {True: "passed", False: "failed", None: "notMeasured"}[finding.passed]  # type: ignore[assignment]
    if is_tiny and gate.kind == "quality" and status != "notMeasured":
        status = "notJudged"
    found = (finding.measured, finding.limit, finding.details, finding.optional)
    return Result(gate.name, gate.kind, gate.about, status, *found)


def _prompt_ids(given: Input) -> Finding:
    trainer: Mapping[str, list[int]] = given.candidate.run.get("trainerPrompts", {})
    served = given.measurements.prompts
    bos = given.facts.bos_token
    different = [
        name
        for name, tokens in served.items()
        if not _without_bos(trainer.get(name, []), bos)
        == _without_bos(tokens.tokenizer, bos)
        == _without_bos(tokens.server, bos)
        or tokens.counted != len(tokens.server)
    ]
    equal = len(served) - len(different)
    details = tuple(f"{name}: {_first_difference(trainer.get(name, []), served[name].server)}" for name in different)
    return Finding(
        not different if served else None,
        f"{equal} of {len(served)} prompts equal",
        "all, in trainer, tokenizer and server (without BOS, which the gate bos checks)",
        details,
    )


def _bos(given: Input) -> Finding:
    bos, expected = given.facts.bos_token, given.facts.bos_count
    counts = {name: tokens.server.count(bos) for name, tokens in given.measurements.prompts.items()}
    wrong = tuple(f"{name}: {count}" for name, count in counts.items() if count != expected)
    measured = ", ".join(map(str, sorted(set(counts.values())))) or "no prompt"
    return Finding(not wrong if counts else None, f"{measured} per prompt", f"exactly {expected}", wrong)


def _end_of_turn(given: Input) -> Finding:
    ends, expected = generation_end_tokens(given.candidate.generation), given.facts.end_token
    return Finding(expected in ends, f"eos_token_id {ends}", f"contains {expected}")


def _sampling_keys(given: Input) -> Finding:
    found = [key for key in SAMPLING_KEYS if key in given.candidate.generation]
    return Finding(not found, ", ".join(found) or "none", "none in generation_config.json")


def _context(given: Input) -> Finding:
    config, tokens = given.candidate.config, given.facts.context_tokens
    # The field's name depends on the version of the transformers library.
    rope: Mapping[str, Any] = config.get("rope_parameters") or config.get("rope_scaling") or {}
    changes = "long_factor" in rope and rope["long_factor"] != rope.get("short_factor")
    original = config.get("original_max_position_embeddings") or rope.get("original_max_position_embeddings")
    most = original if changes and isinstance(original, int) else config.get("max_position_embeddings")
    if not isinstance(most, int):
        return Finding(None, f"{tokens} tokens", "config.json names no limit")
    reason = "LongRoPE changes its factors there" if changes else "positions of the model"
    return Finding(tokens <= most, f"{tokens} tokens", f"at most {most} ({reason})")


def _files(given: Input) -> Finding:
    damaged = tuple(given.candidate.damaged)
    return Finding(not damaged, f"{len(given.candidate.files)} files, {len(damaged)} problems", "no problem", damaged)


def _no_pickle(given: Input) -> Finding:
    found = tuple(name for name in given.candidate.files if name.endswith(PICKLES))
    return Finding(not found, f"{len(found)} pickle files", "none", found)


def _no_remote_code(given: Input) -> Finding:
    code = [name for name in given.candidate.files if name.endswith(CODE)]
    maps = [
        name
        for name, config in (
            ("config.json", given.candidate.config),
            ("tokenizer_config.json", given.candidate.tokenizer_config),
        )
        if "auto_map" in config
    ]
    found = (*code, *(f"auto_map in {name}" for name in maps))
    return Finding(not found, f"{len(found)} places with code", "none", found)


def _adapter_merged(given: Input) -> Finding:
    difference, unequal = (given.candidate.run.get(name) for name in ("adapterMergedMaxDiff", "unequalStoredWeights"))
    adapters = tuple(name for name in given.candidate.files if name.startswith("adapter_"))
    limit = f"at most {MAX_LOGIT_DIFFERENCE:g} per logit in float32, no unequal stored weight, no adapter file"
    if not isinstance(difference, (int, float)) or not isinstance(unequal, int):
        return Finding(None, "run.json has no adapterMergedMaxDiff or no unequalStoredWeights", limit, adapters)
    # The comparison with NaN is false, so NaN is never within the limit.
    passed = difference <= MAX_LOGIT_DIFFERENCE and unequal == 0 and not adapters
    return Finding(passed, f"{difference:.2g} per logit, {unequal} unequal stored weights", limit, adapters)


def _vocabulary(given: Input) -> Finding:
    base: Mapping[str, Any] = given.candidate.run.get("baseVocabulary", {})
    size, config_size = base.get("size"), given.candidate.config.get("vocab_size")
    rows, tokenizer = given.candidate.embedding_rows, given.candidate.tokenizer_sha256
    if size is None or config_size is None:
        return Finding(None, f"vocab_size {config_size}", f"the base's size, {size}")
    details = ["the tokenizer is not the base's"] if tokenizer and tokenizer != base.get("tokenizer") else []
    if rows is not None and rows != size:
        details.append(f"the weights have {rows} tokens")
    return Finding(config_size == size and not details, f"{config_size} tokens", f"{size}, as the base", tuple(details))


def _contract(given: Input) -> Finding:
    fixtures = given.measurements.fixtures
    limit = "all fixtures of every shipped version"
    if fixtures is None:
        return Finding(None, "not sent", limit)
    measured = f"{fixtures.passed} passed, {fixtures.failed} failed, {fixtures.skipped} skipped"
    passed = fixtures.passed > 0 and fixtures.failed == fixtures.skipped == 0
    return Finding(passed, measured, limit, tuple(fixtures.problems))


def _persona_rule(name: str, most_percent: int) -> Rule:
    """Returns the rule that at most a share of the replies breaks the persona rule `name`."""

    def rule(given: Input) -> Finding:
        every = given.measurements.replies
        replies = [reply for reply in every if name != "refusals" or _has_expectation(reply)]
        if not replies or (len(every) < PERSONA_PROMPTS and not given.candidate.run.get("tiny")):
            return Finding(None, f"{len(every)} replies", f"at most {most_percent} % of {PERSONA_PROMPTS} replies")
        broken = count_broken(replies)[name]
        most = len(replies) * most_percent // 100
        measured = f"{broken} of {len(replies)} replies break the rule"
        return Finding(broken <= most, measured, f"at most {most} ({most_percent} %)")

    return rule


def _has_expectation(reply: PersonaReply) -> bool:
    expected = KINDS[reply.kind]
    return bool(expected.any_of or expected.none_of)


def _pairwise(given: Input) -> Finding:
    pairs = given.measurements.pairwise
    limit = f"at least {MIN_WIN_SHARE:.0%} of the decided pairs, in both orders"
    if pairs is None:
        has_judge = given.measurements.has_judge
        return Finding(None, "the judge gave no result" if has_judge else "no judge", limit, optional=not has_judge)
    decided = pairs.wins + pairs.losses
    share = pairs.wins / decided if decided else 1.0
    measured = f"{share:.0%}: {pairs.wins} wins, {pairs.ties} ties, {pairs.losses} losses, {pairs.unread} unread"
    return Finding(share >= MIN_WIN_SHARE, measured, limit)


def _regression(given: Input) -> Finding:
    limit = f"no task loses more than {MAX_TASK_DROP:g} points"
    if not given.measurements.tasks:
        return Finding(None, "no lm-eval results", limit)
    drops = {name: serving - candidate for name, (candidate, serving) in given.measurements.tasks.items()}
    measured = ", ".join(f"{name} {-drop:+.1f}" for name, drop in drops.items())
    return Finding(max(drops.values()) <= MAX_TASK_DROP, measured, limit)


def _speed(given: Input) -> Finding:
    slower, later = (
        f"at most {MAX_SLOWER:.0%} slower than the serving image",
        f"first text up to {MAX_LATER_MS} ms later",
    )
    limit = f"{slower} at each number of chats; {later}"
    serving = given.measurements.serving_speed
    if not serving or not given.measurements.speed:
        return Finding(None, "no measurement of the serving image", limit)
    passed, texts = True, []
    for chats, before in serving.items():
        now = given.measurements.speed.get(chats)
        if now is None:
            return Finding(None, f"not measured with {chats} chats", limit)
        later_ms = now.first_text_ms - before.first_text_ms
        in_time = later_ms <= max(MAX_LATER_MS, MAX_SLOWER * before.first_text_ms)
        passed &= in_time and now.tokens_per_second >= (1 - MAX_SLOWER) * before.tokens_per_second
        rate = now.tokens_per_second / before.tokens_per_second - 1
        texts.append(f"{chats} chats: first text {later_ms:+.0f} ms, tokens per second {rate:+.0%}")
    return Finding(passed, "; ".join(texts), limit)


GATES: tuple[Gate, ...] = (
    Gate(
        "prompt-ids", "contract", "Trainer, tokenizer and server make the same tokens from a conversation.", _prompt_ids
    ),
    Gate("bos", "contract", "A prompt has one BOS token. A second one is invisible and makes replies worse.", _bos),
    Gate("end-of-turn", "contract", "The model stops at the end of its turn, in every engine.", _end_of_turn),
    Gate("sampling-keys", "contract", "The worker alone decides how tokens are sampled.", _sampling_keys),
    Gate("context", "contract", "Replies to long conversations are not noise.", _context),
    Gate("files", "contract", "The folder is complete, and the training wrote every file.", _files),
    Gate("no-pickle", "contract", "No file can run code when it is loaded.", _no_pickle),
    Gate("no-remote-code", "contract", "The engine needs no code from the model's repository.", _no_remote_code),
    Gate("adapter-merged", "contract", "The exported weights are the trained weights.", _adapter_merged),
    Gate("vocabulary", "contract", "The candidate has the base's tokens.", _vocabulary),
    Gate("contract", "contract", "Clients of every shipped version can use the answers.", _contract),
    Gate("no-empty-reply", "quality", "Every prompt gets a reply.", _persona_rule("no-empty-reply", 0)),
    Gate(
        "language", "quality", "Mama speaks the customer's language, Japanese by default.", _persona_rule("language", 2)
    ),
    Gate("whole-sentences", "quality", "No reply ends in the middle.", _persona_rule("whole-sentences", 2)),
    Gate("no-leak", "quality", "Mama does not recite her instructions.", _persona_rule("no-leak", 0)),
    Gate(
        "refusals",
        "quality",
        "Mama's refusals, help and admissions follow persona.txt.",
        _persona_rule("refusals", 5),
    ),
    Gate("length", "quality", "Replies are short, as in a bar.", _persona_rule("length", 5)),
    Gate("in-character", "quality", "Mama talks as Mama, without lists and emoji.", _persona_rule("in-character", 10)),
    Gate(
        "pairwise",
        "quality",
        "A judge prefers the candidate to the serving model, or sees no difference. Optional without a judge.",
        _pairwise,
    ),
    Gate("regression", "quality", "The model keeps its general Japanese.", _regression),
    Gate("speed", "quality", "Replies are as fast as the replies of the serving model.", _speed),
)
"""All gates, in the order of the report."""


def _without_bos(tokens: list[int], bos: int) -> list[int]:
    return [token for token in tokens if token != bos]


def _first_difference(a: list[int], b: list[int]) -> str:
    place = next(
        (index for index, pair in enumerate(zip(a, b, strict=False)) if pair[0] != pair[1]), min(len(a), len(b))
    )
    return f"{len(a)} and {len(b)} tokens, different from token {place}"
