"""`hf download`, without a hub: takes the real one's arguments and leaves the least a weights folder has."""

import argparse
import json
import re
from pathlib import Path


def main() -> None:
    """Writes `config.json` to the local folder. Exits with 2 for arguments that the real one does not know."""
    parser = argparse.ArgumentParser("hf")
    download = parser.add_subparsers(required=True).add_parser("download")
    download.add_argument("repo_id")
    download.add_argument("--revision", required=True)
    download.add_argument("--local-dir", type=Path, required=True)
    download.add_argument("--exclude", nargs="*", default=[])
    asked = parser.parse_args()
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", asked.repo_id) or not re.fullmatch(r"[0-9a-f]{40}", asked.revision):
        parser.error("not a repository and a commit")
    asked.local_dir.mkdir(parents=True, exist_ok=True)
    config = {"_name_or_path": asked.repo_id, "_commit_hash": asked.revision}
    (asked.local_dir / "config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    main()
