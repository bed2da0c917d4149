"""All boards, in the order in which one goes through them."""

from collections.abc import Callable, Sequence

from dashboards import alarms, coverage, fire, health, places, work
from dashboards.panels import NO_TILES, Json, spoken

LANGUAGES = ("zh", "en")
_MAKERS: Sequence[Callable[[], Json]] = (
    coverage.overview,
    coverage.modules,
    coverage.clauses,
    places.institution,
    places.zone,
    places.groups,
    work.orders,
    alarms.alarms,
    alarms.responses,
    fire.fire,
    work.drills,
    work.recordings,
    health.devices,
    health.hub,
)


def boards(tiles: str = NO_TILES) -> list[Json]:
    """Every board in Chinese, then every board in English. `tiles` is a tile server's address with {z}, {x} and {y}, for the map."""
    made = [make() for make in _MAKERS]
    made.insert(1, coverage.places(tiles))
    return [spoken(one, lang) for lang in LANGUAGES for one in made]
