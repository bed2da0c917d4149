"""`anxinctl edge`: by which configuration each edge runs, and giving a refused one again."""

from collections.abc import Mapping
from typing import Any

from provisioning import show
from provisioning.client import Hub

_STATES = {
    "current": "已生效",
    "pending": "待生效",
    "refused": "已拒绝",
    "not_made": "无法生成",
    "unknown": "未知",
}


def list_edges(hub: Hub, institution: str | None, *, as_json: bool) -> None:
    """Every edge within the scope, by id; what is wrong with one stands below the table in full."""
    with hub:
        edges = list(hub.items("/edges", institution=institution))
    if as_json:
        show.as_json(edges)
        return
    show.table(
        ["网关\nEdge", "机构\nInstitution", "链路\nLink", "配置\nConfig", "应为\nWanted", "运行\nRuns"],
        (
            [
                edge["id"],
                edge["institution"],
                edge["link_state"],
                f"{edge['state']} {_STATES[edge['state']]}",
                f"{edge['wanted']}, {show.ago(edge['wanted_at'])}",
                "-" if edge["running"] is None else f"{edge['running']}, {show.ago(edge['running_since'])}",
            ]
            for edge in edges
        ),
        coloured=(2, 3),
    )
    for edge in edges:
        for line in _wrong(edge):
            show.console().print(line)


def give_again(hub: Hub, edge: str, *, as_json: bool) -> None:
    """Give the configuration that is wanted a new version, so that an edge that refused it tries it once more."""
    with hub:
        found = hub.post(f"/edges/{edge}/configuration")
    if as_json:
        show.as_json(found)
    else:
        show.console().print(f"{edge}: 配置版本 configuration {found['wanted']}")


def _wrong(edge: Mapping[str, Any]) -> list[str]:
    lines = []
    if edge["problem"]:
        lines.append(f"{edge['id']}: 无法生成配置 cannot be made: {edge['problem']}")
    if edge["refused"]:
        lines.append(f"{edge['id']}: 拒绝了版本 refused {edge['refused']}: {edge['refused_reason'] or '-'}")
    return lines
