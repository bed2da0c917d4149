"""The documents say what the code does: commands, options, settings, metrics, topics, codes, links, manifests."""

import ast
import json
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import yaml
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from dashboards.panels import CAUSES as DASHBOARD_CAUSES
from hub import manifest
from hub.api.device_schemas import LinkCauseName
from hub.api.meter import Meter
from hub.cli.main import app as anxin
from hub.config import Settings
from hub.core import wire
from hub.core.blindness import Cause
from hub.core.blindness_sentences import CAUSES
from hub.core.proof_order import order_topic
from hub.core.siren_order import siren_answer_topic, siren_topic
from hub.model import Lane
from hub.mqtt import Broker
from hub.runtime import escalator
from hub.runtime.auditor import Watch
from hub.runtime.blindness_watch import BlindnessMetrics, Counters
from hub.runtime.duty_watch import DutyMetrics
from hub.runtime.service import _AuditorMetrics, _EscalationMetrics, _IngestMetrics, _StandbyMetrics
from hub.runtime.standby import Standby
from provisioning.errors import Exit
from provisioning.main import app as anxinctl
from tests.pages import ROOT, blocks, inline, rows, section, text

OPERATIONS, PROTOCOL, PROVISIONING = "docs/operations.md", "docs/protocol.md", "provisioning/README.md"
DOCUMENTS = ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md", OPERATIONS, PROTOCOL, PROVISIONING]
COMMANDS: dict[str, Any] = {"anxin": typer.main.get_command(anxin), "anxinctl": typer.main.get_command(anxinctl)}
SCRIPTS = {"--once", "--json", "--kills", "--seed", "--strict", "--field", "--sites", "--minutes", "--out"}
"""Options of scripts/demo, scripts/soak and mypy that are named by themselves."""


# commands -----------------------------------------------------------------------------------------------------------


def spoken(document: str) -> Iterator[str]:
    """Every command line of ours in a document, in blocks and in prose."""
    for block in blocks(document):
        for line in block.splitlines():
            found = re.match(r"(?:\$ )?(?:\.venv/bin/)?((?:anxin|anxinctl) .+)", line.strip())
            if found:
                yield re.split(r"\s+#|\s[|>]\s", found[1])[0]
    for code in inline(document):
        if re.match(r"(anxin|anxinctl) [a-z-]", code):
            yield code


def options_of(command: Any) -> set[str]:
    return {"--help"} | {name for p in command.params for name in (*p.opts, *p.secondary_opts) if name.startswith("-")}


def problems_of(line: str) -> list[str]:
    """Words that are no command, and options that the command does not have."""
    words = line.split()
    at = COMMANDS[words[0]]
    known = options_of(at)
    wrong: list[str] = []
    for word in words[1:]:
        if word.startswith("-"):
            known_here = known | options_of(at)
            if word.split("=")[0] not in known_here:
                wrong.append(f"{line}: no option {word}")
        elif hasattr(at, "commands"):
            names = word.split("|")
            wrong += [f"{line}: no command {name}" for name in names if name not in at.commands]
            if wrong:
                break
            at = at.commands[names[0]]
    return wrong


def leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, below in command.commands.items():
        yield from leaves(below, f"{path} {name}")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_that_a_document_names_exists_with_its_options(document: str) -> None:
    assert [problem for line in spoken(document) for problem in problems_of(line)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_an_option_that_is_named_by_itself_is_one_of_some_command(document: str) -> None:
    every = SCRIPTS.union(*(options_of(leaf) for name in COMMANDS for _, leaf in leaves(COMMANDS[name], name)))
    every |= options_of(COMMANDS["anxinctl"])
    named = {code.split()[0] for code in inline(document) if re.match(r"--?[a-z]", code)}
    assert named - every == set()


@pytest.mark.parametrize(("program", "document"), [("anxin", OPERATIONS), ("anxinctl", PROVISIONING)])
def test_every_command_and_option_that_exists_is_documented(program: str, document: str) -> None:
    whole = text(document)
    for path, leaf in leaves(COMMANDS[program], program):
        assert f"`{path}" in whole, path
        missing = [name for p in leaf.params for name in p.opts if name.startswith("--") and name not in whole]
        if path == "anxin demo":
            missing = [name for name in missing if name not in text("README.md")]
        assert missing == [], path


def test_the_commands_of_the_check_itself_are_told_apart() -> None:
    assert problems_of("anxin serve --role api") == []
    assert problems_of("anxin serve --nonsense") == ["anxin serve --nonsense: no option --nonsense"]
    assert problems_of("anxinctl device fly") == ["anxinctl device fly: no command fly"]
    assert problems_of("anxinctl alarm list|mute") == ["anxinctl alarm list|mute: no command mute"]


def test_the_exit_codes_of_anxinctl_are_those_of_the_table() -> None:
    table = rows(section(PROVISIONING, "Commands"))
    assert {int(row[0]) for row in table if row[0].isdecimal()} == {
        value for name, value in vars(Exit).items() if name.isupper()
    }


# settings, metrics, log lines, states -------------------------------------------------------------------------------


def test_every_setting_stands_in_the_table_with_its_default_and_no_other() -> None:
    table = {row[0].strip("`"): row[1].strip("`") for row in rows(section(OPERATIONS, "Settings"))}
    assert set(table) == {"ANXIN_" + name.upper() for name in Settings.model_fields}
    words = {"–": "required", "none": None, "empty": "", "the shipped ones": (), "no URLs": ()}
    for name, field in Settings.model_fields.items():
        written = table["ANXIN_" + name.upper()]
        said = words.get(written, written)
        default = "required" if field.is_required() else field.default
        plain = default if default in ("required", None, "", ()) else str(default).lower()
        assert said == plain, name


def test_no_document_names_a_variable_that_nobody_reads() -> None:
    known = {"ANXIN_" + name.upper() for name in Settings.model_fields}
    folders = ("hub", "provisioning", "tests/faults", "scripts", "deploy")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".yaml", "")]
    files = [path for path in files if path.is_file()] + [ROOT / "docker-compose.yml", ROOT / "tests/conftest.py"]
    for path in files:
        known |= set(re.findall(r"ANXIN_[A-Z_]+", path.read_text("utf-8", "replace")))
    for document in DOCUMENTS:
        assert set(re.findall(r"ANXIN_[A-Z_]+[A-Z]", text(document))) - known == set(), document


def test_every_metric_stands_in_the_table_and_no_other() -> None:
    registry = CollectorRegistry()
    Meter(lambda *_: None, registry)  # type: ignore[arg-type]
    standby = Standby("postgresql://nobody@/nowhere", Broker("nowhere"), {})
    families = [*registry.collect(), *_IngestMetrics(types.SimpleNamespace(lanes=[])).collect()]  # type: ignore[arg-type]
    families += BlindnessMetrics(Counters()).collect()
    families += _EscalationMetrics(escalator.Counters()).collect()
    families += DutyMetrics(types.SimpleNamespace(state=None)).collect()  # type: ignore[arg-type]
    families += [*_StandbyMetrics(standby).collect(), *_AuditorMetrics(Watch()).collect()]
    there = {family.name + "_total" * (family.type == "counter") for family in families}
    assert set(re.findall(r"`(anxin_[a-z_]+)`", section(OPERATIONS, "What to watch"))) == there


def test_every_log_line_that_is_named_is_written_somewhere() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "hub").rglob("*.py"))
    named = [row[0] for row in rows(section(OPERATIONS, "Logs"))] + [
        section(OPERATIONS, "Logs").split("For information")[1]
    ]
    events = re.findall(r"`([a-z_.]+)`", " ".join(named))
    assert len(events) > 15
    assert [event for event in events if f'"{event}"' not in sources] == []


