"""A parameter that an operation does not know is refused: an answer that ignored it would be taken for one that heeded it, as of today for as of March."""

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import ParamTypes
from fastapi.routing import APIRoute

from hub.errors import BadInput


def known(route: APIRoute) -> frozenset[str]:
    """The names that a query of this operation may hold."""
    found = get_flat_params(route.dependant)
    return frozenset(one.alias for one in found if getattr(one.field_info, "in_", None) is ParamTypes.query)


async def refuse_unknown(request: Request) -> None:
    """Raises BadInput that names the first such parameter, and those that there are."""
    if not request.query_params:
        return
    names = known(request.scope["route"])
    for name in request.query_params:
        if name not in names:
            told = f"it takes {', '.join(sorted(names))}" if names else "it takes none"
            raise BadInput(f"there is no such parameter here: {told}", f"query/{name[:60]}", code="validation")
