"""How to do the search again, and how to load its best models: commands, versions, hashes."""

import json
import shlex
from typing import Any

from search.report.html.material import Material
from search.report.tested import TASK
from search.report.wording import count


def again(material: Material) -> dict[str, Any]:
    """Return what the page's last section says."""
    findings, environment = material.findings, material.environment
    header = findings.record.header
    found: dict[str, Any] = {
        "command": shlex.join(environment.get("command", ())),
        "fingerprint": str(header.get("data_fingerprint", ""))[:16],
        "seed": header.get("seed"),
        "versions": environment.get("versions", {}),
        "commit": environment.get("git_commit"),
        "dirty": environment.get("git_dirty"),
        "machine": _machine(environment.get("machine", {})),
        "python": "",
        "space": material.space.text,
    }
    if findings.average is None or not findings.tasks:
        return found
    task = findings.tasks[0]
    found["python"] = (
        'import mtl_core\n\npredictor = mtl_core.load("best/average")\n'
        f'predictor.predict({json.dumps(task, ensure_ascii=False)}, ["some text", "another"])'
    )
    found["shell"] = (
        f"branchpoint predict --model best/average --task {shlex.quote(task)} < texts.txt"
    )
    found["has_tasks"] = any(name.startswith(TASK) for name in findings.models)
    return found


def _machine(machine: dict[str, Any]) -> str:
    if not machine:
        return ""
    gpus = ", ".join(machine.get("gpus", ())) or "no GPU"
    return f"{count(machine.get('cpus', 0), 'CPU')}, {machine.get('memory_gib')} GiB, {gpus}"
