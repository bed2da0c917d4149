"""What zones are for, and what kinds of institutions there are: the words that manifests and rule packs share.

The purposes are those named in the texts (standards catalogue, sections 13 and 14); the sets below are this hub's reading of them.
"""

from enum import StrEnum


class ZonePurpose(StrEnum):
    """What a zone is used for."""

    RECEPTION = "reception"
    ACTIVITY_ROOM = "activity_room"
    NAP_ROOM = "nap_room"
    INFANT_ROOM = "infant_room"
    FEEDING_AREA = "feeding_area"
    INDOOR_PLAY = "indoor_play"
    OUTDOOR_PLAY = "outdoor_play"
    ENTRANCE = "entrance"
    GATE = "gate"
    PERIMETER = "perimeter"
    LOBBY = "lobby"
    CORRIDOR = "corridor"
    STAIRS = "stairs"
    OFFICE = "office"
    DUTY_ROOM = "duty_room"
    KITCHEN = "kitchen"
    STORAGE = "storage"
    HEALTH_ROOM = "health_room"
    PLANT_ROOM = "plant_room"
    TOILET = "toilet"
    CHANGING_ROOM = "changing_room"
    NURSING_ROOM = "nursing_room"
    STAFF_REST = "staff_rest"

    @property
    def zh(self) -> str:
        """Its Chinese name."""
        return _PURPOSE_TITLES[self][0]

    @property
    def en(self) -> str:
        """Its English name."""
        return _PURPOSE_TITLES[self][1]


class InstitutionType(StrEnum):
    """Kinds of institutions: they differ in the texts that hold them."""

    PUBLIC_COMPREHENSIVE = "public_comprehensive"
    PRIVATE = "private"
    COMMUNITY_POINT = "community_point"
    EMPLOYER = "employer"
    HOME_POINT = "home_point"
    NURSERY_CLASS = "nursery_class"
    STATION = "station"
    """a parenting station, where nobody said of which kind"""
    STATION_BASIC = "station_basic"
    STATION_MODEL = "station_model"

    @property
    def zh(self) -> str:
        """Its Chinese name."""
        return _TYPE_TITLES[self][0]

    @property
    def en(self) -> str:
        """Its English name."""
        return _TYPE_TITLES[self][1]


_P, _T = ZonePurpose, InstitutionType

_PURPOSE_TITLES = {
    _P.RECEPTION: ("接待场所", "reception"),
    _P.ACTIVITY_ROOM: ("活动室", "activity room"),
    _P.NAP_ROOM: ("睡眠区", "nap room"),
    _P.INFANT_ROOM: ("乳儿室", "infant room"),
    _P.FEEDING_AREA: ("配餐区", "feeding area"),
    _P.INDOOR_PLAY: ("室内活动场地", "indoor playground"),
    _P.OUTDOOR_PLAY: ("室外活动场地", "outdoor playground"),
    _P.ENTRANCE: ("主要出入口", "main entrance"),
    _P.GATE: ("园区大门", "gate"),
    _P.PERIMETER: ("周界", "perimeter"),
    _P.LOBBY: ("门厅", "lobby"),
    _P.CORRIDOR: ("走廊", "corridor"),
    _P.STAIRS: ("楼梯间", "stairs"),
    _P.OFFICE: ("办公场所", "office"),
    _P.DUTY_ROOM: ("门卫值班室", "duty room"),
    _P.KITCHEN: ("厨房", "kitchen"),
    _P.STORAGE: ("储藏区", "storage"),
    _P.HEALTH_ROOM: ("保健观察室", "health room"),
    _P.PLANT_ROOM: ("设备用房", "plant room"),
    _P.TOILET: ("卫生间", "toilet"),
    _P.CHANGING_ROOM: ("更衣室", "changing room"),
    _P.NURSING_ROOM: ("母婴室", "nursing room"),
    _P.STAFF_REST: ("员工休息室", "staff rest room"),
}

_TYPE_TITLES = {
    _T.PUBLIC_COMPREHENSIVE: ("公办示范性综合托育机构", "public comprehensive centre"),
    _T.PRIVATE: ("社会办托育机构", "private centre"),
    _T.COMMUNITY_POINT: ("社区托育点", "community point"),
    _T.EMPLOYER: ("用人单位办托", "employer's nursery"),
    _T.HOME_POINT: ("家庭托育点", "home-based point"),
    _T.NURSERY_CLASS: ("幼儿园托班", "kindergarten nursery class"),
    _T.STATION: ("成长驿站", "parenting station"),
    _T.STATION_BASIC: ("成长驿站（基础型）", "parenting station, basic"),
    _T.STATION_MODEL: ("成长驿站（示范型）", "parenting station, model"),
}

FORBIDDEN_FOR_VIDEO = frozenset({_P.TOILET, _P.CHANGING_ROOM, _P.NURSING_ROOM, _P.STAFF_REST})
"""Order 799 of the State Council, Art. 8: the prohibition wins over every coverage rule."""

INFANT_ZONES = frozenset(
    {_P.ACTIVITY_ROOM, _P.NAP_ROOM, _P.INFANT_ROOM, _P.FEEDING_AREA, _P.INDOOR_PLAY, _P.OUTDOOR_PLAY}
)
"""Where infants live and play."""

ROOMS = frozenset(_P) - {_P.OUTDOOR_PLAY, _P.ENTRANCE, _P.GATE, _P.PERIMETER, _P.KITCHEN, _P.TOILET, _P.CHANGING_ROOM}
"""Enclosed rooms that a smoke detector belongs in. A kitchen has gas and heat detectors instead; wet rooms are left out."""

OUTDOORS = frozenset({_P.OUTDOOR_PLAY, _P.GATE, _P.PERIMETER})
"""What is no floor of the building: a playground makes no station larger, and asks for no extinguishers by its area."""

GENERAL_AREAS = frozenset({_P.LOBBY, _P.CORRIDOR, _P.STAIRS, _P.OFFICE})
"""Changzhi's "general area" is not defined in its plan; this is the hub's reading, to be confirmed by the city."""

ZONE_SETS: dict[str, frozenset[ZonePurpose]] = {
    "forbidden_for_video": FORBIDDEN_FOR_VIDEO,
    "infant_zones": INFANT_ZONES,
    "rooms": ROOMS,
    "general_areas": GENERAL_AREAS,
}
"""Names that a rule pack may use instead of listing purposes."""


def purpose_title(purpose: str) -> tuple[str, str]:
    """Chinese and English name of a purpose; the word itself where it is none of ours."""
    return _PURPOSE_TITLES[ZonePurpose(purpose)] if purpose in set(_P) else (purpose, purpose)
