"""How to do the search again, and how to load its best models: commands, versions, hashes."""

import shlex
from typing import Any

from search.report.html.material import Material
from search.report.use import use_of
from search.report.wording import count


def again(material: Material) -> dict[str, Any]:
    """Return what the page's last section says."""
    findings, environment = material.findings, material.environment
    header = findings.record.header
    return {
        "command": shlex.join(environment.get("command", ())),
        "fingerprint": str(header.get("data_fingerprint", ""))[:16],
        "seed": header.get("seed"),
        "versions": environment.get("versions", {}),
        "commit": environment.get("git_commit"),
        "dirty": environment.get("git_dirty"),
        "machine": _machine(environment.get("machine", {})),
        "use": use_of(findings, material.audit),
        "space": material.space.text,
    }


def _machine(machine: dict[str, Any]) -> str:
    if not machine:
        return ""
    gpus = ", ".join(machine.get("gpus", ())) or "no GPU"
    return f"{count(machine.get('cpus', 0), 'CPU')}, {machine.get('memory_gib')} GiB, {gpus}"
