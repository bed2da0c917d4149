"""`anxinctl register`, `zone-plan`, `view` and `attest` against the real API, and `anxin register import` beside them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.cli.main import app
from tests.cli.conftest import Command, Server
from tests.core.test_pictures import png

MANIFEST = """
divisions:
  - {code: "1404", title: {zh: 长治市, en: Changzhi}}
institutions:
  - id: sun
    division: "1404"
    type: community_point
    title: {zh: 晨光, en: Sun}
    zones:
      - {id: act, purpose: activity_room, title: {zh: 活动室, en: Activity room}, area_m2: 40, floor: 1, entrances: [hall], ages: [junior]}
      - {id: hall, purpose: lobby, title: {zh: 门厅, en: Hall}}
    positions:
      - {id: wall, zone: act, title: {zh: 墙, en: Wall}, sees: [{zone: act, share: 0.75}, {zone: hall, share: 0.2, masked: true}]}
    edges:
      - {id: edge-1}
    endpoints:
      - {id: nvr, driver: rtsp, edge: edge-1, settings: {host: 192.0.2.20, username: anxin, password: change-me}}
    devices:
      - {id: cam-1, profile: rtsp-camera, position: wall, endpoint: nvr, settings: {path: /1}}
"""
LIST = "备案号,机构名称,机构类型,行政区划\nCZ-1,晨光托育点,社区托育点,长治市\nCZ-2,晚霞托育点,社区托育点,1404\n"
KIND = ("attest", "record", "sun")


def test_a_regulators_day_at_the_terminal(
    ctl: Command, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, sheet = tmp_path / "sun.yaml", tmp_path / "名册.csv"
    manifest.write_text(MANIFEST, encoding="utf-8")
    sheet.write_text(LIST, encoding="gb18030")
    assert ctl("apply", "-f", manifest, "--yes").code == 0
    assert (
        json.loads(ctl("plan", "-f", manifest, "--json").out)["changes"] == []
    )  # views, entrances, children come back as declared

    # the register
    assert ctl("register", "import", sheet, "--division", "1404").code == 4  # an installer's it is not
    plan = ctl("register", "import", sheet, "--division", "1404", who="admin")
    assert (plan.code, "2 新增 added" in plan.out, "--apply" in plan.out) == (0, True, True), plan
    assert json.loads(ctl("register", "list", "--json").out) == []
    assert ctl("register", "import", sheet, "--division", "1404", "--apply", who="admin").code == 0
    assert "未接入" in ctl("register", "list", "--not-connected").out
    assert "名册.csv" in ctl("register", "imports").out
    sheet.write_text(LIST + "CZ-3,,学校,1404\n", encoding="utf-8")
    refused = ctl("register", "import", sheet, "--division", "1404", "--apply", who="admin")
    assert (refused.code, "row 4, column C" in refused.out) == (1, True), refused
    monkeypatch.setenv("ANXIN_DATABASE_URL", server.database)
    monkeypatch.setenv("ANXIN_MQTT_URL", "mqtt://127.0.0.1:1")
    local = CliRunner().invoke(app, ["register", "import", str(sheet), "--division", "1404", "--by", "局", "--apply"])
    assert (local.exit_code, "nothing was changed" in local.output) == (1, True), local.output
    skipped = [*("register", "import", str(sheet), "--division", "1404", "--by", "局"), "--apply", "--skip-bad"]
    local = CliRunner().invoke(app, skipped)
    assert (local.exit_code, "0 withdrawn, 2 the same; done" in local.output) == (0, True), local.output
    assert "不在名册" in ctl("coverage", "show").out
    assert "不在名册" in ctl("coverage", "show", "sun").out

    ours = tmp_path / "ours.yaml"
    ours.write_text(
        'register:\n  - {filing_number: CZ-9, division: "1404", type: private, title: {zh: 甲, en: A}}\n', "utf-8"
    )
    forbidden = ctl("apply", "-f", ours, "--yes")
    assert (forbidden.code, "kept by its regulator" in forbidden.err) == (4, True), forbidden
    assert ctl("apply", "-f", ours, "--yes", who="admin").code == 0

    # the zone plan
    assert "未签" in ctl("zone-plan", "list", "--state", "unsigned").out
    assert ctl("zone-plan", "sign", "sun", "--yes").code == 4
    signed = ctl("zone-plan", "sign", "sun", "--yes", "--note", "现场核对", who="admin")
    assert (signed.code, "已签署" in signed.out) == (0, True), signed
    assert "已签" in ctl("zone-plan", "show", "sun").out
    manifest.write_text(manifest.read_text("utf-8").replace("type: community_point", "type: private"), encoding="utf-8")
    assert ctl("apply", "-f", manifest, "--yes").code == 0
    retyped = ctl("zone-plan", "retypings")
    assert ("community_point" in retyped.out, "private" in retyped.out) == (True, True), retyped

    # views
    assert "未确认" in ctl("view", "list").out
    attested = ctl("view", "attest", "cam-1", "--yes")
    assert (attested.code, "已确认" in attested.out) == (0, True), attested
    views = json.loads(ctl("view", "list", "--institution", "sun", "--json").out)
    assert [(row["zone"], row["share"], row["masked"], row["attested_by"]) for row in views] == [
        ("act", 0.75, False, "测试 installer"),
        ("hall", 0.2, True, "测试 installer"),
    ]
    changed = manifest.read_text("utf-8").replace("share: 0.75", "share: 0.5")
    manifest.write_text(changed, encoding="utf-8")
    assert ctl("apply", "-f", manifest, "--yes").code == 0
    views = json.loads(ctl("view", "list", "--json").out)
    assert [row["attested_at"] is None for row in views] == [True, False]
    wrong = manifest.read_text("utf-8").replace("{zone: hall,", "{zone: nowhere,").replace("[hall]", "[nowhere]")
    manifest.write_text(wrong, encoding="utf-8")
    refused = ctl("apply", "-f", manifest, "--yes")
    assert refused.code in (1, 2), refused
    assert "nowhere" in refused.out + refused.err

    # statements
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"picture")
    refused = ctl(*KIND, "patrol", "--by", "值班员", "--attach", photo, who="operator")
    assert (refused.code, "PNG, JPEG or WebP" in refused.err + refused.out) == (2, True), refused
    photo.write_bytes(png(4, 4))
    made = ctl(*KIND, "patrol", "--by", "值班员", "--zone", "act", "--attach", photo, who="operator")
    assert (made.code, "须第二人" in made.out) == (0, True), made
    short = made.out[:8]
    assert ctl("attest", "sign", short, who="operator").code == 1
    assert ctl("attest", "sign", short, who="admin").code == 0
    assert (
        ctl("attest", "correct", short, "sun", "patrol", "--by", "值班员", "--note", "补充", who="operator").code == 0
    )
    assert "待第二人" in ctl("attest", "list", "--unsigned").out
    assert ctl(*KIND, "patrol", who="operator").code == 2
    table = tmp_path / "statements.csv"
    table.write_text("institution,kind,at,number\nsun,filing_receipt,2024-09-01,晋托备1号\n", encoding="utf-8")
    assert "1 将记录" in ctl("attest", "import", table, who="operator").out
    assert "1 已记录" in ctl("attest", "import", table, "--apply", who="operator").out
    [receipt] = json.loads(ctl("attest", "list", "--kind", "filing_receipt", "--json").out)
    assert ctl("attest", "withdraw", receipt["id"], "--note", "误录", who="operator").code == 0
    assert "撤回" in ctl("attest", "list", "--kind", "filing_receipt").out
    assert ctl("attest", "sign", "short").code == 2
