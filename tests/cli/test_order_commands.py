"""`anxinctl orders …`, `waivers …` and `ledger …` against the real API."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openpyxl

from tests.cli.conftest import DEMO, Command, Server

RULE = "changzhi-panic"


def test_an_order_is_issued_answered_and_withdrawn_a_violation_waived_and_the_ledger_taken(
    ctl: Command, server: Server, environment: dict[str, str], tmp_path: Path
) -> None:
    assert ctl("apply", "-f", DEMO / "demo", "--yes").code == 0
    ((place,),) = server.rows("select id::text from institution where partition >= 0 order by id limit 1")
    cited = json.dumps(
        {"title_zh": "规则", "title_en": "Rule", "document": "d", "number": "n", "clause": "c", "force": "POL"}
    )
    ((order,),) = server.rows(
        "insert into work_order (institution, rule, basis, module, citation, sentence_zh, sentence_en, violation_since, days_to_remedy, drafted_at)"
        " select key, %s, 'target', 'panic', %s, '缺少一键报警', 'No panic button', now(), 30, now() from institution where id = %s returning id::text",
        [RULE, cited, place],
    )
    listed = json.loads(ctl("orders", "list", "--json").out)
    assert [(row["id"], row["state"], row["institution"]) for row in listed] == [(order, "draft", place)]
    assert ctl("orders", "issue", order[:8], who="operator").code == 4
    issued = ctl("orders", "issue", order[:8], "-m", "请整改", who="admin")
    assert (issued.code, "已下达" in issued.out) == (0, True), issued
    answered = ctl("orders", "answer", order[:8], "-m", "已装", "--attachment", "验收单", who="operator")
    assert (answered.code, "验收单" in answered.out) == (0, True), answered
    assert "已答复" in ctl("orders", "list", "--division", "14").out
    assert "没有整改" in ctl("orders", "list", "--raised-to", "14").out
    assert ctl("orders", "answer", "00000000", "-m", "x", who="operator").code == 1
    assert "缺少一键报警" in ctl("orders", "show", order[:8]).out
    assert ctl("orders", "withdraw", order[:8], "-m", "误判", who="admin").code == 0
    assert "没有整改" in ctl("orders", "list").out

    until = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    assert ctl("waivers", "grant", place, RULE, "-m", "改造中", "--until", until, who="operator").code == 4
    assert (
        ctl("waivers", "grant", place, "national-video-forbidden", "-m", "x", "--until", until, who="admin").code == 2
    )
    granted = ctl("waivers", "grant", place, RULE, "-m", "改造中", "--until", until, who="admin")
    assert (granted.code, "豁免至" in granted.out) == (0, True), granted
    (waiver,) = json.loads(ctl("waivers", "list", "--json").out)
    assert "改造中" in ctl("waivers", "list").out
    assert ctl("waivers", "end", waiver["id"][:8], who="admin").code == 0
    assert "没有豁免" in ctl("waivers", "list").out

    month = f"{datetime.now(UTC) + timedelta(hours=8):%Y-%m}"
    book = tmp_path / "ledger.xlsx"
    taken = ctl("ledger", "month", month, "--division", "14", "-o", book)
    if taken.code == 2:  # within the first minute and a half of a month nothing is known of it
        assert "nothing was known" in taken.err
    else:
        assert taken.code == 0, taken
        assert "汇总 Summary" in openpyxl.load_workbook(io.BytesIO(book.read_bytes())).sheetnames
    assert ctl("ledger", "month", month, "--division", "14", "--format", "pdf", "-o", book).code == 2
    assert ctl("ledger", "year", str(datetime.now(UTC).year), "--division", "14", "-o", tmp_path / "no" / "x").code == 2
    assert ctl("ledger", "year", "2026", "--division", "99", "-o", book).code == 1
