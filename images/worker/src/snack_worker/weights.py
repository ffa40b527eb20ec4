"""Where the weights are: baked into the image, or in the folder RunPod's model cache is mounted at."""

from pathlib import Path

BAKED = Path("/models/weights")
CACHE = Path("/runpod-volume/huggingface-cache/hub")


class WeightsError(Exception):
    """The weights are not there; the text says where they were looked for and how they get there."""


def cached_weights(cache: Path, model_id: str, revision: str) -> Path:
    """
    The folder of one commit of a Hugging Face repository in a cache (laid out as huggingface_hub does it). Only that
    commit: whatever else is there has another version than the image says. Raises WeightsError.
    """
    repository = cache / f"models--{model_id.replace('/', '--')}"
    snapshot = repository / "snapshots" / revision
    if snapshot.is_dir():
        return snapshot
    wanted = f"the endpoint must reference https://huggingface.co/{model_id}:{revision}"
    if not repository.is_dir():
        raise WeightsError(f"RunPod's model cache has no {repository}; {wanted}")
    main = repository / "refs" / "main"
    held = main.read_text(encoding="utf-8").strip() if main.is_file() else "no refs/main"
    raise WeightsError(f"RunPod's model cache has no {snapshot} (it holds {held}); {wanted}")
