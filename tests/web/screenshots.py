"""`scripts/screenshots`: starts the demo, plays it by hand, and photographs the console into docs/screenshots.

`scripts/screenshots FOLDER` photographs every page, on a desk and on a phone, into a folder instead: to look at them with fresh eyes.

Everything on the pictures is invented: the demo's institutions, posts instead of people, telephone numbers that nobody has.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import httpx
from playwright.async_api import Browser, Page, expect

from hub.engine.browser import ensure_browser
from tests.web.floor_drawing import photographed
from tests.web.served import WAIT, chromium

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "docs" / "screenshots"
MOST = 200_000
"""bytes of a picture"""
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 720}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


class Demo:
    """The demo as a person has it: its page's address, and keys to press."""

    def __init__(self, process: asyncio.subprocess.Process, known: dict[str, str]) -> None:
        self._process = process
        self.console = known["console"]
        self.api = httpx.AsyncClient(
            base_url=f"{known['api']}/api/v1", headers={"authorization": f"Bearer {known['token']}"}, timeout=30
        )

    async def press(self, letter: str) -> None:
        """A key in the demo's terminal."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{letter}\n".encode())
        await self._process.stdin.drain()

    async def token(self, name: str, role: str) -> str:
        """A token for a post."""
        asked = {"name": name, "kind": "person", "role": role, "scope": {"everything": True}}
        answer = await self.api.post("/tokens", json=asked)
        answer.raise_for_status()
        return str(answer.json()["secret"])

    async def alarms(self, count: int) -> list[dict[str, Any]]:
        """The active alarms, once there are so many."""
        for _ in range(600):
            rows: list[dict[str, Any]] = (await self.api.get("/alarms", params={"active": True})).json()["items"]
            if len(rows) >= count:
                return rows
            await asyncio.sleep(0.2)
        raise SystemExit(f"the demo has no {count} alarms")


@contextlib.asynccontextmanager
async def demo() -> Any:
    """The demo, up and played as far as it goes by itself."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "demo.json"
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("anxin")), "demo", "--json", str(ready), "--port", "18443"),
            stdin=asyncio.subprocess.PIPE,
            stdout=sys.stderr.fileno(),
        )
        try:
            for _ in range(1500):
                if ready.exists() or process.returncode is not None:
                    break
                await asyncio.sleep(0.2)
            yield Demo(process, json.loads(ready.read_text()))
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def shoot(page: Page, name: str, *, whole: bool = False) -> None:
    """One picture."""
    await page.wait_for_load_state("load")
    picture = await page.screenshot(path=SHOTS / f"{name}.png", full_page=whole)
    print(f"{name}: {len(picture)} B", file=sys.stderr)
    if len(picture) > MOST:
        raise SystemExit(f"{name}.png has {len(picture)} bytes, more than {MOST}")


async def log_in(
    browser: Browser, there: Demo, token: str, scheme: Literal["light", "dark"] = "light", **more: Any
) -> Page:
    """A page of somebody who is logged in."""
    context = await browser.new_context(locale="zh-CN", timezone_id="Asia/Shanghai", color_scheme=scheme, **more)
    page = await context.new_page()
    page.set_default_timeout(WAIT)
    await page.goto(there.console)
    await page.fill("#token", token)
    await page.click("button[type=submit]")
    await expect(page.locator("#pulse")).to_have_class("pulse live")
    return page


