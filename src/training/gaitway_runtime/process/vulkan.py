"""Choice of NVIDIA's Vulkan driver in a container that offers several. Standard library only.

The container toolkit mounts NVIDIA's driver file beside those that the image brings (Mesa's software renderer, a second
copy of NVIDIA's). Isaac Sim then counts a GPU twice, or takes a renderer without ray tracing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

FOLDERS = ("etc/vulkan/icd.d", "usr/share/vulkan/icd.d", "usr/local/share/vulkan/icd.d")
"""Where the loader looks for driver files, the toolkit's folder first."""

VARIABLES = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")
"""Variables that name the only driver files to use: of loaders from 1.3.207 on, and of all."""


def driver_variables(environ: Mapping[str, str], root: Path = Path("/")) -> dict[str, str]:
    """Return the variables that hide all Vulkan drivers but NVIDIA's; nothing where there is no choice to make.

    Args:
        environ: The environment; what it says of drivers wins.
        root: Root of the file system.
    """
    if any(environ.get(name) for name in VARIABLES):
        return {}
    found = [path for folder in FOLDERS for path in sorted((root / folder).glob("*.json"))]
    ours = next((path for path in found if path.name.startswith("nvidia_icd")), None)
    return dict.fromkeys(VARIABLES, str(ours)) if ours is not None and len(found) > 1 else {}
