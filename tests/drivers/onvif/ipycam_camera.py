"""A camera that we did not write: ipycam's ONVIF service and its HTTP handler in a process of their own, told by JSON lines.

Only the ONVIF side of ipycam runs: OpenCV and numpy, which make its pictures, are not installed, and two empty modules stand where it
imports them. The first line is its configuration; each further line sets values of it. Every line is answered by {"port": …}.
"""

import http.server
import importlib.util
import json
import sys
import threading
import types
from pathlib import Path
from typing import Any


def _ipycam() -> tuple[Any, Any, Any]:
    """The modules of ipycam without what it does on import of the package: start of its picture side."""
    found = importlib.util.find_spec("ipycam")
    assert found is not None
    assert found.origin is not None
    package = types.ModuleType("ipycam")
    package.__path__ = [str(Path(found.origin).parent)]
    sys.modules["ipycam"] = package
    for name in ("cv2", "numpy"):
        empty = types.ModuleType(name)
        empty.__getattr__ = lambda _: object  # type: ignore[method-assign]
        sys.modules.setdefault(name, empty)
    from ipycam import config, onvif
    from ipycam import http as handler

    return config, onvif, handler


def main() -> None:
    config, onvif, handler = _ipycam()
    known = config.CameraConfig(local_ip="127.0.0.1", **json.loads(sys.stdin.readline()))
    camera = types.SimpleNamespace(config=known, onvif=onvif.ONVIFService(known))

    class Handler(handler.IPCameraHTTPHandler):  # type: ignore[misc, name-defined]
        pass

    Handler.camera = camera
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known.onvif_port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": known.onvif_port}), flush=True)
    for line in sys.stdin:
        for name, value in json.loads(line).items():
            setattr(known, name, value)
        print(json.dumps({"port": known.onvif_port}), flush=True)


if __name__ == "__main__":
    main()
