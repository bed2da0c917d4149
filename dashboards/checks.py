"""What must hold of every board, whoever looks at it: said as a list of what does not, each with the board and the panel."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from dashboards.panels import SOURCE, UNKNOWN, WIDTH, Json
from dashboards.queries import sent

UNITS = frozenset({"short", "percent", "s", "dateTimeAsLocal"})
KINDS = frozenset({"stat", "table", "timeseries", "geomap"})
_BUILT_IN = frozenset({"__url_time_range", "__data"})
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def faults(boards: Sequence[Json]) -> list[str]:
    """Everything that is wrong with these boards; nothing where they hold."""
    known = {one["uid"]: one for one in boards}
    found = [f"uid {uid} twice" for uid in known if sum(one["uid"] == uid for one in boards) > 1]
    for one in boards:
        found += (f"{one['uid']}: {fault}" for fault in _faults(one, known))
    return found


def _faults(board: Json, known: dict[str, Json]) -> Iterator[str]:
    if not re.fullmatch(r"anxin-[a-z-]{1,34}", board["uid"]):
        yield "its uid is not one of ours"
    ids = [panel["id"] for panel in board["panels"]]
    if len(set(ids)) != len(ids):
        yield "two panels have one id"
    yield from _places(board["panels"])
    english = board["uid"].endswith("-en")
    for title in _titles(board):
        if english == bool(_CHINESE.search(title)):
            yield f"{title!r} is in the other language"
    variables = {variable["name"] for variable in board["templating"]["list"]}
    for where, _, sql in sent(board):
        for name in set(re.findall(r"\$\{(\w+)", sql)) - variables:
            yield f"{where}: no variable {name}"
        for name in set(re.findall(r"\b(?:from|join) (?:lateral )?([a-z_]+\.?[a-z_]*)", sql)):
            if "." in name and not name.startswith("dash.") and not re.match(r"[a-z]\.", name):
                yield f"{where}: reads {name}, not a view of dash"
        if "@" in sql:
            yield f"{where}: a mark of ours is left in it"
    for panel in board["panels"]:
        yield from (f"panel {panel['id']} {panel['title']}: {fault}" for fault in _of_panel(panel))
        if not _says_when(panel, "as_of" in variables):
            yield f"panel {panel['id']} {panel['title']}: shows what is now, and does not say so"
    for url in _links(board):
        yield from _leads(url, variables, known)


def _places(panels: Sequence[Json]) -> Iterator[str]:
    for panel in panels:
        at = panel["gridPos"]
        if not 0 <= at["x"] < at["x"] + at["w"] <= WIDTH:
            yield f"panel {panel['id']} leaves the grid"
    for one, other in combinations(panels, 2):
        a, b = one["gridPos"], other["gridPos"]
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        if not beside and not above:
            yield f"panels {one['id']} and {other['id']} overlap"


def _titles(board: Json) -> Iterator[str]:
    yield board["title"]
    yield from (panel["title"] for panel in board["panels"])
    yield from (variable["label"] for variable in board["templating"]["list"])
    for shown in _shown(board):
        if "displayName" in shown:
            yield shown["displayName"]


def _shown(board: Json) -> Iterator[Json]:
    for panel in board["panels"]:
        yield panel["fieldConfig"]["defaults"]
        for override in panel["fieldConfig"]["overrides"]:
            yield {one["id"]: one["value"] for one in override["properties"]}


def _of_panel(panel: Json) -> Iterator[str]:
    if panel["type"] not in KINDS:
        yield f"kind {panel['type']} is not known"
    if panel["datasource"] != SOURCE or any(target["datasource"] != SOURCE for target in panel["targets"]):
        yield "another data source"
    last = panel["targets"][-1]["rawSql"]
    named = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
    says = "age" in last and "complete" in last
    if not {"age", "complete"} <= named or not (says or re.search(r"\b[a-z]\.\*", last)):
        yield "says neither age nor completeness of what it stands on"
    fields = [panel["fieldConfig"]["defaults"]]
    fields += [
        {one["id"]: one["value"] for one in override["properties"]} for override in panel["fieldConfig"]["overrides"]
    ]
    for shown in fields:
        if shown.get("unit", "short") not in UNITS:
            yield f"unit {shown['unit']} is not known"
        yield from _colours(shown)


def _says_when(panel: Json, can_choose: bool) -> bool:
    """A figure is as of the chosen time, or of the chosen range where no time can be chosen; else its title says that it is of now."""
    figure = panel["targets"][0]["rawSql"]
    follows = "${as_of}" in figure or (not can_choose and "$__timeFilter" in figure)
    return follows or re.search(r"现在|\bnow\b", panel["title"]) is not None


def _colours(shown: Json) -> Iterator[str]:
    """Unknown is grey, never green; nothing is green by default."""
    steps = shown.get("thresholds", {}).get("steps", [])
    if steps and steps[0]["color"] == "green":
        yield "green where there is nothing"
    for mapping in shown.get("mappings", []):
        options = mapping["options"]
        if mapping["type"] == "special":
            if options["match"] == "null" and options["result"]["color"] != UNKNOWN:
                yield "no value is not grey"
            continue
        for value in ("unknown", "unsigned", "unproven"):
            if value in options and options[value]["color"] != UNKNOWN:
                yield f"{value} is not grey"


def _links(board: Json) -> Iterable[str]:
    for shown in _shown(board):
        for link in shown.get("links", []):
            yield link["url"]


def _leads(url: str, variables: set[str], known: dict[str, Json]) -> Iterator[str]:
    found = re.match(r"/d/([a-z-]+)\?", url)
    if found is None or found[1] not in known:
        yield f"a link leads nowhere: {url}"
        return
    target = {variable["name"] for variable in known[found[1]]["templating"]["list"]}
    for name in set(re.findall(r"var-(\w+)=", url)) | set(re.findall(r"\$\{(\w+):queryparam\}", url)):
        if name not in target:
            yield f"a link sets {name}, which {found[1]} has not"
    for name in set(re.findall(r"\$\{(\w+)", url)) - variables - _BUILT_IN:
        yield f"a link uses {name}, which this board has not"
