"""`anxinctl prove`, `proof`, `drill` and `window` against the real API; where prover and ingest would act, the test does."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.cli.conftest import Command, Ground, Server

SERVING = (
    "update device_state s set admin_state = 'in_service' from device d where d.key = s.device and d.id = 'center-sos'"
)


@pytest.fixture
def ground(demo_ground: Ground) -> Ground:
    """The demo's city, applied."""
    return demo_ground


@pytest.fixture(autouse=True)
def city(server: Server) -> None:
    """Its panic button is in service."""
    server.rows(SERVING)


@pytest.fixture
def prover(server: Server) -> Iterator[list[str]]:
    """Somebody who ends proofs as they come; put `failed` into the list for the next one's end."""
    verdicts: list[str] = []
    over = threading.Event()

    def judge() -> None:
        while not over.wait(0.05):
            for (proof,) in server.rows("select id from proof where finished_at is null"):
                state = verdicts.pop(0) if verdicts else "passed"
                server.rows(
                    "update proof set state = %s, reason = %s, finished_at = now(), sent_at = requested_at + interval '20 ms',"
                    " edge_at = requested_at + interval '25 ms', hub_at = requested_at + interval '50 ms',"
                    " received_at = requested_at + interval '150 ms' where id = %s",
                    [state, "" if state == "passed" else "the edge refused: the link is down", proof],
                )

    thread = threading.Thread(target=judge)
    thread.start()
    yield verdicts
    over.set()
    thread.join(10)


def narrow(text: str) -> bool:
    return max(cell_len(line) for line in text.splitlines()) <= 80


def drill(tmp_path: Path, minutes: int = 5) -> Path:
    now = datetime.now(UTC)
    at = now + timedelta(minutes=minutes)
    file = tmp_path / "drill.yaml"
    file.write_text(
        "title: {zh: 秋季消防演练, en: Autumn fire drill}\n"
        "place: {institution: demo-center}\n"
        f"starts_at: {now.isoformat()}\n"
        f"ends_at: {(now + timedelta(minutes=30)).isoformat()}\n"
        "presses:\n"
        f"  - {{institution: demo-center, position: reception-desk, signal_class: panic, at: {at.isoformat()}, tolerance_seconds: 60}}\n",
        "utf-8",
    )
    return file


def test_a_proof_is_followed_to_its_end_with_every_hop(ctl: Command, prover: list[str]) -> None:
    done = ctl("prove", "center-sos", "--level", "hub")
    assert done.code == 0, done.err
    for words in ("center-sos", "passed 通过", "平台接收 hub in", "+100 ms", "by the edge's clock"):
        assert words in done.out
    assert narrow(done.out)
    listed = ctl("proof", "list", "--institution", "demo-center")
    assert "reception-desk" in listed.out
    assert narrow(listed.out)
    unproven = json.loads(ctl("proof", "list", "--unproven", "15", "--json").out)
    assert "reception-desk" not in {row["position"] for row in unproven}
    assert len(unproven) > 0


def test_a_proof_that_fails_ends_with_one_and_its_reason(ctl: Command, prover: list[str]) -> None:
    prover.append("failed")
    failed = ctl("prove", "--institution", "demo-center", "--position", "reception-desk")
    assert failed.code == 1
    assert "the link is down" in failed.out
    assert narrow(failed.out)


def test_what_cannot_be_proven_is_refused_in_words(ctl: Command) -> None:
    assert ctl("prove").code == 2
    assert ctl("prove", "center-sos", "--institution", "demo-center", "--position", "reception-desk").code == 2
    nothing = ctl("prove", "center-cam-entrance")
    assert nothing.code != 0
    assert "center-cam-entrance" in nothing.err or "fire or panic" in nothing.err


def test_a_drill_is_declared_recorded_and_reported(ctl: Command, tmp_path: Path) -> None:
    made = ctl("drill", "declare", "-f", drill(tmp_path))
    assert made.code == 0, made.err
    assert "【演练 DRILL】秋季消防演练" in made.out
    assert narrow(made.out)
    (row,) = json.loads(ctl("drill", "list", "--json").out)
    short = row["id"][:8]
    assert narrow(ctl("drill", "list").out)
    for word, kind in (("arrived", "arrival"), ("all-clear", "all_clear")):
        done = ctl("drill", word, short, "demo-center", "--note", "门口", "--json", who="operator")
        assert done.code == 0, done.err
        assert [mark["kind"] for mark in json.loads(done.out)["institutions"][0]["marks"]][-1] == kind
    shown = ctl("drill", "show", short)
    assert "reception-desk panic" in shown.out
    assert narrow(shown.out)
    for kind, words in (("html", "演练 DRILL"), ("csv", "first_notice_s")):
        file = tmp_path / f"report.{kind}"
        assert ctl("drill", "report", short, "-o", file).code == 0
        assert words in file.read_text("utf-8")
        assert ctl("drill", "report", short, "-o", file).code == 2
        assert ctl("drill", "report", short, "-o", file, "--force").code == 0
    assert ctl("drill", "report", short, "-o", tmp_path / "report.pdf").code == 2
    assert ctl("drill", "cancel", short).code == 0
    assert ctl("drill", "cancel", short).code == 1


def test_a_file_that_is_no_drill_is_refused_and_named(ctl: Command, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    for text, words in (("[", "wrong.yaml"), ("- a", "a mapping"), ("\x00", "wrong.yaml"), ("unknown: 1\n", "#/")):
        file.write_text(text, "utf-8")
        refused = ctl("drill", "declare", "-f", file)
        assert refused.code == 2
        assert words in refused.err
    assert ctl("drill", "declare", "-f", tmp_path / "none.yaml").code == 2


def test_a_button_that_dials_the_police_waits_for_its_window_and_the_receipt_is_stored(
    ctl: Command, server: Server
) -> None:
    server.rows("update device set dials_police = true where id = 'center-sos'")
    refused = ctl("device", "test", "center-sos", "--within", "1")
    assert refused.code == 1
    assert "police" in refused.err
    now = datetime.now(UTC)
    span = ("--from", (now - timedelta(minutes=1)).isoformat(), "--to", (now + timedelta(hours=1)).isoformat())
    booked = ctl("window", "book", "center-sos", "--reference", "JZ-117", "--agreed-by", "值班长", *span, "--json")
    assert booked.code == 0, booked.err
    window = json.loads(booked.out)["id"][:8]
    assert ctl("window", "receipt", window, "--number", "110-8841", "--text", "已收到").code == 0
    assert ctl("window", "receipt", window, "--number", "110-8842", "--text", "再次").code == 1
    listed = ctl("window", "list", "--device", "center-sos")
    assert "110-8841" in listed.out
    assert narrow(listed.out)
    assert ctl("window", "cancel", window).code == 1
