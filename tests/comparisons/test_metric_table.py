"""The table of metrics: every format says the same numbers, controls come last, the best rank stands out."""

import csv
import io

import numpy as np
import pyarrow.parquet as pq
import pytest

from interp.comparisons.metric_table import Entry, Measure, MetricTable, Summary
from interp.errors import InterpError
from interp.metrics.evidence import Better

NAN = float("nan")
ENTRIES = (Entry("|input|", control=True), Entry("Grad-CAM", "layer4"), Entry("Saliency"))
MEASURES = (Measure("Insertion AUC", Better.HIGHER), Measure("Infidelity", Better.LOWER), Measure("Gini", Better.NEITHER))
SUMMARIES = (
    (Summary(0.42, 0.31, 0.55, 2, 2), Summary(3e-6, 1e-6, 4e-6, 2, 2), Summary(0.5, 0.4, 0.6, 2)),
    (Summary(0.61, 0.5, 0.7, 2, 1), Summary(2e-6, -1e-6, 3e-6, 1, 1), Summary(0.2, 0.1, 0.3, 2)),
    (Summary(0.6, NAN, NAN, 2, 1), Summary(NAN, NAN, NAN, 0), Summary(0.1, 0.0, 0.2, 2)),
)
VALUES = np.arange(18.0).reshape(3, 3, 2)


def table(**changes):
    parts = {"entries": ENTRIES, "measures": MEASURES, "images": ("cat", "dog"), "values": VALUES, "summaries": SUMMARIES} | changes
    return MetricTable(**parts)


def test_markdown_is_aligned_says_the_direction_marks_the_best_and_puts_controls_last():
    lines = table().markdown().splitlines()
    heads = [text.strip() for text in lines[0].split("|")[1:-1]]
    assert heads == ["Method", "Layer", "Insertion AUC \N{UPWARDS ARROW}", "Infidelity \N{DOWNWARDS ARROW}", "Gini"]
    assert len({len(line) for line in lines[:5]}) == 1
    assert set(lines[1]) == set("|-:")
    assert "| Grad-CAM " in lines[2]
    assert "| **0.61 [0.50, 0.70]** |" in lines[2]
    assert "**2.00e\N{MINUS SIGN}6 [\N{MINUS SIGN}1.00e\N{MINUS SIGN}6, 3.00e\N{MINUS SIGN}6] (n=1)**" in lines[2]
    assert "**0.60**" in lines[3], "a tie is bold too; an undefined interval is left out"
    assert "not defined" in lines[3]
    assert lines[4].startswith(r"| \|input\| (control) |")
    assert "**" not in lines[4]
    assert lines[6] == (
        "Mean over 1 to 2 images, as far as a metric is defined [95% interval]; "
        "\N{UPWARDS ARROW} higher is better; \N{DOWNWARDS ARROW} lower is better; "
        "bold: best rank among these 3 rows, ties included; controls last. Intervals of fewer than 10 images are too narrow."
    )


def test_without_layers_there_is_no_column_for_them():
    assert table().where(lambda entry: not entry.layer).headings[:2] == ("Method", "Insertion AUC \N{UPWARDS ARROW}")


def test_values_follow_their_methods_when_controls_move_to_the_end():
    found = table()
    assert [entry.method for entry in found.entries] == ["Grad-CAM", "Saliency", "|input|"]
    assert np.array_equal(found.values, VALUES[[1, 2, 0]])
    assert found.summaries[2] == SUMMARIES[0]


def test_csv_has_the_numbers_in_full():
    rows = list(csv.DictReader(io.StringIO(table().csv())))
    assert len(rows) == 9
    assert rows[0] == {
        "method": "Grad-CAM",
        "layer": "layer4",
        "control": "false",
        "metric": "Insertion AUC",
        "better": "higher",
        "mean": "0.61",
        "low": "0.5",
        "high": "0.7",
        "n": "2",
        "rank": "1",
    }
    assert (rows[4]["mean"], rows[4]["rank"], rows[4]["n"]) == ("", "", "0")
    assert rows[6]["control"] == "true"


def test_parquet_keeps_every_image_and_the_summaries_and_repeats():
    values = VALUES.copy()
    values[0, 0, 1] = NAN
    content = table(values=values).parquet()
    assert content == table(values=values).parquet()
    rows = pq.read_table(io.BytesIO(content)).to_pylist()
    images = [row for row in rows if row["statistic"] == "value"]
    assert len(images) == 18
    assert images[0] == {
        "method": "Grad-CAM",
        "layer": "layer4",
        "control": False,
        "image": "cat",
        "metric": "Insertion AUC",
        "better": "higher",
        "statistic": "value",
        "value": 6.0,
    }
    assert [row["value"] for row in images if row["control"] and row["metric"] == "Insertion AUC"] == [0.0, None]
    means = {(r["method"], r["metric"]): r["value"] for r in rows if r["statistic"] == "mean"}
    assert means["Grad-CAM", "Insertion AUC"] == 0.61
    assert means["Saliency", "Infidelity"] is None
    assert all(row["image"] is None for row in rows if row["statistic"] != "value")


def test_on_a_page_the_best_are_strong_and_controls_quiet():
    found = table().page_table()
    assert found.strong == {(0, 2), (0, 3), (1, 2)}
    assert found.quiet == {2}
    assert found.names == 2
    assert found.rows[2][:3] == ("|input| (control)", "", "0.42 [0.31, 0.55]")


@pytest.mark.parametrize(
    ("largest", "text"), [(123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.1234, "0.12"), (0.01234, "0.012"), (1.2e7, "1.20e7")]
)
def test_decimals_follow_the_largest_of_a_column(largest, text):
    one = ((Summary(largest, NAN, NAN, 1),),)
    assert MetricTable((Entry("a"),), (MEASURES[2],), ("cat",), np.ones((1, 1, 1)), one).rows[0][1] == text


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"values": VALUES[:2]}, r"`values` has shape \(2, 3, 2\), but there are \(3, 3, 2\) methods, metrics and images"),
        ({"summaries": SUMMARIES[:2]}, "`summaries` must have 3 rows of 3"),
        ({"entries": (), "values": VALUES[:0], "summaries": ()}, "at least one method and one metric"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, match):
    with pytest.raises(InterpError, match=match):
        table(**changes)
