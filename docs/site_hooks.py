"""Hooks of the documentation site: the repository's other pages join it, and links to its files become plain text."""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
OTHERS = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "samples/README.md": "samples.md",
    "workflows/README.md": "workflows.md",
    "workflows/osmo/README.md": "workflows-osmo.md",
    "workflows/azureml/README.md": "workflows-azureml.md",
    "deploy/001-iac/README.md": "deploy-001-iac.md",
    "deploy/002-setup/README.md": "deploy-002-setup.md",
}
"""Pages outside of ``docs/`` by their path, and their names in the site."""
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
SHIM = re.compile(r"<script src=[\"']?https://unpkg\.com/iframe-worker/shim[\"']?></script>")
"""What the theme loads where a page is opened from the disk."""
_home = {site: path for path, site in OTHERS.items()}


def on_config(config: Any) -> Any:
    """List the pages from outside in the navigation, and name anchors as the pages' links do."""
    config.mdx_configs["toc"]["slugify"] = heading_anchor
    listed = {"changelog.md", "contributing.md", "security.md"}
    inside, platforms = config.nav[-1]["Inside"], next(part["Platforms"] for part in config.nav if "Platforms" in part)
    inside += sorted(listed)
    platforms += sorted(name for name in OTHERS.values() if name not in {*listed, "index.md", "samples.md"})
    next(part["Train and judge"] for part in config.nav if "Train and judge" in part).append("samples.md")
    text = json.dumps(config.nav)
    new = [path.name for path in sorted((ROOT / "docs").glob("*.md")) if f'"{path.name}"' not in text]
    if new:
        config.nav.append({"More": new})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside."""
    for path, site in OTHERS.items():
        files.append(File.generated(config, site, content=(ROOT / path).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point links at the site's pages; what is no page of it stays as text."""
    source = _home.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def moved(found: re.Match[str]) -> str:
        picture, text, target, anchor = found[1], found[2], found[3], found[4] or ""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if not (ROOT / path).exists():
            return found[0]  # the strict build names it
        if path in OTHERS or path.startswith("docs/"):
            return f"{picture}[{text}]({OTHERS.get(path, path.removeprefix('docs/'))}{anchor})"
        return text if text.startswith("`") else f"{text} (`{path}`)"

    return LINK.sub(moved, markdown)


def heading_anchor(text: str, separator: str) -> str:
    """Return a heading's anchor as code hosts make it, which the links of the pages use."""
    return re.sub(r"[^\w -]", "", text.lower()).strip().replace(" ", separator)


def on_post_page(output: str, **_: Any) -> str:
    """Put our own stand-in for workers in place of the one that the theme would fetch from elsewhere."""
    worker = (ROOT / "docs" / "site_worker.js").read_text(encoding="utf-8")
    return SHIM.sub(lambda found: f"<script>{worker}</script>", output)


def on_post_template(output_content: str, **_: Any) -> str:
    """Do the same for pages that are made of a template alone."""
    return on_post_page(output_content)
