"""
Commands of the package. Each command prints one JSON object on stdout and its progress on stderr. `npm run train` calls
these commands.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from snack_worker.settings import MODEL_PLANS

from .candidate import read_candidate
from .config import read_config
from .conversations import examine, load
from .errors import TrainingError
from .evaluate import Evaluation
from .facts import read_facts, template_file
from .files import read_json, write_json
from .gates import Input, judge, keeps_the_contract
from .image_programs import image_programs
from .judge import compare, judge_at
from .measure import CHATS, ENGINES, ServedModel, measure
from .measurements import Fixtures, Measurements, read_fixtures, read_measurements, write_measurements
from .persona_prompts import read_persona_prompts, sample
from .prompts import Prompts
from .report import page, summary
from .selftest import Selftest
from .selftest import summary as selftest_summary
from .tasks import pair

ROOT = Path(__file__).parents[2]
IMAGES = ROOT.parent / "images"
PERSONA_PROMPTS = ROOT / "prompts" / "persona.jsonl"
STARTER = ROOT / "data" / "starter.jsonl"
ARCHITECTURES = ("phi3", "mistral")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code."""
    options = _parser().parse_args(arguments)
    # The worker logs each failed job, but a measurement only counts the failed jobs.
    logging.getLogger("snack_worker").setLevel(logging.ERROR)
    run: Callable[[argparse.Namespace], dict[str, Any]] = options.run
    try:
        result = run(options)
    except TrainingError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(result, ensure_ascii=False))
    return 1 if result.get("failed") else 0


def _data(options: argparse.Namespace) -> dict[str, Any]:
    prompts = Prompts(template_file(IMAGES, options.model), options.tokenizer)
    config = read_config(IMAGES / options.model / "training.json")
    files = options.files or [STARTER]
    conversations, problems = examine(files, prompts, max_tokens=config.maxTokens)
    facts: dict[str, Any] = {"conversations": len(conversations), "problems": list(map(str, problems))}
    if not problems:
        data = load(files, prompts, max_tokens=config.maxTokens, held_out_percent=config.heldOutPercent)
        facts |= {"trained": len(data.trained), "heldOut": len(data.held_out), "sha256": data.sha256}
        facts["longestTokens"] = max(
            len(prompts.training_tokens(one.with_persona()).ids) for one in (*data.trained, *data.held_out)
        )
    return {**facts, "failed": bool(problems)}


