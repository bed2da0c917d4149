"""What octets between a driver and a device say, as the content of a case. Pure: fed as they pass.

Sources: Modbus Application Protocol V1.1b3, section 6; MQTT 5.0 and 3.1.1, 2.1 and 3.3 (PUBLISH).
"""

from drivers.simulator.exchange import Places
from drivers.simulator.modbus_bus import crc, next_rtu, next_tcp

_TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_LONGEST = 1 << 20


class Registers:
    """The registers that a device gave when it was asked. `rtu`: frames with a checksum, answers in turn; else by transaction."""

    def __init__(self, rtu: bool) -> None:
        self.places: Places = {}
        self.refused = 0
        """answers that were exceptions"""
        self._rtu = rtu
        self._asked: dict[bytes, tuple[int, bytes]] = {}
        self._buffers = {False: b"", True: b""}

    def hear(self, device: bool, octets: bytes) -> None:
        """Take octets of one side."""
        self._buffers[device] = (self._buffers[device] + octets)[-_LONGEST:]
        if not device:
            self._requests()
        elif self._rtu:
            self._rtu_answers()
        else:
            self._tcp_answers()

    def _requests(self) -> None:
        cut = next_rtu if self._rtu else next_tcp
        while True:
            request, self._buffers[False] = cut(self._buffers[False])
            if request is None:
                return
            if self._rtu:
                self._asked.clear()
                self._buffers[True] = b""
            self._asked[request.transaction] = (request.unit, request.pdu)
            while len(self._asked) > 100:
                del self._asked[next(iter(self._asked))]

    def _tcp_answers(self) -> None:
        while True:
            answer, self._buffers[True] = next_tcp(self._buffers[True])
            if answer is None:
                return
            self._take(answer.transaction, answer.unit, answer.pdu)

    def _rtu_answers(self) -> None:
        buffer = self._buffers[True]
        if len(buffer) < 5:
            return
        size = 5 if buffer[1] & 0x80 else 5 + buffer[2] if buffer[1] in _TABLES else 8
        if len(buffer) < size:
            return
        frame, self._buffers[True] = buffer[:size], buffer[size:]
        if crc(frame[:-2]) == frame[-2:]:
            self._take(b"", frame[0], frame[1:-2])

    def _take(self, transaction: bytes, unit: int, pdu: bytes) -> None:
        asked = self._asked.pop(transaction, None)
        if asked is None or asked[0] != unit or asked[1][0] != pdu[0] & 0x7F:
            return
        request = asked[1]
        if pdu[0] & 0x80:
            self.refused += 1
        elif pdu[0] in _TABLES and len(pdu) >= 2:
            first, count = int.from_bytes(request[1:3]), int.from_bytes(request[3:5])
            content = pdu[2 : 2 + pdu[1]]
            for offset in range(count):
                value = _value(pdu[0], content, offset)
                if value is not None:
                    self.places[unit, _TABLES[pdu[0]], first + offset] = value


def _value(function: int, content: bytes, offset: int) -> int | None:
    if function in (3, 4):
        return int.from_bytes(content[2 * offset : 2 * offset + 2]) if len(content) >= 2 * offset + 2 else None
    return content[offset // 8] >> offset % 8 & 1 if offset // 8 < len(content) else None


class Published:
    """The messages that a broker sent to one client: (topic, payload, retained)."""

    def __init__(self, five: bool) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self._five = five
        self._buffer = b""

    def hear(self, device: bool, octets: bytes) -> None:
        """Take octets of one side; the client's say nothing that a case needs."""
        if not device:
            return
        self._buffer = (self._buffer + octets)[-_LONGEST:]
        while (packet := self._packet()) is not None:
            first, body = packet
            if first >> 4 == 3:
                self._publish(first, body)

    def _packet(self) -> tuple[int, bytes] | None:
        size, shift, at = 0, 0, 1
        while True:
            if at >= len(self._buffer) or at > 4:
                return None
            octet = self._buffer[at]
            size |= (octet & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not octet & 0x80:
                break
        if len(self._buffer) < at + size:
            return None
        packet = self._buffer[0], self._buffer[at : at + size]
        self._buffer = self._buffer[at + size :]
        return packet

    def _publish(self, first: int, body: bytes) -> None:
        length = int.from_bytes(body[:2])
        topic, at = body[2 : 2 + length].decode("utf-8", "replace"), 2 + length
        at += 2 if first >> 1 & 3 else 0
        if self._five:
            size, shift = 0, 0
            while at < len(body):
                octet, at = body[at], at + 1
                size |= (octet & 0x7F) << shift
                shift += 7
                if not octet & 0x80:
                    break
            at += size
        self.messages.append((topic, body[at:], bool(first & 1)))
