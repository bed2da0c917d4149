"""A third party's driver as a test installs it: a package of its own with its own metadata, and the device it speaks to."""

import shutil
from pathlib import Path

HERE = Path(__file__).parent
PROFILES = HERE / "profiles"
DEVICE = HERE / "device.py"


def install(folder: Path) -> Path:
    """Install the distribution `anxin-lampbus` into `folder`, as pip would; put it on PYTHONPATH to have the driver."""
    metadata = folder / "anxin_lampbus-1.0.dist-info"
    metadata.mkdir(parents=True)
    shutil.copy(HERE / "anxin_lampbus.py", folder)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: anxin-lampbus\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[hub.drivers]\nlampbus = anxin_lampbus:driver\n")
    (metadata / "RECORD").write_text("anxin_lampbus.py,,\n")
    return folder