def _train(options: argparse.Namespace) -> dict[str, Any]:
    """Trains and exports. The libraries are slow to import, so they are imported here."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    if options.tiny:
        # Torch sees no GPU and uses the CPU. For such small matrices, one thread is the fastest.
        os.environ |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    _say("loading torch (up to a minute)")
    from .export import export
    from .gguf_file import write_gguf
    from .tiny import write_tiny_base
    from .train import Run, tiny_config, train

    tiny = options.tiny is not None
    template, output = template_file(IMAGES, options.model), options.out
    config = read_config(IMAGES / options.model / "training.json")
    base = options.base or output / "base"
    if options.tiny:
        config = tiny_config(config)
        write_tiny_base(options.tiny, options.tokenizer, base, config.seed)
    files = options.files or [STARTER]
    prompts = Prompts(template, base / "tokenizer.json")
    data = load(files, prompts, max_tokens=config.maxTokens, held_out_percent=config.heldOutPercent)
    _say(f"training on {len(data.trained)} conversations, {len(data.held_out)} held out")
    settings = Run(output / "trainer", on_cpu=tiny, batch=2 if tiny else 1, short_persona=tiny)
    trained = train(base, template, data, config, settings, _say)
    _say("merging and exporting")
    origin = {"huggingFaceId": config.huggingFaceId, "revision": config.revision}
    facts = {
        "name": f"{options.model}-{'tiny-' if tiny else ''}{data.sha256[:12]}",
        "model": options.model,
        "tiny": tiny,
        "base": {"huggingFaceId": "random weights", "revision": f"seed {config.seed}"} if tiny else origin,
        "config": asdict(config),
        "data": {
            "sha256": data.sha256,
            "trained": len(data.trained),
            "heldOut": len(data.held_out),
            "sources": data.sources,
        },
    }
    candidate = output / "candidate"
    run = export(trained, base, template, candidate, facts)
    result = {"candidate": str(candidate), "steps": len(run["losses"]), **_losses(run["losses"])}
    if options.gguf:
        _say("converting to GGUF for llama.cpp")
        write_gguf(candidate, output / "model.gguf")
        result["gguf"] = str(output / "model.gguf")
    return {**result, "adapterMergedMaxDiff": run["adapterMergedMaxDiff"]}


def _losses(losses: list[float]) -> dict[str, float]:
    """Returns the mean losses of the first and the last five steps, because the loss of one step is noisy."""
    first, last = losses[:5], losses[-5:]
    return {"lossFirst": round(sum(first) / len(first), 4), "lossLast": round(sum(last) / len(last), 4)}


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    prompts = sample(read_persona_prompts(PERSONA_PROMPTS), options.prompts)
    tokenizer = options.candidate / "tokenizer.json"
    served = ServedModel(options.model, IMAGES, tokenizer, options.engine_url, options.engine)
    _say(f"sending {len(prompts)} persona prompts, then {', '.join(map(str, CHATS))} chats at once")
    measured = asyncio.run(measure(served, prompts, max_tokens=options.max_tokens, at_once=options.at_once))
    if options.fixtures:
        measured = replace(measured, fixtures=read_fixtures(options.fixtures))
    write_measurements(options.out, measured)
    return {"measurements": str(options.out), "replies": len(measured.replies)}


def _compare(options: argparse.Namespace) -> dict[str, Any]:
    """Adds the comparisons with the serving model to the measurements of a candidate."""
    measured, serving = read_measurements(options.measurements), read_measurements(options.serving)
    measured = replace(measured, serving_speed=serving.speed)
    if options.judge_url:
        key = os.environ.get("JUDGE_API_KEY")
        if not key or not options.judge_model:
            raise TrainingError("the judge needs --judge-model and the variable JUDGE_API_KEY")
        ask = judge_at(options.judge_url.rstrip("/"), options.judge_model, key)
        measured = replace(measured, has_judge=True)
        # When the judge fails, the gates must still know that a judge was configured.
        write_measurements(options.measurements, measured)
        measured = replace(measured, pairwise=asyncio.run(compare(measured.replies, serving.replies, ask)))
    if options.tasks and options.serving_tasks:
        measured = replace(measured, tasks=pair(options.tasks, options.serving_tasks))
    write_measurements(options.measurements, measured)
    return {"measurements": str(options.measurements)}


def _evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Serves and measures a candidate with the programs of the training image, then judges it."""
    programs = image_programs(IMAGES, options.model, os.environ)
    prompts = read_persona_prompts(PERSONA_PROMPTS)
    folders = {"candidate": options.candidate, "serving": options.serving, "work": options.work}
    evaluation = Evaluation(options.model, IMAGES, **folders, prompts=prompts, programs=programs, say=_say)
    measured = evaluation.run()
    write_measurements(options.report.parent / "measurements.json", measured)
    return _judged(options, measured, options.serving / "tokenizer.json")


def _gate(options: argparse.Namespace) -> dict[str, Any]:
    """Judges a candidate by its measurements."""
    tokenizer = options.tokenizer or options.candidate / "tokenizer.json"
    return _judged(options, read_measurements(options.measurements), tokenizer)


def _judged(options: argparse.Namespace, measured: Measurements, tokenizer: Path) -> dict[str, Any]:
    """Judges a candidate and writes its report. A tiny candidate needs only the contract gates."""
    candidate = read_candidate(options.candidate)
    prompts = Prompts(template_file(IMAGES, options.model), tokenizer)
    given = Input(candidate, measured, read_facts(IMAGES, options.model, prompts))
    results = judge(given)
    content = summary(given, results)
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(page(given, results), encoding="utf-8")
    write_json(options.report.with_suffix(".json"), content)
    prompt_ids = next(result for result in results if result.gate == "prompt-ids")
    served = measured.prompts.values()
    passed = keeps_the_contract(results) if content["tiny"] else content["mayBePromoted"]
    return {
        "report": str(options.report),
        "promptIdsEqual": prompt_ids.status == "passed",
        "bos": max((tokens.server.count(given.facts.bos_token) for tokens in served), default=0),
        "endTokens": candidate.generation.get("eos_token_id"),
        "fixturesPassed": measured.fixtures.passed if measured.fixtures else 0,
        "gates": content["gates"],
        "failedGates": [result.gate for result in results if result.status == "failed"],
        "openGates": content["openGates"],
        "mayBePromoted": content["mayBePromoted"],
        "failed": not passed,
    }


