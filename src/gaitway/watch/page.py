"""Assembly of the training page: one HTML file with the data inside, or one that asks its server for it."""

from __future__ import annotations

from pathlib import Path

from ..pages.assembly import assemble, inert_json, page_asset, write_page
from .data import TrainingData

PAGE = "training.html"


def training_page(data: TrainingData, token: str | None = None) -> str:
    """Return the page.

    Args:
        data: What it shows.
        token: Secret of the server that the page asks for newer data; None for a page that is a file.
    """
    return assemble(
        watch_asset("training.html"),
        title=f"{data['run']} · {data['task']}",
        style=watch_asset("training.css"),
        document=inert_json({"data": data, "token": token}),
        script=watch_asset("charts.js") + watch_asset("training.js"),
    )


def write_training_page(data: TrainingData, outputs: Path) -> Path:
    """Write the page among a run's outputs and return it.

    Raises:
        ConfigError: It cannot be written.
    """
    return write_page(training_page(data), outputs / PAGE)


def watch_asset(name: str) -> str:
    """Return the text of an asset of the pages with curves."""
    return page_asset("gaitway.watch", "web", name)
