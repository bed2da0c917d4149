"""structlog, set up once: an event name plus keys, to standard error."""

import logging
import sys
import traceback
from typing import Literal

import structlog


def configure(level: str = "info", style: Literal["console", "json"] = "json") -> None:
    """Send structured lines to standard error, as JSON for machines or coloured for people."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _bridge(shared, renderer)


def broken_at(error: BaseException) -> str:
    """Where an error of ours came from, for the log: types and places, and nothing that it says. What it says may quote a channel's secret."""
    kinds: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(kinds) < 5:
        kinds.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{' from '.join(kinds)} at {places}"


def _bridge(shared: list[structlog.typing.Processor], renderer: structlog.typing.Processor) -> None:
    """What libraries log by the standard way looks like our own lines; below warning it is not shown."""
    handler = logging.StreamHandler(sys.stderr)
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[remove, renderer], foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name]
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
