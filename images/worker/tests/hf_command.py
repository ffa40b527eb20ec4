"""Stand-in for `hf download` without network: accepts the same arguments and writes a minimal weights folder."""

import argparse
import json
import re
from pathlib import Path


def main() -> None:
    """Writes `config.json` to the local folder. Exits with 2 for arguments that the real command does not know."""
    parser = argparse.ArgumentParser("hf")
    download = parser.add_subparsers(required=True).add_parser("download")
    download.add_argument("repo_id")
    download.add_argument("--revision", required=True)
    download.add_argument("--local-dir", type=Path, required=True)
    download.add_argument("--exclude", nargs="*", default=[])
    arguments = parser.parse_args()
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", arguments.repo_id) or not re.fullmatch(r"[0-9a-f]{40}", arguments.revision):
        parser.error("expected a repository (owner/name) and a commit (40 hexadecimal digits)")
    arguments.local_dir.mkdir(parents=True, exist_ok=True)
    config = {"_name_or_path": arguments.repo_id, "_commit_hash": arguments.revision}
    (arguments.local_dir / "config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    main()
