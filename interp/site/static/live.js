// Follows the training: asks what is new, shows the moment that the slider stands at, and stays there while others come.
(() => {
  "use strict";
  const EVERY = 1500, SOON = 400, GONE = 2000, PATIENCE = 20000;
  const by = (id) => document.getElementById(id);
  const { number, whole } = liveCharts;
  const range = by("moment"), newest = document.querySelector('[data-go="newest"]');
  const PLACES = ["filters", "gradcam", "activations", "units"];

  let records = { records: "", identity: "", moments: [], views: [], probes: [], statistics: [] };
  let numbers = { stamp: "", charts: [] };
  let stopped = null; // where the user left the slider; null: at the newest
  let probe = 0;
  let timer = 0, asking = false, lost = null;
  let loading = false, again = false;

  const last = () => records.moments.length - 1;
  const position = () => (stopped === null ? last() : Number(range.value));
  const moment = () => records.moments[position()];
  const name = (one) => `step ${whole(one.step)}` + (one.epoch === null ? "" : `, epoch ${whole(one.epoch)}`);

  class Gone extends Error {}
  const get = async (address) => {
    let reply;
    try {
      reply = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
      if (reply.ok) return await reply.json();
    } catch (error) {
      throw new Gone(String(error));
    }
    throw new Gone(`it answers ${reply.status}`);
  };

  const set = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  const fault = (node, text) => { node.hidden = !text; set(node, text); };

  const showState = (state) => {
    document.title = `${state.folder}: ${state.state} \u2013 interp live`;
    set(by("folder"), state.folder);
    by("state").dataset.state = state.state;
    // What is said aloud is not said anew for every step.
    const spoken = state.state === "running" ? "Runs." : state.said;
    set(by("state"), spoken);
    fault(by("problem"), state.problem);
    const facts = by("facts");
    const names = JSON.stringify(state.facts.map(([term]) => term));
    if (facts.dataset.names !== names) {
      facts.dataset.names = names;
      facts.replaceChildren(...state.facts.map(([term]) => {
        const pair = document.createElement("div");
        pair.append(document.createElement("dt"), document.createElement("dd"));
        pair.firstChild.textContent = term;
        return pair;
      }));
    }
    state.facts.forEach(([, value], k) => set(facts.children[k].lastChild, value));
    const wait = state.state === "running" && !records.moments.length;
    if (wait) set(by("state"), state.said);
  };

  const figureOf = (view) => {
    const figure = document.createElement("figure");
    figure.className = "track";
    const head = document.createElement("h3");
    head.textContent = view.title;
    const shown = document.createElement("div");
    shown.className = "shown";
    figure.append(head, shown);
    if (view.limit !== null) {
      const legend = document.createElement("div");
      legend.className = "legend";
      const bar = document.createElement("img");
      legend.append(document.createElement("span"), bar, document.createElement("span"));
      figure.append(legend);
    }
    const caption = document.createElement("figcaption");
    caption.textContent = view.said;
    figure.append(caption);
    return figure;
  };

  const figures = new Map();
  const arrange = () => {
    const known = JSON.stringify([records.identity, records.views.map((view) => [view.number, view.place, view.title])]);
    if (document.body.dataset.views !== known) {
      document.body.dataset.views = known;
      figures.clear();
      for (const place of PLACES) by(place).replaceChildren();
      for (const view of records.views) {
        const figure = figureOf(view);
        figures.set(view.number, figure);
        by(view.place).append(figure);
      }
      const options = records.probes.map((one) => new Option(one.name, String(one.number)));
      by("probe").replaceChildren(...options);
      if (!records.probes.some((one) => one.number === probe)) probe = records.probes.length ? records.probes[0].number : 0;
      by("probe").value = String(probe);
      by("choose").hidden = records.probes.length < 2;
    }
    for (const view of records.views) {
      const figure = figures.get(view.number);
      figure.hidden = view.probe !== null && view.probe !== probe;
      const legend = figure.querySelector(".legend");
      if (legend) {
        const [low, bar, high] = legend.children;
        set(low, view.signed ? `\u2212${number(view.limit)}` : "0");
        set(high, number(view.limit));
        const source = view.signed ? "/scale/signed.png" : "/scale/positive.png";
        if (bar.getAttribute("src") !== source) { bar.src = source; bar.alt = view.signed ? "from blue over grey to orange" : "from black over red to pale yellow"; }
      }
    }
    const any = records.moments.length > 0;
    by("control").hidden = !any;
    by("part-filters").hidden = !any || !by("filters").children.length;
    by("part-probe").hidden = !any || !records.probes.length;
    by("part-units").hidden = !any || !by("units").children.length;
    document.querySelector("h3.row").hidden = !by("activations").children.length;
  };

  const addressOf = (view, one) => `/picture/${records.identity}/${view.number}/${one.id}/${view.scale}.png`;

  // A picture takes the place of the one before once it can be painted, so that nothing flickers.
  const load = async (address, alt) => {
    const image = new Image();
    image.src = address;
    image.alt = alt;
    await image.decode();
    return image;
  };
  const put = (figure, address, node) => {
    figure.querySelector(".shown").replaceChildren(node);
    figure.dataset.address = address;
  };
  const absent = (figure, text) => {
    const note = document.createElement("p");
    note.className = "none";
    note.textContent = text;
    put(figure, "", note);
  };

  const wanted = () => {
    const one = moment();
    if (!one) return [];
    const jobs = [];
    for (const view of records.views) {
      const figure = figures.get(view.number);
      if (figure.hidden) continue;
      const missing = one.missing[view.part];
      jobs.push({ figure, address: addressOf(view, one), alt: `${view.alt}, ${name(one)}`, missing });
    }
    const shown = records.probes.find((other) => other.number === probe);
    if (shown) jobs.push({ figure: by("photo"), address: `/probe/${records.identity}/${probe}.png`, alt: `Photograph ${shown.name}`, missing: "" });
    return jobs.filter((job) => job.missing || job.figure.dataset.address !== job.address);
  };

  const swap = async () => {
    const jobs = wanted();
    const found = await Promise.all(jobs.map((job) => (job.missing ? null : load(job.address, job.alt).catch(() => null))));
    jobs.forEach((job, k) => {
      if (job.missing) absent(job.figure, `Not in this record: ${job.missing}`);
      else if (found[k]) put(job.figure, job.address, found[k]);
      else absent(job.figure, "This picture could not be loaded; the page tries again.");
    });
    const one = moment();
    if (one) document.body.dataset.shown = one.id;
  };
  const pictures = async () => {
    if (loading) { again = true; return; }
    loading = true;
    try {
      do { again = false; await swap(); } while (again);
    } finally {
      loading = false;
    }
  };

  const captions = (one) => {
    const place = records.probes.findIndex((other) => other.number === probe);
    const shown = records.probes[place];
    set(by("photo").querySelector("h3"), shown ? shown.name : "");
    const explained = one.explained[place];
    const score = one.scores && one.scores[place] !== undefined ? `, whose score is ${number(one.scores[place])}` : "";
    set(by("explained"), explained ? `At ${name(one)}, Grad-CAM explains ${explained}${score}.` : "");
    for (const view of records.views) {
      if (view.index === null || !one.units) continue;
      const unit = one.units[view.index];
      set(figures.get(view.number).querySelector("figcaption"), unit ? (unit.silent ? "silent: no gradient" : `score ${number(unit.score)}`) : "");
    }
  };

  // Everything but the pictures follows the slider at once.
  const draw = () => {
    const one = moment();
    if (!one) return;
    range.max = String(last());
    range.value = String(position());
    const said = `${name(one)} \u00b7 ${whole(position() + 1)} of ${whole(last() + 1)}`;
    set(by("said"), said);
    range.setAttribute("aria-valuetext", said);
    newest.setAttribute("aria-pressed", String(stopped === null));
    captions(one);
    liveCharts.mark(by("numbers"), one.step);
    liveCharts.mark(by("statistics"), one.step);
    pictures();
  };

  const charts = () => {
    const steps = [...numbers.charts, ...records.statistics].flatMap((chart) => chart.lines.flatMap((line) => (line.steps.length ? [line.steps[0], line.steps[line.steps.length - 1]] : [])));
    for (const one of records.moments.length ? [records.moments[0], records.moments[last()]] : []) steps.push(one.step);
    const first = Math.min(...steps), end = Math.max(...steps);
    by("part-numbers").hidden = !numbers.charts.length;
    by("part-statistics").hidden = !records.statistics.length;
    if (!steps.length) return;
    liveCharts.show(by("numbers"), numbers.charts, first, end);
    liveCharts.show(by("statistics"), records.statistics, first, end);
    liveCharts.key(by("key"), records.statistics.length ? records.statistics[0].lines.map((line) => line.name) : []);
  };

  // The slider stays at its record while others come; where that was taken back, at the one before it.
  const keep = (before) => {
    if (!before || stopped === null) { stopped = null; return; }
    const same = records.moments.findIndex((one) => one.id === stopped.id);
    const earlier = records.moments.findLastIndex((one) => one.step <= stopped.step);
    const place = same >= 0 ? same : earlier;
    if (place < 0) { stopped = null; return; }
    stopped = records.moments[place];
    range.max = String(last());
    range.value = String(place);
  };

  const news = async (state) => {
    const others = state.records !== records.records, more = state.numbers !== numbers.stamp;
    if (others) {
      const before = records;
      records = await get("/records.json");
      keep(before.identity === records.identity);
      arrange();
    }
    if (more) numbers = { stamp: state.numbers, charts: (await get("/numbers.json")).charts };
    if (others || more) charts();
    draw();
  };

  const poll = async () => {
    clearTimeout(timer);
    if (asking || document.hidden) return;
    asking = true;
    let next = EVERY;
    try {
      const state = await get("/state.json");
      if (lost) { lost = null; fault(by("gone"), ""); }
      await news(state);
      showState(state);
      if (state.busy) next = SOON;
      document.documentElement.dataset.ready = "";
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
      next = GONE;
      lost = lost || new Date();
      by("state").dataset.state = "unknown";
      set(by("state"), "Not known at the moment.");
      fault(by("gone"), `interp live has not answered since ${lost.toLocaleTimeString()}; what is below is from before. This page goes on by itself when it is back.`);
    } finally {
      asking = false;
      if (!document.hidden) timer = setTimeout(poll, next);
    }
  };

  const go = (place) => {
    const there = Math.max(0, Math.min(last(), place));
    stopped = there === last() ? null : records.moments[there];
    range.value = String(there);
    draw();
  };
  const steps = { first: () => go(0), before: () => go(position() - 1), next: () => go(position() + 1), newest: () => go(last()) };
  range.addEventListener("input", () => go(Number(range.value)));
  for (const button of document.querySelectorAll("[data-go]")) button.addEventListener("click", () => steps[button.dataset.go]());
  by("probe").addEventListener("change", () => { probe = Number(by("probe").value); arrange(); draw(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
  poll();
})();
