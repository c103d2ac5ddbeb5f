// Curves as SVG, made of data: one panel for each number, with its axis, a mark at the moment that is looked at, and all of it in words.
const liveCharts = (() => {
  "use strict";
  const WIDE = 340, HIGH = 190, LEFT = 46, RIGHT = 10, TOP = 8, BOTTOM = 34;
  const SVG = "http://www.w3.org/2000/svg";

  const number = (value) => {
    if (value === null || value === undefined) return "not finite";
    const size = Math.abs(value);
    if (size !== 0 && (size >= 1e6 || size < 1e-4)) return value.toExponential(2).replace("e+", "e").replaceAll("-", "\u2212");
    return String(Number(value.toPrecision(3))).replace("-", "\u2212");
  };
  // Of ticks that lie close together, as many digits as tell them apart.
  const marks = (ticks) => {
    const texts = ticks.map(number);
    if (new Set(texts).size === ticks.length) return texts;
    for (let digits = 4; digits < 12; digits += 1) {
      const longer = ticks.map((one) => String(Number(one.toPrecision(digits))).replace("-", "\u2212"));
      if (new Set(longer).size === ticks.length) return longer;
    }
    return texts;
  };
  const whole = (value) => value.toLocaleString("en");

  const element = (name, attributes, parent) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (parent) parent.append(made);
    return made;
  };

  // Round numbers that divide a range into about so many parts.
  const even = (low, high, parts) => {
    const raw = (high - low) / parts;
    const power = 10 ** Math.floor(Math.log10(raw));
    const pitch = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= raw * 0.999);
    const first = Math.ceil(low / pitch - 1e-9);
    const found = [];
    for (let k = first; k * pitch <= high + pitch * 1e-9; k += 1) found.push(k * pitch + 0); // + 0: no minus zero
    return found;
  };
  const decades = (low, high) => {
    const found = [];
    const span = Math.log10(high / low);
    const each = span < 2.5 ? [1, 2, 5] : [1];
    const stride = Math.max(1, Math.ceil(span / 5));
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      if (power % stride) continue;
      for (const one of each) found.push(one * 10 ** power);
    }
    return found.filter((one) => one >= low * 0.999 && one <= high * 1.001);
  };

  const valuesOf = (chart) => chart.lines.flatMap((line) => [...line.mean, ...(line.low || []), ...(line.high || [])]).filter((one) => one !== null);

  const verticalOf = (chart) => {
    const values = valuesOf(chart);
    let low = Math.min(...values), high = Math.max(...values);
    if (chart.log) {
      const ticks = decades(low, high);
      const place = (value) => Math.log(value / low) / Math.log(high / low);
      return { ticks, place };
    }
    if (low > 0 && low < 0.5 * high) low = 0;
    if (low === high) { low -= Math.abs(low) * 0.1; high += Math.abs(high) * 0.1 || 1; }
    const ticks = even(low, high, 5);
    return { ticks, place: (value) => (value - low) / (high - low) };
  };

  // Parts of a line between which there is nothing to draw.
  const runs = (line) => {
    const found = [];
    let open = null;
    line.mean.forEach((value, k) => {
      if (value === null) { open = null; return; }
      if (!open) found.push(open = []);
      open.push(k);
    });
    return found;
  };

  // What a line says at a step: its last value at or before it.
  const at = (line, step) => {
    let found = null;
    for (let k = 0; k < line.steps.length && line.steps[k] <= step; k += 1) if (line.mean[k] !== null) found = { step: line.steps[k], value: line.mean[k] };
    return found;
  };

  // Each line's value at the step, and at the end where that is another.
  const words = (chart, step) => {
    const said = (where) => chart.lines.map((line) => [line, at(line, where)]).filter(([, found]) => found)
      .map(([line, found]) => `${chart.lines.length > 1 ? `${line.name} ` : ""}${number(found.value)}`).join(", ");
    const ends = chart.lines.flatMap((line) => line.steps.slice(-1));
    const end = Math.max(...ends);
    const here = step < end ? said(step) : "";
    const lost = chart.lines.reduce((sum, line) => sum + line.lost, 0);
    const newest = said(Infinity);
    return [
      here ? `Step ${whole(step)}: ${here}.` : "",
      newest ? `Step ${whole(end)}: ${newest}.` : "No finite value.",
      lost && newest ? `${whole(lost)} not finite.` : "",
    ].filter(Boolean).join("\n");
  };

  const draw = (figure, chart, first, last) => {
    const svg = element("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, "aria-hidden": "true", focusable: "false" });
    const span = Math.max(1, last - first);
    const across = (step) => LEFT + ((step - first) / span) * (WIDE - LEFT - RIGHT);
    const { ticks, place } = verticalOf(chart);
    const up = (value) => HIGH - BOTTOM - place(value) * (HIGH - BOTTOM - TOP);
    const said = marks(ticks);
    ticks.forEach((tick, k) => {
      element("line", { class: "grid", x1: LEFT, x2: WIDE - RIGHT, y1: up(tick), y2: up(tick) }, svg);
      element("text", { x: LEFT - 5, y: up(tick) + 4, "text-anchor": "end" }, svg).textContent = said[k];
    });
    const steps = even(first, Math.max(last, first + 1), 4).filter((step) => Number.isInteger(step));
    for (const step of steps) {
      const text = element("text", { x: across(step), y: HIGH - BOTTOM + 15, "text-anchor": across(step) > WIDE - 30 ? "end" : "middle" }, svg);
      text.textContent = whole(step);
    }
    element("text", { x: (LEFT + WIDE - RIGHT) / 2, y: HIGH - 3, "text-anchor": "middle" }, svg).textContent = "step";
    chart.lines.forEach((line, k) => {
      for (const run of runs(line)) {
        if (line.low) {
          const top = run.map((i) => `${across(line.steps[i]).toFixed(1)},${up(line.high[i]).toFixed(1)}`);
          const floor = run.map((i) => `${across(line.steps[i]).toFixed(1)},${up(line.low[i]).toFixed(1)}`).reverse();
          element("polygon", { class: `band of-${k}`, points: [...top, ...floor].join(" ") }, svg);
        }
        if (run.length === 1) element("circle", { class: `dot of-${k}`, cx: across(line.steps[run[0]]), cy: up(line.mean[run[0]]), r: 2.5 }, svg);
        else element("polyline", { class: `line of-${k} dashed`, points: run.map((i) => `${across(line.steps[i]).toFixed(1)},${up(line.mean[i]).toFixed(1)}`).join(" ") }, svg);
      }
    });
    element("line", { class: "now", y1: TOP, y2: HIGH - BOTTOM, x1: LEFT, x2: LEFT }, svg);
    figure.querySelector(".plot").replaceChildren(svg);
    figure.mark = (step) => {
      const x = across(Math.min(last, Math.max(first, step)));
      const line = svg.querySelector(".now");
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
      figure.querySelector("figcaption").textContent = words(chart, step);
    };
  };

  const figureOf = (chart) => {
    const figure = document.createElement("figure");
    figure.className = "chart";
    const head = document.createElement("h3");
    const unit = document.createElement("span");
    unit.className = "unit";
    const plot = document.createElement("div");
    plot.className = "plot";
    figure.append(head, plot, document.createElement("figcaption"));
    head.append(chart.title, " ", unit);
    figure.unit = unit;
    return figure;
  };

  // All panels of a place, from the first step to the last; what is there already is drawn anew in its place.
  const show = (place, charts, first, last) => {
    const titles = JSON.stringify(charts.map((chart) => chart.title));
    if (place.dataset.titles !== titles) {
      place.dataset.titles = titles;
      place.replaceChildren(...charts.map(figureOf));
    }
    charts.forEach((chart, k) => {
      const figure = place.children[k];
      figure.unit.textContent = [chart.unit, chart.log ? "log scale" : ""].filter(Boolean).join(", ");
      if (valuesOf(chart).length) draw(figure, chart, first, last);
      else {
        figure.querySelector(".plot").replaceChildren();
        figure.mark = () => { figure.querySelector("figcaption").textContent = words(chart, Infinity); };
      }
    });
  };
  const mark = (place, step) => { for (const figure of place.children) if (figure.mark) figure.mark(step); };

  const key = (list, names) => {
    list.hidden = names.length < 2;
    list.replaceChildren(...names.map((name, k) => {
      const item = document.createElement("li");
      const svg = element("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" });
      element("line", { class: `line of-${k} dashed`, x1: 0, x2: 26, y1: 5, y2: 5, "stroke-width": 2.5 }, svg);
      item.append(svg, name);
      return item;
    }));
  };

  return { show, mark, key, number, whole };
})();
