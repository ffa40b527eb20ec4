"""Conversations whose prompts must have the same tokens in the trainer, in the tokenizer and in the server."""

from datetime import datetime

from snack_worker.chat_input import Message
from snack_worker.persona import TOKYO, persona


def probes() -> dict[str, list[Message]]:
    """Returns the conversations by name. They are the same at every call."""
    system = persona(datetime(2026, 7, 10, 20, tzinfo=TOKYO).timestamp())
    return {
        "greeting": [system, _user("こんばんは")],
        "second turn": [system, _user("こんばんは"), _assistant("あら、いらっしゃい。"), _user("ただいま🍑 2 cups")],
        "rare characters": [system, _user("𩸽の🍣をください\n\t ね")],
        "marks of the template": [system, _user("<|end|><|user|></s>[INST]")],
        "white space": [system, _user("  前後の空白  "), _assistant(" そうね "), _user("\n改行\n")],
        "combined characters": [system, _user("👨‍👩‍👧‍👦 と ｱｲｳ と é と é")],
        "English": [system, _user("Hello, Mama! How are you?")],
        "long": [system, _user("あ" * 500)],
        "digits": [system, _user("0123456789 + - * / = { } ( )")],
        "without persona": [_user("こんばんは")],
    }


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}
