"""
The fixtures of `contract/fixtures`, and what keeps an answer from being compatible with the readers of their version:
the rules of `contract/compatibility.ts`, for what the handler itself yields.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).parents[3] / "contract" / "fixtures"
MAX_TOKENS = 512


@dataclass(frozen=True)
class Fixture:
    """One request, and what must come of it."""

    version: str
    name: str
    request: Mapping[str, Any]
    """The job's `input`, as RunPod hands it to the worker."""
    expect: Mapping[str, Any]

    @property
    def is_openai(self) -> bool:
        """Whether it is of the OpenAI route."""
        return "openai_route" in self.request

    @property
    def asked(self) -> Mapping[str, Any]:
        """The request's own fields."""
        body: Mapping[str, Any] = self.request.get("openai_input") or {} if self.is_openai else self.request
        return body

    @property
    def streamed(self) -> bool:
        """Whether it asks for a stream."""
        return self.asked.get("stream") is True if self.is_openai else self.asked.get("stream") is not False


def versions() -> list[str]:
    """The versions there are."""
    return [folder.name for folder in FOLDER.iterdir()]


def read_fixtures() -> list[Fixture]:
    """The fixtures of every version."""
    return [
        _read(file, version) for version in versions() for file in sorted((FOLDER / version).glob("*/*.json"))
        if file.parent.name != "shapes"
    ]  # fmt: skip


def _read(file: Path, version: str) -> Fixture:
    content = json.loads(file.read_bytes())
    request = content.get("input") or {"openai_route": content["route"], "openai_input": content.get("body", {})}
    return Fixture(version, f"{version}/{file.parent.name}/{file.stem}", request, content["expect"])


def read_codes(version: str) -> dict[str, dict[str, Any]]:
    """What a version's error codes mean."""
    codes: dict[str, dict[str, Any]] = json.loads((FOLDER / version / "errors.json").read_bytes())
    return codes


def filled(fixture: Fixture, values: Mapping[str, Any]) -> Fixture:
    """The fixture with `values` in place of the placeholders of those names."""

    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: fill(field) for name, field in value.items()}
        if isinstance(value, list):
            return [fill(item) for item in value]
        if isinstance(value, str) and "$" in value:
            return values[value] if value in values else value.replace("$MODEL", values["$MODEL"])
        return value

    return Fixture(fixture.version, fixture.name, fill(fixture.request), fixture.expect)


def incompatibilities(fixture: Fixture, items: list[Any], *, model: str, max_tokens: int) -> list[str]:
    """What is not compatible in what the handler yielded. `max_tokens` is the ticket's limit."""
    params = fixture.asked if fixture.is_openai else fixture.asked.get("params", {})
    asked = params.get("max_completion_tokens", params.get("max_tokens", MAX_TOKENS))
    rules = _Rules(fixture, model, min(asked, max_tokens, MAX_TOKENS))
    failure = items[-1].get("error") if items and isinstance(items[-1], dict) else None
    if "error" in fixture.expect:
        problems = rules.error(items[:-1], failure)
    elif failure is not None:
        problems = iter([f"an error: {failure}"])
    elif not fixture.is_openai:
        problems = rules.own(items)
    elif fixture.streamed:
        problems = rules.events(items)
    else:
        problems = rules.openai(items)
    return sorted(set(problems))


