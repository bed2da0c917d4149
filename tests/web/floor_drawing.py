"""The floor plan of the demo's centre, drawn here so that its source is in the tree: an invented house, as a page for the browser to photograph."""

from playwright.async_api import Browser

WIDTH, HEIGHT = 1200, 760
ROOMS = (
    (0, 0, 560, 430, "活动室", "Activity room", "#fdf6e3"),
    (560, 0, 640, 430, "接待厅", "Reception", "#eaf3fb"),
    (0, 430, 340, 330, "厨房", "Kitchen", "#f3efe9"),
    (340, 430, 220, 330, "幼儿卫生间", "Children's toilet", "#e8f5f1"),
    (560, 430, 640, 330, "主出入口", "Main entrance", "#f6f6f6"),
)
DOORS = (
    (520, 425, 80, 10),
    (555, 330, 10, 70),
    (850, 752, 110, 12),
    (120, 752, 90, 12),
    (780, 425, 110, 10),
    (400, 425, 80, 10),
)


def drawing() -> str:
    """The plan as SVG."""
    rooms = "".join(
        f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="{fill}" stroke="#39434d" stroke-width="8"/>'
        f'<text x="{x + w / 2}" y="{y + h / 2 + 40}" text-anchor="middle" font-size="30" fill="#4a5560">{zh}</text>'
        f'<text x="{x + w / 2}" y="{y + h / 2 + 70}" text-anchor="middle" font-size="18" fill="#7b8792">{en}</text>'
        for x, y, w, h, zh, en, fill in ROOMS
    )
    doors = "".join(f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="#fff"/>' for x, y, w, h in DOORS)
    style = 'font-family="sans-serif"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" {style}>{rooms}{doors}</svg>'


async def photographed(browser: Browser) -> bytes:
    """The plan as PNG."""
    page = await browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    await page.set_content(f"<style>body{{margin:0}}</style>{drawing()}")
    picture = await page.screenshot(type="png")
    await page.close()
    return picture
