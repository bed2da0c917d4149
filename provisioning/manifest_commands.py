"""`anxinctl plan`, `apply` and `bundle`."""

import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from provisioning import show
from provisioning.client import Hub
from provisioning.errors import BadManifest, Exit, HubError, Problem
from provisioning.sources import Manifest, read_manifest

Result = Mapping[str, Any]


def plan(hub: Hub, files: Sequence[Path], *, as_json: bool) -> None:
    """Show the plan; ends with BAD_INPUT where the manifest contradicts itself or the hub."""
    with hub:
        manifest = read_manifest(files)
        result = _asked(hub, manifest, "/plan")
        _report(result, manifest, as_json=as_json)
        if result["errors"]:
            raise typer.Exit(Exit.BAD_INPUT)


def apply(hub: Hub, files: Sequence[Path], *, yes: bool, as_json: bool) -> None:
    """Plan, show, ask, and apply exactly what was shown."""
    with hub:
        manifest = read_manifest(files)
        planned = _asked(hub, manifest, "/plan")
        if planned["errors"]:
            _report(planned, manifest, as_json=as_json)
            raise typer.Exit(Exit.BAD_INPUT)
        if not as_json:
            _report(planned, manifest, as_json=False)
        if planned["changes"] and not yes:
            _confirm()
        result = _applied(hub, manifest, planned["digest"])
        if as_json:
            _report({**result, "warnings": planned["warnings"]}, manifest, as_json=True)
        elif result["changes"]:
            show.console().print(f"已执行 Applied: {len(result['changes'])} 项更改 changes")


def _applied(hub: Hub, manifest: Manifest, digest: str) -> Result:
    try:
        return _asked(hub, manifest, "/apply", digest=digest)
    except HubError as error:
        if error.code != Exit.NOT_REACHABLE:
            raise
        unknown = (
            "it is not known whether it was applied, all or nothing: run the same command again, it does nothing twice"
        )
        raise HubError(f"{error}; {unknown}", error.code) from None


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise HubError("nothing was changed: say --yes where nobody can be asked", Exit.BAD_INPUT)
    typer.confirm("执行? Apply this", abort=True, err=True)


def _asked(hub: Hub, manifest: Manifest, path: str, **parameters: Any) -> Result:
    """The hub's answer; what it does not take is raised as BadManifest with file and line."""
    try:
        answer: Result = hub.post(path, manifest.content, **parameters)
    except HubError as error:
        problems = [_problem(manifest, detail.pointer, detail.reason) for detail in error.details]
        if not problems:
            raise
        raise BadManifest(problems) from None
    return answer


def _problem(manifest: Manifest, pointer: str, reason: str) -> Problem:
    return manifest.problem(pointer.removeprefix("#"), reason)


def _report(result: Result, manifest: Manifest, *, as_json: bool) -> None:
    found = {
        name: [(row, _problem(manifest, row["pointer"], row["message"])) for row in result[name]]
        for name in ("errors", "warnings")
    }
    if as_json:
        placed = {
            name: [{**row, "file": problem.place.file, "line": problem.place.line} for row, problem in rows]
            for name, rows in found.items()
        }
        show.as_json({**result, **placed})
        return
    if result["errors"]:
        show.complain(str(problem) for _, problem in found["errors"])
    elif result["changes"]:
        show.plan(result["changes"])
    else:
        show.console().print("无需更改 Nothing to change: the hub is as the manifest says.")
    show.complain(_warning(row, problem) for row, problem in found["warnings"])


def _warning(row: Mapping[str, Any], problem: Problem) -> str:
    clause = f" [{row['clause']}]" if row["clause"] and row["clause"] not in problem.reason else ""
    return f"{problem.place}: 警告 warning: {problem.key}: {problem.reason}{clause}"


def bundle(hub: Hub, edge: str, output: Path, *, force: bool) -> None:
    """Ask for a bundle and write it, readable by its owner alone. Refuses to overwrite before it asks: asking ends the old password."""
    if output.exists() and not force:
        raise HubError(f"{output} is there already: say --force to replace it", Exit.BAD_INPUT)
    if not output.parent.is_dir():
        raise HubError(f"there is no folder {output.parent}", Exit.BAD_INPUT)
    with hub:
        content = hub.post(f"/edges/{edge}/bundle")
    try:
        _write_secret(output, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    except OSError as error:
        raise HubError(
            f"{output} cannot be written ({error.strerror}); the new password is lost, ask again", Exit.BAD_INPUT
        ) from None
    devices = sum(len(endpoint["devices"]) for endpoint in content["endpoints"])
    show.console().print(
        f"已写入 {output}: {edge}, {len(content['endpoints'])} 个端点 endpoints, {devices} 台设备 devices\n"
        "内含密码,只存于该网关。It holds secrets: keep it on the edge and nowhere else."
    )


def _write_secret(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
