"""What the network's page shows, and what all pages say of where they came from."""

from __future__ import annotations

from collections.abc import Iterator

from interp.activations import stream
from interp.datasets import DataSet
from interp.microscope.ending import About
from interp.microscope.picture_places import summary_of
from interp.microscope.plan import Plan
from interp.microscope.relations import Edges
from interp.site.microscope import NetworkContent

# Skipped pictures that are named on the page; the table of images has all.
_NAMED = 20


def network_content(plan: Plan, about: About, data: DataSet, scan: stream.Scan, edges: Edges) -> NetworkContent:
    """The content of the network's page."""
    spec = plan.model.spec
    return NetworkContent(
        title=spec.reference,
        reference=spec.reference,
        weights_hash=spec.sha256,
        layers=tuple(summary_of(plan, layer) for layer in plan.layers),
        edges=edges,
        numbers=(
            ("layers", float(len(plan.layers))),
            ("units", float(sum(map(plan.channels, plan.layers)))),
            ("pictures", float(len(scan.sources))),
            ("parameters", float(sum(p.numel() for p in plan.model.module.parameters()))),
        ),
        notes=tuple(_notes(plan, scan)),
        provenance=about.provenance(plan.model, data, scan),
    )


def _notes(plan: Plan, scan: stream.Scan) -> Iterator[str]:
    if any(plan.channels(layer) < plan.model.layer(layer).channels for layer in plan.layers):
        yield f"Only the first {plan.options.units} channels of each layer have pages; the tables hold all."
    if scan.skipped:
        named = "; ".join(f"{name} ({reason})" for name, reason in scan.skipped[:_NAMED])
        more = "; and more, listed in `data/images.parquet`" if len(scan.skipped) > _NAMED else ""
        count = (
            "1 picture could not be read and is" if len(scan.skipped) == 1 else f"{len(scan.skipped)} pictures could not be read and are"
        )
        yield f"{count} left out: {named}{more}."