def _selftest(options: argparse.Namespace) -> dict[str, Any]:
    fixtures = {name: Fixtures(**entry) for name, entry in read_json(options.fixtures).items()}
    tokenizers = {model: options.tokenizers / f"{model}.json" for model in ARCHITECTURES}
    test = Selftest(IMAGES, tokenizers, read_persona_prompts(PERSONA_PROMPTS), fixtures)
    _say("measuring two valid and fourteen broken candidates")
    result = selftest_summary(asyncio.run(test.run()))
    return {**result, "failed": result["caught"] < result["candidates"] or result["wrongGate"] > 0}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m snack_training", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(name: str, run: Callable[[argparse.Namespace], dict[str, Any]], text: str) -> argparse.ArgumentParser:
        created = commands.add_parser(name, help=text, description=text)
        created.set_defaults(run=run)
        return created

    data = command("data", _data, "check training data")
    _add_model(data)
    data.add_argument("--tokenizer", type=Path, required=True, help="the model's tokenizer.json")
    data.add_argument("files", type=Path, nargs="*", help="JSON Lines files (default: the starter set)")

    train = command("train", _train, "train, merge and export a candidate")
    _add_model(train)
    source = train.add_mutually_exclusive_group(required=True)
    source.add_argument("--base", type=Path, help="folder of the base model, at the revision of training.json")
    source.add_argument(
        "--tiny", choices=ARCHITECTURES, help="train a tiny random model of this architecture on the CPU"
    )
    train.add_argument("--tokenizer", type=Path, help="tokenizer.json of the tiny model")
    train.add_argument("--out", type=Path, required=True, help="folder for the candidate")
    train.add_argument("--gguf", action="store_true", help="also convert the candidate for llama.cpp")
    train.add_argument("files", type=Path, nargs="*", help="JSON Lines files (default: the starter set)")

    measured = command("measure", _measure, "measure a served candidate")
    _add_model(measured)
    measured.add_argument("--candidate", type=Path, required=True, help="folder of the candidate")
    measured.add_argument("--engine-url", required=True, help="OpenAI-compatible base URL, ending in /v1")
    measured.add_argument("--engine", choices=ENGINES, default="vllm")
    measured.add_argument("--fixtures", type=Path, help="result of the contract's fixtures")
    measured.add_argument("--prompts", type=int, default=200, help="number of persona prompts")
    measured.add_argument("--max-tokens", type=int, default=256, help="maximum tokens of a reply")
    measured.add_argument("--at-once", type=int, default=8, help="number of concurrent persona prompts")
    measured.add_argument("--out", type=Path, required=True, help="file for the measurements")

    compared = command("compare", _compare, "add comparisons with the serving model to the measurements")
    compared.add_argument("--measurements", type=Path, required=True)
    compared.add_argument("--serving", type=Path, required=True, help="measurements of the serving model")
    compared.add_argument("--judge-url", help="OpenAI-compatible base URL of the judge; its key is JUDGE_API_KEY")
    compared.add_argument("--judge-model")
    compared.add_argument("--tasks", type=Path, help="lm-eval's results of the candidate")
    compared.add_argument("--serving-tasks", type=Path, help="lm-eval's results of the serving model")

    evaluated = command("evaluate", _evaluate, "serve, measure and judge a candidate; only in the training image")
    _add_model(evaluated)
    evaluated.add_argument("--candidate", type=Path, required=True, help="folder of the candidate")
    evaluated.add_argument("--serving", type=Path, required=True, help="folder of the weights that serve today")
    evaluated.add_argument("--work", type=Path, required=True, help="folder for other files")
    evaluated.add_argument("--report", type=Path, required=True, help="HTML file to write; JSON files are beside it")

    gate = command("gate", _gate, "judge a candidate and write its report")
    _add_model(gate)
    gate.add_argument("--candidate", type=Path, required=True, help="folder of the candidate")
    gate.add_argument("--tokenizer", type=Path, help="the base's tokenizer.json (default: the candidate's)")
    gate.add_argument("--measurements", type=Path, required=True)
    gate.add_argument("--report", type=Path, required=True, help="HTML file to write; the JSON file is beside it")

    tested = command("selftest", _selftest, "judge fourteen broken candidates")
    tested.add_argument("--tokenizers", type=Path, required=True, help="folder with <model>.json")
    tested.add_argument("--fixtures", type=Path, required=True, help="fixture results of a correct and a broken answer")
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", choices=list(MODEL_PLANS), required=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
