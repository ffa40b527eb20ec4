import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from snack_training.errors import TrainingError
from snack_training.judge import Verdict, combine, compare, judge_at, read_verdict
from snack_training.measurements import Pairwise, PersonaReply
from snack_training.tasks import TASKS, pair


def _reply(name: str, text: str) -> PersonaReply:
    return PersonaReply(name, "talk", "ja", "こんばんは", text, "stop")


@pytest.mark.parametrize(
    ("forward", "backward", "score"),
    [
        ("first", "second", 1),
        ("second", "first", -1),
        # Here the judge prefers a position, not a reply.
        ("first", "first", 0),
        ("second", "second", 0),
        ("first", "tie", 0),
        ("tie", "tie", 0),
        ("first", "unreadable", None),
        ("unreadable", "tie", None),
    ],
)
def test_preference_counts_only_when_both_orders_agree(forward: Verdict, backward: Verdict, score: int | None) -> None:
    assert combine(forward, backward) == score


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [("1", "first"), ("「２」。", "second"), ("「同じ」", "tie"), ("返事1", "unreadable"), ("None", "unreadable")],
)
def test_answer_of_the_judge_is_unreadable_when_it_is_not_1_2_or_same(answer: str, verdict: Verdict) -> None:
    assert read_verdict(answer) == verdict


@pytest.fixture
async def judge_url() -> AsyncIterator[str]:
    """Runs a judge that prefers a reply with 良. The first answer of the judge is an error 503."""
    calls = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        if calls == 1:
            return web.Response(status=503)
        if request.headers["authorization"] == "Bearer without-credit":
            return web.json_response({"error": {"message": "no credit"}})
        if request.headers["authorization"] != "Bearer key":
            return web.Response(status=401)
        question = (await request.json())["messages"][0]["content"]
        first, second = question.split("返事1: ")[1].split("返事2: ")
        verdict = "同じ" if ("良" in first) == ("良" in second) else "1" if "良" in first else "2"
        return web.json_response({"choices": [{"message": {"content": verdict}}]})

    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}/v1"
    await runner.cleanup()


async def test_judge_compares_the_replies_to_the_same_prompts(judge_url: str) -> None:
    candidate = [_reply("a", "良"), _reply("b", "悪"), _reply("c", "良"), _reply("d", "良")]
    serving = [_reply("a", "悪"), _reply("b", "良"), _reply("c", "良")]
    assert await compare(candidate, serving, judge_at(judge_url, "judge", "key")) == Pairwise(1, 1, 1)


async def test_comparison_fails_when_the_judge_refuses_the_key(judge_url: str) -> None:
    with pytest.raises(TrainingError, match="did not answer: HTTP 401"):
        await compare([_reply("a", "良")], [_reply("a", "悪")], judge_at(judge_url, "judge", "wrong"))


@pytest.mark.parametrize("unread", [2, 3])
async def test_comparison_counts_unread_pairs_and_fails_above_ten_percent(unread: int) -> None:
    replies = [_reply(str(index), str(index)) for index in range(20)]

    async def ask(_prompt: str, first: str, _second: str) -> Verdict:
        if first == "0":
            raise TrainingError("the judge did not answer: HTTP 400")
        return "unreadable" if int(first) < unread else "tie"

    if unread == 2:
        assert await compare(replies, replies, ask) == Pairwise(wins=0, ties=18, losses=0, unread=2)
    else:
        with pytest.raises(TrainingError, match="3 of 20 pairs have no readable answer"):
            await compare(replies, replies, ask)


async def test_error_names_the_cause_when_the_judge_answers_200_without_choices(judge_url: str) -> None:
    with pytest.raises(TrainingError, match="HTTP 200 without choices"):
        await judge_at(judge_url, "judge", "without-credit")("こんばんは", "良", "悪")


def test_scores_of_both_models_are_paired_by_task(tmp_path: Path) -> None:
    for name, score in (("new", 0.71), ("old", 0.735)):
        results = {task: {metric: score} for task, metric in TASKS.items()}
        (tmp_path / name).write_text(json.dumps({"results": results}))
    assert pair(tmp_path / "new", tmp_path / "old") == {task: (71.0, 73.5) for task in TASKS}


def test_error_names_a_missing_task(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text('{"results": {}}')
    with pytest.raises(TrainingError, match="has no acc,none of the task jcommonsenseqa_parquet"):
        pair(file, file)
