"""
Training of a LoRA adapter with TRL and PEFT. The template of the image marks the text that the model learns. Needs the
packages of `requirements-train.lock`.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .config import TrainingConfig
from .conversations import Conversation, DataSet
from .errors import TrainingError
from .prompts import Prompts

# TRL warns with this text when the model would not learn to stop (trl/trainer/sft_trainer.py in 1.16.0).
_NO_END_OF_TURN = "end-of-turn token"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A model with its trained adapter."""

    model: Any
    """PEFT model."""
    tokenizer: Any
    losses: list[float]
    """Training loss of each step."""
    held_out_losses: list[float]
    """Loss of the held-out conversations after each epoch. Empty when the set has no held-out conversation."""


@dataclass(frozen=True)
class Run:
    """Settings of one run, in addition to the model's configuration."""

    output: Path
    """Folder for the files of TRL."""
    on_cpu: bool
    batch: int = 1
    """Number of conversations that are on the device at the same time."""
    short_persona: bool = False
    """Whether to train with a persona of one line, and not with the worker's persona."""


def train(
    base: Path, template_file: Path, data: DataSet, config: TrainingConfig, run: Run, progress: Progress
) -> Trained:
    """Trains an adapter on the model in the folder `base`. Raises TrainingError when the masks are wrong."""
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    prompts = Prompts(template_file, base / "tokenizer.json")
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = template_file.read_text(encoding="utf-8")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    check_masks(tokenizer, prompts, data.trained)
    dtype = torch.float32 if run.on_cpu else torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype, use_safetensors=True)

    class Reporter(TrainerCallback):  # type: ignore[misc]
        """Reports the loss of each step."""

        def on_log(self, _args: Any, state: Any, _control: Any, logs: dict[str, float], **_: Any) -> None:
            if "loss" in logs:
                progress(f"step {state.global_step} of {state.max_steps}: loss {logs['loss']:.3f}")

    arguments = SFTConfig(
        output_dir=str(run.output),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=run.batch,
        per_device_eval_batch_size=run.batch,
        gradient_accumulation_steps=max(1, config.batchSize // run.batch),
        gradient_checkpointing=not run.on_cpu,
        learning_rate=config.learningRate,
        lr_scheduler_type="cosine",
        max_length=config.maxTokens,
        packing=False,
        assistant_only_loss=True,
        eos_token=prompts.end_of_turn,
        bf16=not run.on_cpu,
        use_cpu=run.on_cpu,
        seed=config.seed,
        logging_steps=1,
        eval_strategy="epoch" if data.held_out else "no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    adapter = LoraConfig(
        r=config.loraRank,
        lora_alpha=config.loraAlpha,
        lora_dropout=config.loraDropout,
        # The adapter trains all linear layers but not the embeddings, because a merged model with trained embeddings
        # writes noise.
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with _mask_warnings_as_errors():
        trainer = SFTTrainer(
            model=model,
            args=arguments,
            train_dataset=_dataset(data.trained, run),
            eval_dataset=_dataset(data.held_out, run) if data.held_out else None,
            processing_class=tokenizer,
            peft_config=adapter,
            callbacks=[Reporter()],
        )
        trainer.train()
    history = trainer.state.log_history
    return Trained(
        trainer.model.eval(),
        tokenizer,
        [entry["loss"] for entry in history if "loss" in entry],
        [entry["eval_loss"] for entry in history if "eval_loss" in entry],
    )


def tiny_config(config: TrainingConfig) -> TrainingConfig:
    """Returns a configuration with which a tiny random model learns within a minute."""
    return replace(config, epochs=2, learningRate=1e-2, batchSize=2, loraRank=8, loraAlpha=16, loraDropout=0.0)


def check_masks(tokenizer: Any, prompts: Prompts, conversations: Sequence[Conversation]) -> None:
    """
    Compares the tokens and the mask of each conversation between the transformers library and the package `tokenizers`.
    Raises TrainingError when they differ.
    """
    for conversation in conversations:
        messages = conversation.with_persona()
        theirs = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
        ours = prompts.training_tokens(messages)
        place = f"{conversation.file}:{conversation.line}"
        if list(theirs["input_ids"]) != ours.ids:
            raise TrainingError(f"{place}: the trainer makes other tokens than the tokenizer in tokenizer.json")
        if list(theirs["assistant_masks"]) != ours.mask:
            raise TrainingError(f"{place}: the trainer learns other tokens than the chat template marks")


def _dataset(conversations: Sequence[Conversation], run: Run) -> Any:
    from datasets import Dataset

    with_system = Conversation.with_short_persona if run.short_persona else Conversation.with_persona
    return Dataset.from_list([{"messages": with_system(conversation)} for conversation in conversations])


class _MaskWarnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if _NO_END_OF_TURN in record.getMessage():
            raise TrainingError(f"TRL: {record.getMessage()}")


@contextmanager
def _mask_warnings_as_errors() -> Iterator[None]:
    """Raises TrainingError when TRL warns that the loss does not include the end-of-turn token."""
    handler = _MaskWarnings()
    logger = logging.getLogger("trl")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
