"""
Share of prompt tokens that the engine's prefix cache already has, over a chat in Japanese: with our chat templates and
with the models' official formats, counted with their real tokenizers. Prints one JSON object.

The cache works as vLLM's does (V1, on by default): blocks of 16 tokens, found again when everything before them is the
same too. A conversation starts with an empty cache here; a persona that another customer's conversation has left in it
is not counted, nor, in `ours` and `official`, what the model itself generated.
"""

import json
from collections.abc import Callable, Sequence

from snack_worker.chat_input import Message
from snack_worker.chat_template import read_template
from snack_worker.history import conversation
from snack_worker.persona import persona
from tests.real_tokenizers import IMAGES, encode, official

BLOCK_TOKENS = 16
CONTEXT_TOKENS = 4_096
REPLY_TOKENS = 512

# An evening, and the last minutes of one.
EVENING_S = 1_764_072_000  # 2025-11-25 21:00 in Tokyo
CLOSING_S = EVENING_S + 2 * 3_600 - 5 * 60
TURN_S = 60

CHAT = [
    ("こんばんは。はじめて来ました。", "あら、いらっしゃい。よく見つけてくれたわね、こんな路地裏。今夜は甘い桃が入ったのよ。お飲みものは何にする？　まずは水割りかしら。"),
    ("じゃあ薄めの水割りをください。", "はい、薄めね。ゆっくり飲む人は長くいてくれるから、ママは好きよ。氷は大きいのを入れておくわ。桃もひと切れ、どうぞ。"),
    ("今日、仕事で大失敗しちゃって。", "まあ、それはこたえたわね。話すなら聞くし、黙って飲むならそれもいいのよ。失敗の話なら、ママのほうがずっとたくさん持っているんだから。"),
    ("お客さんに間違った見積もりを送ったんです。桁がひとつ違って。", "あらあら、ひと桁。高いほうに間違えたなら度胸があるし、安いほうなら気前がいいのね。それで、相手の方はなんておっしゃったの？"),
    ("笑って許してくれました。でも上司が。", "いいお客さんじゃないの。上司さんは、きっと昔おなじことをした人よ。怒る声の大きさは、自分の失敗の大きさに比例するって言うもの。"),
    ("そうかもしれません。ママは失敗したことありますか？", "そりゃあ、開店の日に看板の字を間違えて「スナックみささ」にしちゃったわよ。三日間、だれも教えてくれなかったの。やさしいんだか意地悪なんだか。"),
    ("はは、元気が出ました。", "よかった。その顔のほうが、ずっといいわ。グラスが空いたけれど、おかわりはどうする？　つぎは烏龍茶にしておいてもいいのよ。"),
    ("もう一杯だけ。あと、何か食べたいな。", "じゃあ水割りをもう一杯と、いちごを切りましょうね。おなかに入れるものなら、焼きうどんがすぐできるわ。玉ねぎは平気？"),
    ("焼きうどん、お願いします。田舎の味がしそう。", "あら、うれしいことを言うのね。母の味つけなのよ、ちょっと甘いの。あなたの田舎はどちら？　焼きうどんに何をかける土地かしら。"),
    ("九州です。鰹節をたっぷり。", "それなら話がはやいわ。鰹節、山にしてあげる。九州の人はお酒が強いって聞くけれど、今夜は二杯でおしまいにしておきなさいな。"),
]  # fmt: skip

Encode = Callable[[Sequence[Message]], list[int]]


def share(model: str, tokens: Encode, *, start_s: float = EVENING_S, generated: bool = False) -> float:
    """Share of all prompts' tokens that is in the cache. `generated` also keeps what the model has written there."""
    cached: set[tuple[int, ...]] = set()
    talk: list[Message] = []
    prompt_tokens = reused_tokens = 0
    for turn, (says, answers) in enumerate(CHAT):
        talk.append({"role": "user", "content": says})
        shown = conversation(
            talk,
            persona(start_s + turn * TURN_S),
            max_tokens=REPLY_TOKENS,
            context_tokens=CONTEXT_TOKENS,
            count=lambda messages: len(tokens(messages)),
        )
        prompt = tokens(shown)
        blocks = [tuple(prompt[:end]) for end in range(BLOCK_TOKENS, len(prompt) + 1, BLOCK_TOKENS)]
        known = next((index for index, block in enumerate(blocks) if block not in cached), len(blocks))
        prompt_tokens += len(prompt)
        reused_tokens += known * BLOCK_TOKENS
        kept = prompt + encode(model, answers) if generated else prompt
        cached.update(tuple(kept[:end]) for end in range(BLOCK_TOKENS, len(kept) + 1, BLOCK_TOKENS))
        talk.append({"role": "assistant", "content": answers})
    return round(reused_tokens / prompt_tokens, 4)


def measure(model: str) -> dict[str, float]:
    """All shares of one model."""
    render = read_template(IMAGES / model / "chat_template.jinja")

    def ours(messages: Sequence[Message]) -> list[int]:
        return encode(model, render(messages))

    def theirs(messages: Sequence[Message]) -> list[int]:
        return official(model, messages)

    return {
        "ours": share(model, ours),
        "official": share(model, theirs),
        "oursAcrossTheHour": share(model, ours, start_s=CLOSING_S),
        "oursWithGenerated": share(model, ours, generated=True),
    }


if __name__ == "__main__":
    print(json.dumps({model: measure(model) for model in ("phi3", "mistral")}))
