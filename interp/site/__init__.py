"""Pages about runs: one HTML file each, readable offline, in any browser, for as long as there are browsers."""

from __future__ import annotations

from interp.site.link import Link
from interp.site.pages import Fact, Page, Picture, Section, manifest_facts, render, run_links
from interp.site.table import Table

__all__ = ["Fact", "Link", "Page", "Picture", "Section", "Table", "manifest_facts", "render", "run_links"]