def test_the_causes_of_a_link_state_are_those_of_the_core_the_api_and_the_dashboards() -> None:
    table = rows(section(OPERATIONS, "When something dies"))
    named = {cause for row in table if "nline" in row[0] + row[1] or "`unknown`" in row[0] or "`offline`" in row[0]
             for cause in re.findall(r"`([a-z_]+)`", row[1])}  # fmt: skip
    assert named == CAUSES.keys() - {""} == set(get_args(LinkCauseName)) - {""} == set(DASHBOARD_CAUSES)
    assert {cause.value for cause in Cause} <= named
    words = yaml.safe_load((ROOT / "hub/web/translations/words.yaml").read_text("utf-8"))
    assert {word.removeprefix("cause.") for word in words if word.startswith("cause.")} == named
    said = {row[0].strip("`") for row in rows(section(OPERATIONS, "Blindness")) if row[0].startswith("`")}
    assert said | {"device", "hub", "database"} == {cause.value for cause in Cause}
    used = set()
    for module in ("liveness", "supervision"):
        for call in calls(ROOT / f"hub/core/{module}.py", "Verdict"):
            used |= {str(one.value) for one in call.args if isinstance(one, ast.Constant) and one.value}
    assert used <= named


# the protocol -------------------------------------------------------------------------------------------------------


def calls(path: Path, *names: str, writing: bool = True) -> Iterator[ast.Call]:
    """Every call of these names in a module; without those in functions that write for a client, where `writing` is false."""
    tree = ast.parse(path.read_text("utf-8"))
    parts = [part for part in tree.body if writing or not getattr(part, "name", "").startswith(("encode_", "join_"))]
    for node in (node for part in parts for node in ast.walk(part)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node


def test_the_topics_of_the_protocol_page_are_those_of_the_code() -> None:
    named = re.findall(r"`((?:anxin/v1/<partition>/<client>|…)/(?:up|down)/[a-z]+)`", section(PROTOCOL, "Topics"))
    topics = [name.replace("…", "anxin/v1/<partition>/<client>") for name in named]
    others = wire.configuration_topic, wire.state_topic, siren_topic, siren_answer_topic, order_topic
    for own in (topic(0, "x") for topic in others):
        topics.remove(own.replace("/0/x/", "/<partition>/<client>/"))
    read = {wire.parse_topic(topic.replace("<partition>", "3").replace("<client>", "edge-1")) for topic in topics}
    assert read == {wire.Topic(3, "edge-1", way, lane) for way in ("up", "down") for lane in Lane}


def test_the_codes_of_the_protocol_page_are_those_of_the_code() -> None:
    place = {"BadInput": 2, "Refused": 1, "_refused_struct": 1, "Quarantined": 6}
    used = set()
    for file in ("core/wire.py", "core/intake.py", "core/proofs.py", "core/normalise.py", "runtime/ingest.py"):
        for call in calls(ROOT / "hub" / file, *place, writing=False):
            name = call.func.id  # type: ignore[attr-defined]
            given = [word.value for word in call.keywords if word.arg == "code"] + call.args[
                place[name] : place[name] + 1
            ]
            used |= {code.value for code in given if isinstance(code, ast.Constant)}
    table = rows(section(PROTOCOL, "What the hub refuses, and where it is seen"))
    assert {row[0].strip("`") for row in table} == used


def test_the_bounds_of_the_protocol_page_are_those_of_the_code() -> None:
    page = text(PROTOCOL)
    for number in (wire.MAX_PAYLOAD, wire.MAX_SAMPLES, wire.MAX_REJECTS, wire.MAX_TEXT, wire.QUARANTINED_BYTES):
        assert f"{number:,}" in page


# links and tests that are named -------------------------------------------------------------------------------------


def markdown() -> list[Path]:
    skipped = {".venv", ".git", "node_modules"}
    return [path for path in ROOT.rglob("*.md") if not skipped & set(path.relative_to(ROOT).parts)]


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for path in markdown():
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
            file, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            there = path.parent / file if file else path
            heads = (
                re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.M)
                if there.suffix == ".md" and there.exists()
                else []
            )
            slugs = {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}
            if not there.exists() or (anchor and anchor not in slugs):
                broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert broken == []


