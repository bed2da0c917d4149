"""`anxinctl floor`: the pictures of an institution's floors, on which the console shows where an alarm is."""

from pathlib import Path

from provisioning import show
from provisioning.client import Hub
from provisioning.errors import Exit, HubError, sent_from


def list_floors(hub: Hub, institution: str, *, as_json: bool) -> None:
    """The floor plans of an institution."""
    with hub:
        found = hub.get(f"/institutions/{institution}/floors")
    if as_json:
        show.as_json(found)
        return
    if not found:
        show.console().print("没有平面图 No floor plans.")
        return
    show.table(
        ["楼层\nFloor", "类型\nType", "像素\nPixels", "字节\nBytes", "更新\nUpdated"],
        (
            [
                str(row["floor"]),
                row["media_type"],
                f"{row['width']} x {row['height']}",
                str(row["bytes"]),
                f"{show.ago(row['updated_at'])}, {row['updated_by']}",
            ]
            for row in found
        ),
    )


def put_floor(hub: Hub, institution: str, floor: int, file: Path) -> None:
    """Store a floor's picture; the hub says what it does not take."""
    try:
        picture = file.read_bytes()
    except OSError as error:
        raise HubError(f"{file}: {error.strerror}", Exit.BAD_INPUT) from None
    with hub, sent_from(file):
        hub.put_bytes(f"/institutions/{institution}/floors/{floor}/plan", picture)
    show.console().print(f"{institution}: 楼层 floor {floor}: {len(picture)} B")


def remove_floor(hub: Hub, institution: str, floor: int) -> None:
    """Delete a floor's picture."""
    with hub:
        hub.delete(f"/institutions/{institution}/floors/{floor}/plan")
    show.console().print(f"{institution}: 楼层 floor {floor}: 已删除 deleted")
