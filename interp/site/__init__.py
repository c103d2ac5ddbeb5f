"""Pages about runs: one HTML file each, readable offline, in any browser, for as long as there are browsers."""

from __future__ import annotations

from interp.site.pages import Fact, Link, Page, Picture, Section, manifest_facts, render, run_links

__all__ = ["Fact", "Link", "Page", "Picture", "Section", "manifest_facts", "render", "run_links"]
