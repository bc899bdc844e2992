"""The documentation site: strict links, nothing fetched from elsewhere, a search that works from the disk."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.browser import open_page

ROOT = Path(__file__).resolve().parents[1]
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video)[^>]+src=["']?(?:https?:)?//|<link[^>]+rel=["']?(?:stylesheet|preconnect|icon)"""
    r"""["']?[^>]*href=["']?(?:https?:)?//|@import|url\(["']?(?:https?:)?//"""
)
"""What a browser loads by itself from another host."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material")
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(target)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def test_every_page_of_the_repository_is_in_the_site_and_none_fetches_from_elsewhere(site: Path) -> None:
    made = {path.stem for path in site.glob("*.html")}
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} | {"index", "contributing", "changelog"} <= made
    for path in (*site.rglob("*.html"), *site.rglob("*.css")):
        found = FETCHED.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.name}: {found and found[0]}"


def test_the_search_works_from_the_disk_without_a_network(site: Path) -> None:
    with open_page() as page:
        page.go_offline()
        page.open((site / "index.html").as_uri())
        page.wait_for("document.querySelector('.md-search__input')")
        page.wait_for("(document.querySelector('.md-search__input').focus(), typeof __index === 'object')")
        page.evaluate(
            "(i => { i.value = 'parity'; i.dispatchEvent(new Event('keyup', { bubbles: true })); })"
            "(document.querySelector('.md-search__input'))"
        )
        page.wait_for("document.querySelectorAll('.md-search-result__item').length > 2")
        page.wait_for("document.querySelector('img').naturalWidth > 700")
        assert [address for address in page.requests if not address.startswith(("file:", "data:", "blob:"))] == []
        assert page.problems == []


def test_the_readmes_picture_moves_and_is_small() -> None:
    picture = ROOT / "docs" / "images" / "walking.webp"
    assert picture.stat().st_size < 1_000_000
    assert picture.read_bytes()[30:34] == b"ANIM"
    first_screen = (ROOT / "README.md").read_text().splitlines()[:25]
    assert any(picture.name in line for line in first_screen)
