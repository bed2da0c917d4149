"""structlog, set up once: an event name plus keys, to standard error."""

import logging
import sys
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