async def main() -> None:
    """All pictures."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=WAIT)
    async with chromium(ensure_browser()) as browser:
        (ROOT / "provisioning/manifests/demo/center-floor-1.png").write_bytes(await photographed(browser))
        async with demo() as there:
            await (take(browser, there) if len(sys.argv) < 2 else look(browser, there, Path(sys.argv[1])))


PAGES = (
    *(
        "",
        "alarms",
        "institutions",
        "institutions/demo-center",
        "duty",
        "drills",
        "drills/new",
        "drills/new?institution=demo-center",
    ),
    *(
        "proofs",
        "tests",
        "maintenance?institution=demo-center",
        "maintenance",
        "noise?days=7",
        "alarms/{alarm}",
        "alarms/{alarm}/why",
    ),
    *("devices/{device}", "alarms/00000000-0000-0000-0000-000000000000", "drills/{drill}", "proofs/{proof}"),
    "coverage",
    "coverage/demo-center",
    "coverage/demo-center/what-if",
)


async def look(browser: Browser, there: Demo, folder: Path) -> None:
    """Every page, wide and narrow, while something goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    one = await there.token("值班一席 Desk 1", "admin")
    for letter in "puf":
        await there.press(letter)
    rows = await there.alarms(3)
    alarm = next(row for row in rows if row["signal_class"] == "panic")
    now = datetime.now(UTC)
    press = {
        "institution": alarm["institution"],
        "position": alarm["position"],
        "at": (now + timedelta(minutes=3)).isoformat(),
    }
    drill = {
        "title": {"zh": "秋季一键报警演练", "en": "Autumn panic drill"},
        "place": {"institution": alarm["institution"]},
        "starts_at": now.isoformat(),
        "ends_at": (now + timedelta(hours=1)).isoformat(),
        "presses": [press],
    }
    window = {
        "institution": alarm["institution"],
        "until": (now + timedelta(hours=2)).isoformat(),
        "reason": "更换交换机",
    }
    made = {}
    for name, path, body in (
        ("drill", "/drills", drill),
        ("proof", "/proofs", {"device": alarm["device"]}),
        ("window", "/maintenance-windows", window),
        ("armed", f"/institutions/{alarm['institution']}/armed", {"mode": "armed", "reason": "夜间"}),
    ):
        answer = await there.api.post(path, json=body)
        print(name, answer.status_code, answer.text[:200], file=sys.stderr)
        made[name] = answer.json().get("id", "")
    names = {"alarm": alarm["id"], "device": alarm["device"], "drill": made["drill"], "proof": made["proof"]}
    for kind, size in (("desk", {"viewport": {"width": 1440, "height": 900}}), ("phone", PHONE)):
        page = await log_in(browser, there, one, **size)
        for n, path in enumerate(PAGES):
            await page.goto(there.console + path.format(**names))
            await page.wait_for_timeout(1500)
            wide = await page.evaluate("document.documentElement.scrollWidth")
            print(kind, path, wide, file=sys.stderr)
            await page.screenshot(path=folder / f"{kind}-{n:02}.png", full_page=True)
    page = await log_in(browser, there, one, "dark", **PHONE)
    for n, path in ((0, ""), (13, "alarms/{alarm}"), (3, "institutions/demo-center"), (8, "proofs")):
        await page.goto(there.console + path.format(**names))
        await page.wait_for_timeout(1000)
        await page.screenshot(path=folder / f"night-{n:02}.png", full_page=True)
    await page.context.set_offline(True)
    await page.wait_for_timeout(11000)
    await page.screenshot(path=folder / "night-lost.png")


async def take(browser: Browser, there: Demo) -> None:
    """The pictures of one demo."""
    one = await there.token("值班一席 Desk 1", "operator")
    desk = await log_in(browser, there, one, **DESK)
    await shoot(desk, "board-calm")
    for letter in "puf":
        await there.press(letter)
    rows = await there.alarms(3)
    panic = next(row for row in rows if row["signal_class"] == "panic")
    await expect(desk.locator("article.alarm")).to_have_count(len(rows))
    await desk.locator(".alarm.c-communication form.acknowledge button").first.click()
    await expect(desk.locator("article.owned")).to_have_count(1)
    await shoot(desk, "board")
    night = await log_in(browser, there, one, "dark", **DESK)
    await shoot(night, "board-night")
    await desk.goto(f"{there.console}alarms/{panic['id']}")
    await desk.set_viewport_size({"width": 1080, "height": 960})
    await shoot(desk, "alarm")
    await desk.locator("#timeline").screenshot(path=SHOTS / "timeline.png")
    await desk.set_viewport_size({"width": 1280, "height": 720})
    phone = await log_in(browser, there, one, **PHONE)
    await shoot(phone, "phone-board")
    await phone.goto(f"{there.console}alarms/{panic['id']}")
    await shoot(phone, "phone-alarm")
    await desk.goto(f"{there.console}institutions/demo-center")
    await desk.set_viewport_size({"width": 1080, "height": 1100})
    await shoot(desk, "institution")
    await desk.locator("#readings").evaluate("e => e.scrollIntoView()")
    await shoot(desk, "readings")
    await desk.set_viewport_size({"width": 1280, "height": 720})
    await desk.goto(f"{there.console}institutions")
    await shoot(desk, "institutions")
    camera = next(row for row in rows if row["signal_class"] == "communication")
    for name, path in (
        ("device", f"devices/{camera['device']}"),
        ("why", f"alarms/{panic['id']}/why"),
        ("drill-plan", "drills/new?institution=demo-center"),
        ("proofs", "proofs"),
    ):
        await desk.goto(there.console + path)
        await expect(desk.locator("#pulse")).to_have_class("pulse live")
        await shoot(desk, name)
    await desk.goto(there.console)
    await expect(desk.locator("#pulse")).to_have_class("pulse live")
    await desk.keyboard.press("?")
    await shoot(desk, "keys")
    await desk.keyboard.press("Escape")
    await desk.context.set_offline(True)
    await expect(desk.locator("#lost")).to_be_visible()
    await shoot(desk, "connection-lost")


if __name__ == "__main__":
    asyncio.run(main())
