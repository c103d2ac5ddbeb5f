"""What is read of a recording while it grows, the scales, the curves, and the words of the page."""

from __future__ import annotations

import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from recordings import STEPS, begun, recorded, tiny, train

from interp.errors import BadFile, InterpError
from interp.figures import Kind, Scale
from interp.figures.palette import as_bytes, colors
from interp.report.live import curves, drawing
from interp.report.live.answers import Answers
from interp.report.live.curves import POINTS, Line
from interp.report.live.following import Follower
from interp.report.live.scales import Reach, Step
from interp.report.live.tail import Tail
from interp.watching import Recording, lines


class Page:
    """What the page would be told."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.follower = Follower(folder, lambda: self.now)
        self.answers = Answers(self.follower)

    def ask(self, address: str) -> Any:
        answer = self.answers(address)
        assert answer is not None, address
        return json.loads(answer.body)

    def look(self) -> tuple[Any, Any]:
        """The state and the records; what was still to be read is read."""
        self.now += 100.0  # so that no look is put off
        state = self.ask("/state.json")
        while state["busy"]:
            self.now += 100.0
            state = self.ask("/state.json")
        return state, self.ask("/records.json")

    def picture(self, found: Any, view: int, record: int = -1) -> np.ndarray:
        one = found["views"][view]
        answer = self.answers(f"/picture/{found['identity']}/{one['number']}/{found['moments'][record]['id']}/{one['scale']}.png")
        assert answer is not None
        return np.asarray(Image.open(io.BytesIO(answer.body)).convert("RGB"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live") / "closed"
    recorded(folder)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


# The scales.


@given(st.floats(1e-30, 1e30))
def test_a_step_is_the_lowest_of_the_ladder_that_holds_the_magnitude(magnitude: float) -> None:
    step = Step.over(Reach(magnitude, True))
    assert step.limit >= magnitude * (1 - 1e-8)
    assert step.limit < magnitude * math.sqrt(2) * (1 + 1e-8)
    assert Step.parse(step.token) == step


def test_steps_have_one_or_two_sides() -> None:
    assert Step.over(Reach(3.0, False)).scale == Scale(0.0, 4.0, Kind.POSITIVE)
    assert Step.over(Reach(2.0, False), signed=True).scale == Scale(-2.0, 2.0, Kind.DIVERGING)
    assert Step.over(Reach(0.0, False)).limit == 1.0


@pytest.mark.parametrize("token", ["", "x3", "s", "p1.5", "s-999", "s3/"])
def test_what_is_no_scale_is_refused(token: str) -> None:
    with pytest.raises(InterpError, match="is no scale"):
        Step.parse(token)


def test_a_reach_leaves_aside_what_is_not_finite() -> None:
    assert Reach.of(np.array([1.0, -3.0, np.nan, np.inf])) == Reach(3.0, True)
    assert Reach.of(np.array([np.nan])) == Reach(0.0, False)
    assert Reach(1.0, False) | Reach(0.5, True) == Reach(1.0, True)


# The curves.


@given(st.lists(st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf]), min_size=1, max_size=3 * POINTS))
def test_a_line_of_few_points_holds_the_bounds_and_the_mean_of_all(values: list[float]) -> None:
    given_values = np.array(values)
    line = Line.of("loss", np.arange(len(values)), given_values)
    finite = given_values[np.isfinite(given_values)]
    assert len(line.steps) <= POINTS
    assert line.lost == len(values) - len(finite)
    assert line.steps[-1] == len(values) - 1
    if len(finite):
        assert np.nanmin(line.low) == finite.min()
        assert np.nanmax(line.high) == finite.max()
        assert (np.nan_to_num(line.low) <= np.nan_to_num(line.mean) + 1e-6).all()
    else:
        assert np.isnan(line.mean).all()


def test_points_that_were_drawn_stay_while_more_come() -> None:
    values = np.sin(np.arange(2000.0))
    early, late = (Line.of("loss", np.arange(count), values[:count]) for count in (1700, 1990))
    whole = len(early.steps) - 1
    assert (late.mean[:whole] == early.mean[:whole]).all()
    assert early.mean[0] == pytest.approx(values[:8].mean())


def test_an_axis_is_logarithmic_where_values_span_much_and_are_above_zero() -> None:
    def log(*values: float) -> object:
        return curves.chart("loss", "", [Line.of("loss", np.arange(len(values)), np.array(values))])["log"]

    assert log(1.0, 0.01) is True
    assert log(1.0, 0.1) is False
    assert log(1.0, 0.0) is False
    assert log(math.nan) is False


# The lines of numbers.


def line_of(values: dict[str, Any]) -> str:
    return json.dumps(values, allow_nan=False) + "\n"


def test_the_tail_holds_what_the_recording_does_at_every_moment(tmp_path: Path) -> None:
    whole = [line_of({"event": "begun", "session": 1, "step": 0, "seconds": 0.0})]
    whole += [line_of({"step": k, "seconds": 0.1 * k, "numbers": {"loss": 1.0 / k}}) for k in range(1, 8)]
    whole += [line_of({"step": 7, "seconds": 0.7, "epoch": 1, "numbers": {"accuracy": None}})]
    whole += [line_of({"event": "begun", "session": 2, "step": 4, "seconds": 0.5})]
    whole += [line_of({"step": k, "seconds": 0.2 * k, "numbers": {"loss": 2.0}}) for k in range(5, 7)]
    whole += [line_of({"event": "closed", "step": 6, "seconds": 1.3, "share": 0.1, "error": None})]
    tail, path = Tail(tmp_path), tmp_path / lines.NAME
    assert not tail.read_on()
    for end in range(0, len("".join(whole)) + 1, 37):
        path.write_text("".join(whole)[:end])
        tail.read_on()
        read = lines.read(tmp_path)
        found = {name: [(line.step, line.values[name]) for line in read.numbers if name in line.values] for name in ("loss", "accuracy")}
        said = {name: list(zip(one.steps, one.values, strict=True)) for name, one in tail.columns.items()}
        assert said.get("loss", []) == found["loss"]
        assert [step for step, _ in said.get("accuracy", [])] == [step for step, _ in found["accuracy"]]
        assert tuple(tail.starts) == read.starts
    path.write_text("".join(whole))
    tail.read_on()
    assert (tail.step, tail.epoch, tail.closed is not None) == (6, None, True)
    path.write_text(whole[0])
    tail.read_on()
    assert tail.columns == {}


def test_a_damaged_line_is_told_and_waited_for(tmp_path: Path) -> None:
    path, tail = tmp_path / lines.NAME, Tail(tmp_path)
    good = line_of({"step": 1, "seconds": 0.1, "numbers": {"loss": 1.0}})
    path.write_text(good + '{"step": "two"}\n')
    for _ in range(2):
        with pytest.raises(BadFile, match=r"line 2, is damaged: ValueError"):
            tail.read_on()
    with path.open("r+") as file:  # mended in its place
        file.write(good + good)
    tail.read_on()
    assert list(tail.columns["loss"].values) == [1.0, 1.0]


# A recording as the page is told of it.


def test_pictures_are_the_arrays_of_the_record_on_one_scale(made: Path) -> None:
    page = Page(made)
    state, found = page.look()
    assert state["state"] == "closed"
    assert [one["step"] for one in found["moments"]] == [0, STEPS, 2 * STEPS, 3 * STEPS]
    assert [(one["place"], one["title"], one["probe"]) for one in found["views"]] == [
        ("filters", "Filters of conv1", None),
        ("filters", "Filters of conv2", None),
        ("activations", "conv1", 0),
        ("gradcam", "Grad-CAM at conv2", 0),
        ("activations", "conv1", 1),
        ("gradcam", "Grad-CAM at conv2", 1),
        ("units", "conv1:0", None),
        ("units", "conv1:1", None),
    ]
    recording = Recording.read(made)
    weights = [record.kernels("conv1").weights for record in recording.records]
    limit = found["views"][0]["limit"]
    largest = max(float(np.abs(one).max()) for one in weights)
    assert largest <= limit < largest * math.sqrt(2)
    for record in (0, -1):
        sheet = page.picture(found, 0, record)
        zoom = (sheet.shape[0] - drawing.GAP) // 6
        wanted = as_bytes(colors(weights[record][:, 0].astype(np.float64), Scale(-limit, limit, Kind.DIVERGING)))
        pitch = 3 * zoom + drawing.GAP
        for k in range(4):
            for row, col in ((0, 0), (1, 2), (2, 1)):
                top, left = k // 2 * pitch + row * zoom, k % 2 * pitch + col * zoom
                assert (sheet[top : top + zoom, left : left + zoom] == wanted[k, row, col]).all()
    unit = recording.records[-1].images[1]
    shown = page.picture(found, 7)
    zoom = shown.shape[0] // unit.shape[0]
    assert (shown[::zoom, ::zoom] == unit).all()
    scores = recording.records[-1].scores
    assert found["moments"][-1]["scores"] == pytest.approx(scores.max(axis=1).tolist(), rel=1e-5)


def test_deep_filters_are_kernels_by_output_and_input() -> None:
    weights = np.linspace(-1, 1, 20 * 18 * 3 * 3, dtype=np.float32).reshape(20, 18, 3, 3)
    scale = Scale(-1.0, 1.0, Kind.DIVERGING)
    sheet = drawing.planes(weights, scale)
    outputs, inputs = drawing.planes_of(weights.shape)
    assert len(outputs) == len(inputs) == drawing.PLANES
    zoom = ((sheet.shape[0] + drawing.GAP) // drawing.PLANES - drawing.GAP) // 3
    pitch = 3 * zoom + drawing.GAP
    for line, column in ((0, 0), (3, 7), (15, 15)):
        wanted = colors(weights[outputs[line], inputs[column], 2, 1:2].astype(np.float64), scale)[0]
        assert sheet[line * pitch + 2 * zoom, column * pitch + zoom] == pytest.approx(wanted)


def test_colours_of_filters_that_see_red_green_and_blue() -> None:
    weights = np.zeros((1, 3, 2, 2), np.float32)
    weights[0, :, 0, 1] = (0.5, -0.25, np.nan)
    sheet = drawing.coloured(weights, Scale(-0.5, 0.5, Kind.DIVERGING))
    zoom = sheet.shape[0] // 2
    assert sheet[0, 0] == pytest.approx([0.5, 0.5, 0.5])
    assert sheet[0, zoom] == pytest.approx([1.0, 0.25, 0.82])


def test_new_records_come_by_themselves_and_old_pictures_keep_their_addresses(tmp_path: Path) -> None:
    network = tiny()
    recorder = begun(tmp_path / "run", network)
    page = Page(tmp_path / "run")
    train(network, recorder, STEPS)
    state, found = page.look()
    assert (state["state"], len(found["moments"])) == ("running", 2)
    assert ("Step", "10") in map(tuple, state["facts"])
    before = page.picture(found, 0, 0)
    train(network, recorder, 2 * STEPS)
    later, more = page.look()
    assert later["records"] != state["records"]
    assert later["numbers"] != state["numbers"]
    assert [one["id"] for one in more["moments"]] == ["000000", "000010", "000020"]
    assert (page.picture(found, 0, 0) == before).all()
    chart = page.ask("/numbers.json")["charts"][0]
    assert (chart["title"], chart["lines"][0]["steps"]) == ("loss", list(range(1, 2 * STEPS + 1)))
    recorder.close(KeyError("x"))
    assert page.look()[0]["said"] == "Ended by KeyError at step 20."


def test_a_session_takes_records_back(folder: Path) -> None:
    page = Page(folder)
    page.look()
    network = tiny()
    recorder = begun(folder, network, resume=True, start=15)
    state, found = page.look()
    assert [one["id"] for one in found["moments"]] == ["000000", "000010"]
    assert state["state"] == "running"
    train(network, recorder, 20)
    recorder.close()
    state, found = page.look()
    assert [one["id"] for one in found["moments"]] == ["000000", "000010", "000020-2"]
    assert page.ask("/numbers.json")["charts"][0]["lines"][0]["steps"] == list(range(1, 21))
    assert page.picture(found, 0).shape[2] == 3


def test_a_folder_that_is_not_there_yet_is_waited_for(tmp_path: Path, made: Path) -> None:
    page = Page(tmp_path / "later")
    state, found = page.look()
    assert (state["state"], found["moments"]) == ("waiting", [])
    assert "there is no folder" in state["said"]
    (tmp_path / "later").mkdir()
    assert "holds no recording yet: no `watch.json`" in page.look()[0]["said"]
    shutil.copy(made / "watch.json", tmp_path / "later")
    shutil.copy(made / "probes.safetensors", tmp_path / "later")
    state, found = page.look()
    assert (state["state"], found["moments"]) == ("running", [])
    assert state["said"].endswith("No record yet.")
    shutil.rmtree(tmp_path / "later")
    assert page.look()[0]["state"] == "waiting"


def test_another_recording_in_the_same_folder_is_another(folder: Path, tmp_path: Path) -> None:
    page = Page(folder)
    found = page.look()[1]
    address = f"/picture/{found['identity']}/0/000010/{found['views'][0]['scale']}.png"
    assert page.answers(address) is not None
    shutil.rmtree(folder)
    recorded(folder, STEPS)
    other = page.look()[1]
    assert other["identity"] != found["identity"]
    assert len(other["moments"]) == 2
    assert page.answers(address) is None


def test_a_half_written_record_is_not_there_yet(folder: Path) -> None:
    place = folder / "records"
    shutil.copy(place / "000030.safetensors", place / "000040.safetensors")
    (place / ".000040.json.0123abcd.partial").write_text('{"step": 40, "epo')
    state, found = Page(folder).look()
    assert (state["problem"], len(found["moments"])) == ("", 4)


def test_what_is_damaged_is_said_and_the_rest_stays(folder: Path) -> None:
    page = Page(folder)
    page.look()
    entry = folder / "records" / "000010.json"
    text = entry.read_text()
    (folder / "records" / "000040.json").write_text("{")
    (folder / "records" / "000040.safetensors").write_bytes(b"")
    state, found = page.look()
    assert "000040.json` is damaged" in state["problem"]
    assert len(found["moments"]) == 4
    later = json.loads(entry.read_text()) | {"step": 50}
    (folder / "records" / "000050.safetensors").write_bytes((folder / "records" / "000010.safetensors").read_bytes())
    (folder / "records" / "000050.json").write_text(json.dumps(later))
    state, found = page.look()
    assert "000040.json` is damaged" in state["problem"]
    assert [moment["step"] for moment in found["moments"]] == [0, 10, 20, 30, 50]
    (folder / "records" / "000040.json").write_text(json.dumps(later | {"step": 40}))
    (folder / "records" / "000040.safetensors").write_bytes((folder / "records" / "000010.safetensors").read_bytes())
    state, found = page.look()
    assert (state["problem"], [moment["step"] for moment in found["moments"]]) == ("", [0, 10, 20, 30, 40, 50])
    for kind in ("json", "safetensors"):
        (folder / "records" / f"000040.{kind}").unlink()
    assert page.look()[0]["problem"] == ""
    assert entry.read_text() == text


def test_the_share_is_that_of_the_time_by_now(folder: Path) -> None:
    spent = json.loads((folder / "records" / "000030.json").read_text())["spent"]
    with (folder / "scalars.jsonl").open("a") as file:
        file.write(json.dumps({"step": 900, "seconds": 1000 * spent, "numbers": {"loss": 1.0}}) + "\n")
    said = dict(Page(folder).look()[0]["facts"])["Recorder's share of the time"]
    assert said.startswith("0.1%")


def test_arrays_that_are_damaged_are_missing_at_their_moment_alone(folder: Path) -> None:
    path = folder / "records" / "000010.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    page = Page(folder)
    state, found = page.look()
    assert "the record of step 10 in" in state["problem"]
    assert "is damaged" in found["moments"][1]["missing"]["filters"]
    assert found["moments"][2]["missing"] == {}
    with pytest.raises(BadFile, match="is damaged"):
        page.picture(found, 0, 1)
    assert page.picture(found, 0, 2).any()


def test_a_head_that_cannot_be_read_is_said(folder: Path) -> None:
    (folder / "watch.json").write_text("{}")
    state, _ = Page(folder).look()
    assert state["state"] == "damaged"
    assert "is not the head of a recording" in state["problem"]


def test_names_hold_nothing_that_misleads(folder: Path) -> None:
    path = folder / "watch.json"
    path.write_text(path.read_text().replace('"reference":"Tiny"', '"reference":"Ti\\u202eny\\u0007"').replace('"Tiny"', '"Ti\\u202eny"'))
    state, _ = Page(folder).look()
    assert state["facts"][0][1].startswith("Ti?ny")


def test_nothing_is_read_again_where_nothing_came(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(made)
    state = page.look()[0]

    def never(*_: object) -> None:
        raise AssertionError("read again")

    for name in ("heads.read", "records_of", "replace"):
        monkeypatch.setattr(f"interp.report.live.following.{name}", never)
    assert page.look()[0]["records"] == state["records"]


def test_looks_keep_to_a_share_of_the_time(made: Path) -> None:
    now = [0.0]
    follower = Follower(made, lambda: now[0])
    first = follower.look()
    (made / "watch.json").touch()
    now[0] += 0.2
    assert follower.look() is first
    now[0] += 0.2
    assert follower.look().identity != first.identity


@pytest.mark.parametrize(
    "address",
    [
        "/picture/000000000000/0/000010/s0.png",
        "/picture/{identity}/99/000010/s0.png",
        "/picture/{identity}/0/000011/s0.png",
        "/picture/{identity}/0/000010/s-999.png",
        "/picture/{identity}/0/../../watch.json",
        "/picture/{identity}/0/000010/s0.png?x",
        "/probe/{identity}/7.png",
        "/records/000010.json",
        "/watch.json",
        "/live.css/../watch.json",
        "",
        "*",
    ],
)
def test_there_is_nothing_at_other_addresses(made: Path, address: str) -> None:
    page = Page(made)
    found = page.look()[1]
    assert page.answers(address.format(identity=found["identity"])) is None
