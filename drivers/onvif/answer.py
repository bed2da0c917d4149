"""Bytes that a device sent, as XML that can do no harm: no document type, no entities, nothing loaded from elsewhere. Pure.

Read by local names: vendors differ in prefixes and in how strictly they keep to the schema.
"""

from collections.abc import Iterator
from typing import Any

from lxml import etree

Element = Any
"""An element of lxml, which has no types."""

_SOAP = ("http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/")
_DENIED = frozenset({"NotAuthorized", "FailedAuthentication", "FailedCheck", "InvalidSecurityToken"})
"""ONVIF Core Specification, Table 5 (ter:NotAuthorized), and WS-Security 1.1, section 12."""
_DENIED_WORDS = ("not authorized", "unauthorized", "notauthorized")
"""What devices write that leave the code out."""
_LONGEST_TEXT = 500


class GarbledError(Exception):
    """An answer that is none; `payload` is what came."""

    def __init__(self, reason: str, payload: bytes) -> None:
        super().__init__(reason)
        self.payload = payload[:4096]


class FaultError(Exception):
    """The device understood and refuses: this question alone has no answer."""


class DeniedError(Exception):
    """The device refuses who asks."""


def parse(content: bytes) -> Element:
    """The root of an XML document; raises GarbledError."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, recover=False
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise GarbledError(f"the answer is no XML: {_short(error)}", content) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise GarbledError("the answer declares a document type, which SOAP forbids", content)
    return root


def body_of(content: bytes) -> Element:
    """The first element of a SOAP envelope's body; raises GarbledError, FaultError or DeniedError."""
    root = parse(content)
    name = etree.QName(root)
    if name.localname != "Envelope" or name.namespace not in _SOAP:
        raise GarbledError("the answer is no SOAP envelope", content)
    first = next(iter(children(child(root, "Body"))), None)
    if first is None:
        raise GarbledError("the answer's body is empty", content)
    if local(first) == "Fault":
        raise _fault(first)
    return first


def _fault(fault: Element) -> Exception:
    codes = [text_of(part).rpartition(":")[2] for part in fault.iter() if local(part) in ("Value", "faultcode")]
    reason = next((text_of(part) for part in fault.iter() if local(part) in ("Text", "faultstring")), "")
    said = " ".join(printable(f"{'/'.join(codes)}: {reason}").split())[:200]
    if _DENIED.intersection(codes) or any(words in reason.lower() for words in _DENIED_WORDS):
        return DeniedError(said)
    return FaultError(said)


def local(element: Element) -> str:
    """An element's name without its namespace; empty for comments and instructions."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def children(element: Element | None, name: str = "") -> Iterator[Element]:
    """The elements directly below, those of one local name where it is given."""
    if element is not None:
        yield from (one for one in element if (local(one) == name if name else local(one)))


def child(element: Element | None, *names: str) -> Element | None:
    """The element at the end of a path of local names, else None."""
    for name in names:
        element = next(children(element, name), None)
    return element


def text_of(element: Element | None, *names: str) -> str:
    """The text at the end of a path, without the space around it; empty where there is none."""
    found = child(element, *names) if names else element
    return (found.text or "").strip()[:_LONGEST_TEXT] if found is not None else ""


def printable(text: str) -> str:
    """The text without what would confuse a terminal or a log."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _short(error: Exception) -> str:
    return " ".join(printable(str(error)).split())[:150]