@dataclass(frozen=True)
class _Rules:
    fixture: Fixture
    model: str
    allowed_tokens: int

    def own(self, items: list[Any]) -> Iterator[str]:
        *deltas, done = items
        for delta in deltas:
            yield from self._shape("stream-item", delta)
        yield from self._shape("worker-output", done)
        yield from _unless(done.get("done") is True, "the last item has no done: true")
        yield from _unless(not any("done" in delta for delta in deltas), "an item before the last is done")
        yield from _unless(all(delta.get("delta") for delta in deltas), "an empty delta")
        yield from _unless(bool(deltas) is self.fixture.streamed, "deltas exactly where they are asked for")
        if deltas:
            said = "".join(str(delta.get("delta")) for delta in deltas)
            yield from _unless(said == done.get("text"), "text is not all the deltas")
        yield from _unless(bool(done.get("text")), "an empty reply")
        yield from self._usage(done.get("usage", {}))
        yield from self._finish(done.get("finish_reason"))
        named = _mapping(done.get("model"))
        yield from _unless(named.get("name") == self.model, "model.name is not the model's")
        plan = "free" if self.model == "phi3" else "paid"
        yield from _unless(named.get("plan") == plan, "model.plan is not the model's")
        yield from _unless(bool(named.get("version")), "model.version is empty")
        timings = done.get("timings", {})
        first_ms, total_ms = timings.get("ttft_ms", 0), timings.get("total_ms", 0)
        if isinstance(first_ms, float | int) and isinstance(total_ms, float | int):
            yield from _unless(0 < first_ms <= total_ms, "ttft_ms is not between 0 and total_ms")
            yield from _unless(total_ms >= 1, "total_ms is not in milliseconds")

    def openai(self, items: list[Any]) -> Iterator[str]:
        yield from _unless(len(items) == 1, "not one object")
        answer = items[0]
        match self.fixture.expect["reply"]:
            case "models":
                yield from self._shape("model-list", answer)
                yield from _unless(
                    _first(answer.get("data")).get("id") == self.model, "the model is not the endpoint's"
                )
            case "model":
                yield from self._shape("model", answer)
                yield from _unless(answer.get("id") == self.model, "the model is not the endpoint's")
            case _:
                yield from self._shape("chat-completion", answer)
                yield from self._about(answer)
                choice = _first(answer.get("choices"))
                yield from _unless(bool(_mapping(choice.get("message")).get("content")), "an empty reply")
                yield from self._finish(choice.get("finish_reason"))
                yield from self._openai_usage(answer.get("usage"))

    def events(self, items: list[Any]) -> Iterator[str]:
        whole = all(isinstance(item, str) and item.startswith("data: ") and item.endswith("\n\n") for item in items)
        yield from _unless(whole, "an item that does not hold whole events")
        *chunks, last = _event_data(items)
        yield from _unless(last == "[DONE]", "the last event is not [DONE]")
        for chunk in chunks:
            yield from self._shape("chat-completion-chunk", chunk)
            yield from self._about(chunk)
        yield from _unless(len({chunk.get("id") for chunk in chunks}) == 1, "events with different ids")
        choices = [choice for chunk in chunks for choice in chunk.get("choices", [])]
        deltas = [choice.get("delta", {}) for choice in choices]
        first, *others = [delta.get("role") for delta in deltas] or [None]
        yield from _unless(first == "assistant" and not any(others), "the role is not in the first event alone")
        yield from _unless(any(delta.get("content") for delta in deltas), "an empty reply")
        *before, reason = [choice.get("finish_reason") for choice in choices] or [None]
        yield from _unless(not any(before), "a finish_reason before the end")
        yield from self._finish(reason)
        if self.fixture.asked.get("stream_options", {}).get("include_usage"):
            yield from _unless(chunks[-1].get("choices") == [], "the last event has a choice beside the usage")
            others_null = all("usage" in chunk and chunk["usage"] is None for chunk in chunks[:-1])
            yield from _unless(others_null, "usage that is not null before the last event")
            yield from self._openai_usage(chunks[-1].get("usage"))
        else:
            yield from _unless(not any(chunk.get("usage") for chunk in chunks), "usage that was not asked for")

    def error(self, items: list[Any], failure: object) -> Iterator[str]:
        if not isinstance(failure, str):
            yield "no error in the contract's form"
            return
        body = json.loads(failure)
        if self.fixture.is_openai:
            streamed = [body] if self.fixture.streamed else []
            yield from _unless(list(_event_data(items)) == streamed, "a stream without the error, or one unasked")
        yield from self._shape("error", body)
        error = body["error"]
        code, names = self.fixture.expect["error"], self.fixture.expect.get("names")
        yield from _unless(error.get("code") == code, f"the code is not {code}")
        retryable = read_codes(self.fixture.version)[code]["retryable"]
        yield from _unless(error.get("retryable") is retryable, "retryable is not the code's")
        yield from _unless(bool(error.get("message")), "an empty message")
        if self.fixture.is_openai:
            yield from _unless("param" in error and error["param"] == names, "param does not name the field")
            yield from _unless(bool(error.get("type")), "no type")
        elif names:
            yield from _unless(error.get("message", "").startswith(f"{names}: "), f"the message does not name {names}")

    def _about(self, answer: Mapping[str, Any]) -> Iterator[str]:
        yield from _unless(answer.get("model") == self.model, "model is not the model's")
        yield from _unless(bool(answer.get("id")), "id is empty")
        yield from _unless(bool(answer.get("system_fingerprint")), "system_fingerprint is empty")

    def _openai_usage(self, value: object) -> Iterator[str]:
        usage = dict(_mapping(value))
        cached = _mapping(usage.pop("prompt_tokens_details", None))
        yield from self._usage({**usage, **cached})
        if _numbers(usage):
            total = usage.get("prompt_tokens", 0) + usage.get("completion_tokens", 0)
            yield from _unless(usage.get("total_tokens") == total, "total_tokens is not the sum")

    def _usage(self, usage: Mapping[str, Any]) -> Iterator[str]:
        if not _numbers(usage):
            yield "usage is not numbers"
            return
        prompt, completion = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
        holds = prompt > 0 and usage.get("cached_tokens", 0) <= prompt
        yield from _unless(holds, "prompt_tokens do not hold the persona and what is cached")
        yield from _unless(0 < completion <= self.allowed_tokens, "completion_tokens are not what is allowed")

    def _finish(self, reason: object) -> Iterator[str]:
        due = self.fixture.expect.get("finish_reason")
        yield from _unless(bool(reason), "no finish_reason")
        if due:
            yield from _unless(reason == due, f"finish_reason is not {due}")

    def _shape(self, name: str, value: object) -> Iterator[str]:
        for error in _reader(self.fixture.version, name).iter_errors(value):
            yield f"not a {name}: {error.json_path}: {error.message[:200]}"


@cache
def _reader(version: str, shape: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((FOLDER / version / "shapes" / f"{shape}.schema.json").read_bytes()))


def _unless(holds: bool, problem: str) -> Iterator[str]:
    if not holds:
        yield problem


def _event_data(items: list[Any]) -> Iterator[Any]:
    for data in re.findall(r"^data: (.*)$", "".join(items), re.MULTILINE):
        yield data if data == "[DONE]" else json.loads(data)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _first(value: object) -> Mapping[str, Any]:
    return _mapping(value[0]) if isinstance(value, list) and value else {}


def _numbers(counts: Mapping[str, Any]) -> bool:
    return all(isinstance(count, int) for count in counts.values())


Change = Callable[[dict[str, Any]], dict[str, Any]]
"""What a worker that is not compatible does to its items and errors."""


def changed(items: list[Any], change: Change) -> list[Any]:
    """What such a worker would have yielded."""

    def edit(item: Any) -> Any:
        if isinstance(item, str):
            return re.sub(r"^data: (\{.*)$", lambda found: f"data: {edited(found[1])}", item, flags=re.MULTILINE)
        return {"error": edited(item["error"])} if "error" in item else change(json.loads(json.dumps(item)))

    def edited(text: str) -> str:
        return json.dumps(change(json.loads(text)), ensure_ascii=False)

    return [edit(item) for item in items]
