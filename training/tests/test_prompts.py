from collections.abc import Mapping
from pathlib import Path

import pytest

from snack_training.errors import TrainingError
from snack_training.probes import probes
from snack_training.prompts import Prompts

from .conftest import IMAGES, MODELS

_CHAT = [
    {"role": "system", "content": "あなたは美砂樹ママです。"},
    {"role": "user", "content": "こんばんは"},
    {"role": "assistant", "content": "あら、いらっしゃい。"},
    {"role": "user", "content": "ただいま"},
    {"role": "assistant", "content": "おかえりなさい。"},
]


@pytest.mark.parametrize("model", MODELS)
def test_mask_contains_only_the_replies_with_their_end_of_turn_token(
    model: str, prompts: Mapping[str, Prompts]
) -> None:
    given = prompts[model]
    tokens = given.training_tokens(_CHAT)
    learned = [token for token, kept in zip(tokens.ids, tokens.mask, strict=True) if kept]
    assert learned.count(given.end_token) == 2
    text = given.tokenizer.decode(learned, skip_special_tokens=True).replace("▁", " ")
    assert "".join(text.split()) == "あら、いらっしゃい。おかえりなさい。"


@pytest.mark.parametrize("model", MODELS)
def test_training_text_begins_with_the_prompt_that_the_worker_sends(model: str, prompts: Mapping[str, Prompts]) -> None:
    prompt = prompts[model].prompt_ids(_CHAT[:2])
    assert prompts[model].training_tokens(_CHAT).ids[: len(prompt)] == prompt


@pytest.mark.parametrize("model", MODELS)
def test_template_is_refused_when_its_mask_lacks_the_end_of_turn_token(
    model: str, prompts: Mapping[str, Prompts], tokenizers: Mapping[str, Path], tmp_path: Path
) -> None:
    template = tmp_path / "chat_template.jinja"
    source = (IMAGES / model / "chat_template.jinja").read_text(encoding="utf-8")
    end = prompts[model].end_of_turn
    outside = {
        "phi3": source.replace("+ '<|end|>' -%}", "-%}").replace("{{- '\\n' -}}", "{{- '<|end|>\\n' -}}"),
        "mistral": source.replace(" + eos_token -}}", " -}}").replace(
            "{%- endgeneration -%}", "{%- endgeneration -%}{{- eos_token -}}"
        ),
    }[model]
    assert outside != source
    template.write_text(outside, encoding="utf-8")
    broken = Prompts(template, tokenizers[model])
    assert broken.end_of_turn == end
    with pytest.raises(TrainingError, match="does not end with"):
        broken.training_tokens(_CHAT)


def test_tokenizer_is_refused_when_it_lacks_the_end_of_turn_token(tokenizers: Mapping[str, Path]) -> None:
    with pytest.raises(TrainingError, match=r"has no token <\|end\|>"):
        Prompts(IMAGES / "phi3" / "chat_template.jinja", tokenizers["mistral"])


@pytest.mark.parametrize(("model", "count"), [("phi3", 0), ("mistral", 1)])
def test_every_probe_has_the_number_of_bos_tokens_of_the_model(
    model: str, count: int, prompts: Mapping[str, Prompts]
) -> None:
    bos = prompts[model].tokenizer.encode("<s>", add_special_tokens=False).ids[0]
    assert {prompts[model].prompt_ids(messages).count(bos) for messages in probes().values()} == {count}
