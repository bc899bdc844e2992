"""Drive pages of the sample policies, written once."""

from pathlib import Path

import pytest

from gaitway.exporting import export_checkpoint
from gaitway.play.page import write_drive_page

SAMPLES = Path(__file__).parents[3] / "samples"


def page_of_sample(folder: Path, sample: str, checkpoint: str, task: str) -> Path:
    made = export_checkpoint(str(SAMPLES / sample / checkpoint), folder / "exported", format="onnx")
    return write_drive_page(made.files["onnx"], task, folder / "drive.html")


@pytest.fixture(scope="session")
def flat_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flat")
    return page_of_sample(folder, "anymal-c-flat", "model_194.pt", "Isaac-Velocity-Flat-Anymal-C-v0")


@pytest.fixture(scope="session")
def rough_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rough")
    return page_of_sample(folder, "anymal-c-rough", "model_999.pt", "Isaac-Velocity-Rough-Anymal-C-v0")
