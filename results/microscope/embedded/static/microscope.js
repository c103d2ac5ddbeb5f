/* The script of a microscope's pages. Everything can be read without it; it sorts, filters, searches, and hears keys.
   Text from outside comes in by textContent alone, and addresses are made of folders that the site named itself. */
"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  /* The theme, before anything is drawn: as the system says, or as was chosen. */
  const THEMES = ["system", "light", "dark"];
  const kept = () => {
    try { return THEMES.includes(localStorage.getItem("interp-theme")) ? localStorage.getItem("interp-theme") : "system"; } catch { return "system"; }
  };
  const wear = (theme) => { if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme; };
  wear(kept());

  /* Shards of data call this function, as files from disk cannot be fetched. */
  const shards = [];
  let take = null;
  window.microscopeLoaded = (shard) => { if (take) take(shard); else shards.push(shard); };
  const listen = (taker) => { take = taker; shards.splice(0).forEach(taker); };

  const button = (text, label, action) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("aria-label", label);
    made.addEventListener("click", action);
    return made;
  };

  /* For those who measure: from here on the page answers. */
  const ready = () => { root.dataset.ready = "1"; performance.mark("interp-ready"); };

  function tools() {
    const names = { system: "Theme: system", light: "Theme: light", dark: "Theme: dark" };
    const theme = button(names[kept()], names[kept()] + ", change", () => {
      const next = THEMES[(THEMES.indexOf(root.dataset.theme || "system") + 1) % THEMES.length];
      wear(next);
      theme.textContent = names[next];
      theme.setAttribute("aria-label", names[next] + ", change");
      try { localStorage.setItem("interp-theme", next); } catch { /* a browser that keeps nothing */ }
    });
    theme.id = "theme";
    const keys = button("Keys", "Keys that work here", help);
    keys.id = "help";
    byId("tools").append(keys, theme);
  }

  const KEYS = [
    ["/", "search", "find"],
    ["\u2190 \u2191 \u2192 \u2193", "go from unit to unit", "units"],
    ["Home End", "first and last unit", "units"],
    ["Enter", "open the unit", "units"],
    ["\u2190 \u2192", "unit before and after", "unit"],
    ["[ ]", "layer before and after", "layer"],
    ["u", "up: to the layer, to the network", "up"],
    ["?", "this list", null],
  ];

  function help() {
    let box = byId("keys");
    if (!box) {
      box = document.createElement("dialog");
      box.id = "keys";
      const title = document.createElement("h2");
      title.textContent = "Keys";
      title.id = "keys-title";
      box.setAttribute("aria-labelledby", "keys-title");
      const list = document.createElement("dl");
      const here = { find: byId("find"), units: byId("units"), unit: document.body.classList.contains("unit"),
        layer: document.body.classList.contains("layer"), up: byId("up") };
      for (const [keys, words, needs] of KEYS) {
        if (needs && !here[needs]) continue;
        const key = document.createElement("dt");
        for (const one of keys.split(" ")) {
          const cap = document.createElement("kbd");
          cap.textContent = one;
          key.append(cap, " ");
        }
        const told = document.createElement("dd");
        told.textContent = words;
        list.append(key, told);
      }
      box.append(title, list, button("Close", "Close this list", () => box.close()));
      document.body.append(box);
    }
    box.showModal();
  }

  const follow = (id) => { const link = byId(id); if (link) link.click(); return Boolean(link); };

  function keys() {
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || document.querySelector("dialog[open]")) return;
      const typing = event.target.closest("input, select, textarea");
      if (typing) {
        if (event.key === "Escape") event.target.blur();
        return;
      }
      const unit = document.body.classList.contains("unit");
      const wide = (element) => element.scrollWidth > element.clientWidth;
      let done = false;
      if (event.key === "/" && byId("find") && !byId("find").closest("[hidden]")) { byId("find").focus(); byId("find").select(); done = true; }
      else if (event.key === "?") { help(); done = true; }
      else if (event.key === "u") done = follow("up");
      else if (unit && event.key === "ArrowLeft" && !wide(root)) done = follow("before");
      else if (unit && event.key === "ArrowRight" && !wide(root)) done = follow("after");
      else if (!unit && event.key === "[") done = follow("before");
      else if (!unit && event.key === "]") done = follow("after");
      else if (byId("units") && event.key.startsWith("Arrow") && !event.target.closest("#units")) done = enter();
      if (done) event.preventDefault();
    });
  }

  /* From anywhere on a layer's page, an arrow goes to the unit that was looked at last, else to the first. */
  function enter() {
    const target = document.querySelector('#units li:not([hidden]) [tabindex="0"], #units li:not([hidden])[tabindex="0"]');
    if (target) target.focus();
    return Boolean(target);
  }

  /* A layer's grid: one list of items, in the order and of the choice that the address says. */
  function grid(shard) {
    const list = byId("units");
    const items = [...list.children];
    const columns = new Map(shard.columns.map((column) => [column.key, column]));
    const names = items.map((_, channel) => (shard.titles[channel] || "").toLowerCase());
    const find = byId("find"), sort = byId("sort"), order = byId("order"), count = byId("count");
    const fields = [...document.querySelectorAll("#filters fieldset")].map((set) => ({
      key: set.dataset.key, from: set.querySelector(".from"), to: set.querySelector(".to"),
    }));
    for (const field of fields) {
      const known = columns.get(field.key).values.filter((value) => value !== null);
      if (!known.length) continue;
      const digits = columns.get(field.key).decimals;
      field.from.placeholder = known.reduce((a, b) => Math.min(a, b)).toFixed(digits);
      field.to.placeholder = known.reduce((a, b) => Math.max(a, b)).toFixed(digits);
    }
    let standing = items.map((_, channel) => channel);
    // Statistics begin with the largest, channels with the first.
    const usual = () => (sort.value ? "down" : "up");

    const wanted = (text) => {
      const query = text.trim().toLowerCase();
      if (!query) return () => true;
      const range = query.match(/^(\d+)\s*-\s*(\d+)$/);
      if (range) return (channel) => channel >= Number(range[1]) && channel <= Number(range[2]);
      if (/^[\d,\s]+$/.test(query)) {
        const asked = new Set(query.split(/[,\s]+/).filter(Boolean).map(Number));
        return (channel) => asked.has(channel);
      }
      const words = query.split(/\s+/);
      return (channel) => words.every((word) => names[channel].includes(word));
    };

    const stops = items.map((item) => (item.querySelector("a") ? [...item.querySelectorAll("a")] : [item]));
    const tab = (channel, within) => stops[channel].forEach((stop) => { const wanted = within ? 0 : -1; if (stop.tabIndex !== wanted || !stop.hasAttribute("tabindex")) stop.tabIndex = wanted; });
    const spans = items.map(() => null);
    const told = (channel) => {
      if (!spans[channel]) {
        spans[channel] = document.createElement("span");
        spans[channel].className = "v";
        (items[channel].querySelector(".told") || stops[channel][0]).append(spans[channel]);
      }
      return spans[channel];
    };

    function show() {
      const matches = wanted(find.value);
      const limits = fields.map(({ key, from, to }) => ({
        values: columns.get(key).values, from: from.value === "" ? null : Number(from.value), to: to.value === "" ? null : Number(to.value),
      })).filter(({ from, to }) => from !== null || to !== null);
      const within = (channel) => limits.every(({ values, from, to }) => {
        const value = values[channel];
        return value !== null && (from === null || value >= from) && (to === null || value <= to);
      });
      const column = columns.get(sort.value);
      const sequence = items.map((_, channel) => channel);
      if (column) {
        const sign = order.value === "up" ? 1 : -1;
        const { values } = column;
        sequence.sort((a, b) => (values[a] === null) - (values[b] === null) || sign * (values[a] - values[b]) || a - b);
      } else if (order.value === "down") {
        sequence.reverse();
      }
      let left = 0;
      const shows = items.map((_, channel) => matches(channel) && within(channel));
      // What is not drawn until it is seen makes a page quick to open and to sort, and very slow (in Chromium) to hide items of.
      if (shows.includes(false)) list.classList.remove("unseen");
      items.forEach((item, channel) => {
        const shown = shows[channel];
        left += shown;
        if (item.hidden === shown) item.hidden = !shown;
        if (column) {
          const number = column.values[channel];
          told(channel).textContent = number === null ? "none" : number.toFixed(column.decimals);
        } else if (spans[channel]) {
          spans[channel].remove();
          spans[channel] = null;
        }
      });
      if (sequence.some((channel, place) => channel !== standing[place])) {
        const sorted = document.createDocumentFragment();
        sequence.forEach((channel) => sorted.append(items[channel]));
        list.append(sorted);
        standing = sequence;
      }
      const all = items.length.toLocaleString("en");
      count.textContent = left === items.length ? `${all} unit${items.length === 1 ? "" : "s"}` : `${left.toLocaleString("en")} of ${all} units`;
      byId("nothing").hidden = left > 0;
      rove();
    }

    /* One unit is in the tab order: that which has or had the focus, or the first. */
    let current = null, visited = false;
    function rove() {
      if (!visited || current === null || items[current].hidden) current = standing.find((channel) => !items[channel].hidden) ?? null;
      items.forEach((_, channel) => tab(channel, channel === current));
    }
    const become = (channel) => {
      visited = true;
      if (current !== null) tab(current, false);
      current = channel;
      tab(channel, true);
    };
    const focusOn = (channel) => {
      become(channel);
      stops[channel][0].focus({ preventScroll: true });
      items[channel].scrollIntoView({ block: "nearest" });
    };

    function write() {
      const state = new URLSearchParams();
      if (find.value.trim()) state.set("search", find.value.trim());
      if (sort.value) state.set("sort", sort.value);
      if (order.value !== usual()) state.set("order", order.value);
      for (const { key, from, to } of fields) if (from.value !== "" || to.value !== "") state.set(`in.${key}`, `${from.value}~${to.value}`);
      const text = state.toString();
      history.replaceState(history.state, "", text ? `#${text}` : location.pathname + location.search);
    }

    function read() {
      const state = new URLSearchParams(location.hash.slice(1));
      find.value = state.get("search") || "";
      sort.value = columns.has(state.get("sort")) ? state.get("sort") : "";
      order.value = ["up", "down"].includes(state.get("order")) ? state.get("order") : usual();
      let any = false;
      for (const { key, from, to } of fields) {
        const [low = "", high = ""] = (state.get(`in.${key}`) || "").split("~");
        from.value = low;
        to.value = high;
        any ||= low !== "" || high !== "";
      }
      if (any) byId("filters").open = true;
      show();
    }

    const changed = () => { write(); show(); };
    let waiting = 0;
    const soon = () => { clearTimeout(waiting); waiting = setTimeout(changed, 60); };
    find.addEventListener("input", soon);
    for (const { from, to } of fields) { from.addEventListener("input", soon); to.addEventListener("input", soon); }
    sort.addEventListener("change", () => { order.value = usual(); changed(); });
    order.addEventListener("change", changed);
    byId("clear").addEventListener("click", () => {
      find.value = "";
      sort.value = "";
      order.value = usual();
      for (const { from, to } of fields) { from.value = ""; to.value = ""; }
      changed();
    });
    byId("controls").addEventListener("submit", (event) => event.preventDefault());
    find.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      clearTimeout(waiting);
      changed();
      enter();
    });
    window.addEventListener("hashchange", read);

    list.addEventListener("focusin", (event) => {
      const item = event.target.closest("li");
      const channel = items.indexOf(item);
      if (channel >= 0) become(channel);
    });
    list.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !event.target.closest("li")) return;
      const seen = standing.filter((channel) => !items[channel].hidden);
      const place = seen.indexOf(current);
      const tops = (channel) => items[channel].offsetTop;
      let across = 1;
      while (across < seen.length && tops(seen[across]) === tops(seen[0])) across += 1;
      const steps = { ArrowLeft: place - 1, ArrowRight: place + 1, ArrowUp: place - across, ArrowDown: place + across, Home: 0, End: seen.length - 1 };
      if (!(event.key in steps) || place < 0) return;
      event.preventDefault();
      const next = steps[event.key];
      if (next >= 0 && next < seen.length) focusOn(seen[next]);
      else if (event.key === "ArrowDown" && tops(seen[place]) !== tops(seen[seen.length - 1])) focusOn(seen[seen.length - 1]);
    });

    byId("controls").hidden = false;
    read();
    ready();
  }

  /* The network's page: a unit by its name, layers by a part of theirs, classes by a part of theirs. */
  function jump(network) {
    const find = byId("find"), found = byId("found"), count = byId("count");
    const titles = [];
    const asked = new Set();
    const wantTitles = () => {
      for (const layer of network.layers) {
        if (!layer.titled || asked.has(layer.folder)) continue;
        asked.add(layer.folder);
        const script = document.createElement("script");
        script.src = `${layer.folder}/units.js`;
        document.head.append(script);
      }
    };
    const entry = (href, text, more) => {
      const item = document.createElement("li"), link = document.createElement("a"), note = document.createElement("span");
      link.href = href;
      link.textContent = text;
      note.textContent = more ? ` ${more}` : "";
      item.append(link, note);
      return item;
    };
    function show() {
      const query = find.value.trim().toLowerCase();
      const items = [];
      if (query) {
        const cut = query.match(/^(.*?)[:\s]\s*(\d+)$/) || query.match(/^()(\d+)$/);
        for (const layer of network.layers) {
          const name = layer.name.toLowerCase();
          if (cut && cut[1] && name.includes(cut[1]) && Number(cut[2]) < layer.channels) {
            items.push([name === cut[1] ? 0 : 1, entry(`${layer.folder}/${Number(cut[2])}/index.html`, `${layer.name}:${Number(cut[2])}`, "")]);
          } else if (name.includes(query)) {
            items.push([name === query ? 0 : 2, entry(`${layer.folder}/index.html`, layer.name, `${layer.channels.toLocaleString("en")} channels`)]);
          }
        }
        for (const { layer, channel, title } of titles) {
          const low = title.toLowerCase();
          if (low.includes(query)) items.push([low.startsWith(query) ? 1 : 3, entry(`${layer.folder}/${channel}/index.html`, title, `${layer.name}:${channel}`)]);
        }
      }
      items.sort((a, b) => a[0] - b[0]);
      found.replaceChildren(...items.slice(0, 30).map(([, item]) => item));
      count.textContent = !query ? "" : items.length > 30 ? `${items.length} found, the first 30 of them:` : `${items.length} found`;
    }
    listen((shard) => {
      const layer = network.layers.find((known) => known.name === shard.layer);
      if (!layer) return;
      for (const [channel, title] of Object.entries(shard.titles)) titles.push({ layer, channel: Number(channel), title });
      show();
    });
    find.addEventListener("focus", wantTitles);
    find.addEventListener("input", () => { wantTitles(); show(); });
    byId("jump").addEventListener("submit", (event) => {
      event.preventDefault();
      const first = found.querySelector("a");
      if (first) first.click();
    });
    byId("jump").hidden = false;
    ready();
  }

  document.addEventListener("DOMContentLoaded", () => {
    tools();
    keys();
    if (byId("units")) listen(grid);
    else if (byId("jump")) listen(jump);
  });
})();