def test_files_that_are_named_exist() -> None:
    folders = "docs|hub|tests|scripts|provisioning|drivers|device-profiles|rule-packs|deploy"
    for document in DOCUMENTS:
        named = [re.match(rf"(?:{folders})/[\w./-]*", code) for code in inline(document)]
        paths = {found[0] for found in named if found and not re.search(r"[<*…{]|NNNN", found.string)}
        assert [path for path in sorted(paths) if not (ROOT / path.split("::")[0]).exists()] == [], document


def test_every_guarantee_names_tests_that_exist() -> None:
    table = rows(section(OPERATIONS, "Guarantees"))
    assert len(table) > 15
    for number, promise, proof, _ in table:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", proof)
        assert named or "the two above" in proof, f"{number} {promise}"
        for file, test in named:
            assert re.search(rf"^(async )?def {test}\(", text(file), re.M), f"{number}: {file}::{test}"


# manifests ----------------------------------------------------------------------------------------------------------

LISTS: dict[str, type[BaseModel]] = {
    "divisions": manifest.Division,
    "register": manifest.RegisterEntry,
    "groups": manifest.Group,
    "responders": manifest.Responder,
    "rotas": manifest.Rota,
    "shifts": manifest.Shift,
    "policies": manifest.Policy,
    "steps": manifest.PolicyStep,
    "institutions": manifest.Institution,
    "zones": manifest.Zone,
    "positions": manifest.Position,
    "edges": manifest.Edge,
    "local_rules": manifest.LocalRule,
    "endpoints": manifest.Endpoint,
    "devices": manifest.Device,
}


def test_the_table_of_manifests_has_every_key_and_marks_those_that_must_be_given() -> None:
    table = {row[0].strip("… `"): row[1] for row in rows(section(PROVISIONING, "Manifests"))}
    assert set(table) == set(LISTS)
    for name, model in LISTS.items():
        cell = re.sub(r"\([^)]*\)", "", table[name]).split(":")[0]  # what is in brackets belongs to the key before
        inner = (
            set(LISTS) & {"zones", "positions", "edges", "endpoints", "devices"} if name == "institutions" else set()
        )
        assert set(re.findall(r"`(\w+)`", cell)) == set(model.model_fields) - inner, name
        required = {key for key, field in model.model_fields.items() if field.is_required()}
        assert set(re.findall(r"\*\*`(\w+)`\*\*", cell)) == required, name


def test_the_manifest_of_the_example_is_one() -> None:
    [example] = blocks(PROVISIONING, "yaml")
    manifest.Manifest.model_validate(yaml.safe_load(example))


def test_every_variable_of_the_demos_manifests_is_explained() -> None:
    used = {
        name
        for path in (ROOT / "provisioning/manifests").rglob("*.yaml")
        for name in re.findall(r"\$\{env:(\w+)\}", path.read_text("utf-8"))
    }
    assert set(re.findall(r"`(ANXIN_DEMO_\w+)`", text(PROVISIONING))) == used


def test_every_decision_has_a_number_of_its_own_and_the_same_in_its_title() -> None:
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    numbers = [path.name[:4] for path in pages]
    assert numbers == sorted(set(numbers))
    for path in pages:
        assert re.match(rf"# {path.name[:4]}:? \w", path.read_text("utf-8")), path.name


# two languages -------------------------------------------------------------------------------------------------


def test_the_readme_is_the_same_in_both_languages() -> None:
    english, chinese = "README.md", "README.zh-CN.md"
    assert [re.sub(r" +#.*", "", block) for block in blocks(english)[:1]] == [
        re.sub(r" +#.*", "", block) for block in blocks(chinese)[:1]
    ]
    assert blocks(english)[1:-1] == blocks(chinese)[1:-1]  # the last one is the picture
    for pattern in (r"^#+ ", r"^\| ", r"^\*\*\d\. "):
        assert len(re.findall(pattern, text(english), re.M)) == len(re.findall(pattern, text(chinese), re.M)), pattern
    links = [set(re.findall(r"\]\(([^)]+)\)", text(name))) - {english, chinese} for name in (english, chinese)]
    assert links[0] == links[1]


def test_the_json_of_the_protocol_page_is_json() -> None:
    for block in blocks(PROTOCOL, "json"):
        wire.decode_up(json.dumps(json.loads(block)).encode())
