"use strict";
// Everything is put in place with textContent and SVG attributes: no text ever becomes markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const V = data.vms, N = V.id.length, T = data.texts, S = data.steps;
  // Most times count from the step before, which keeps the page small.
  for (let i = 0; i < N; i += 1) {
    V.off[i] += V.created[i];
    V.exported[i] += V.off[i];
    V.imagesIn[i] += V.exported[i];
    V.ready[i] += V.imagesIn[i];
    V.released[i] += V.created[i];
  }
  // Where none has a gate, that list is empty.
  V.holds = V.ready.map((ready, i) => ready + (V.gate[i] || 0));
  V.key = V.id.map((id, i) => `${data.sources[V.source[i]]}/${id}`);
  V.to = V.namespace.map((n, i) => (n === null ? "" : `${T[n]}/${V.machine[i] || V.name[i].toLowerCase()}`));
  V.critical = new Set(data.path);
  // What came of machines that run: created, off, exported, made, ready.
  const came = new Map(data.actual ? data.actual.vms : []);
  const gates = new Map(data.actual ? data.actual.gates.map(([i, at, word]) => [i, { at, word }]) : []);
  const gated = V.gate.some((s) => s > 0) || gates.size > 0;
  // Machines and steps outside are nodes: a step's number counts on from that of the last machine.
  const step = (node) => S[node - N];
  const nameOf = (node) => (node < N ? V.name[node] : step(node).name);
  const workloadOf = (node) => (node < N ? V.workload[node] : step(node).workload);
  const beginOf = (node) => (node < N ? V.created[node] : step(node).starts);
  const startOf = (node) => (node < N ? V.off[node] : step(node).starts);
  const doneOf = (node) => (node < N ? V.holds[node] : step(node).ends);
  const LABEL = 190, ROW = 20, PAD = 12, CURVE = 110, LINE = 30;
  const PRINT_ROWS = 40, PAPER = 680, PRINT_LINES = 400, DOTS = 25, LISTED = 40;

  const el = (name, attributes, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const svg = (name, attributes, text) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  // Words between backticks are names and values.
  const prose = (text) => text.split("`").map((part, n, all) => (n % 2 && n < all.length - 1 ? el("kbd", {}, part) : n % 2 ? `\`${part}` : part));
  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

  // Words and numbers, as on the command line.
  const pad2 = (n) => String(n).padStart(2, "0");
  const span = (s) => {
    if (s < 100) return `${s} s`;
    if (s < 3570) return `${Math.floor((s + 30) / 60)} min`;
    if (s < 172770) {
      const m = Math.floor((s + 30) / 60);
      return m % 60 ? `${Math.floor(m / 60)} h ${pad2(m % 60)} min` : `${m / 60} h`;
    }
    const h = Math.floor((s + 1800) / 3600);
    return h % 24 ? `${Math.floor(h / 24)} d ${h % 24} h` : `${h / 24} d`;
  };
  const size = (bytes) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = 0, value = bytes;
    while (value >= 1024 && unit < 5) { value /= 1024; unit += 1; }
    const tenths = Math.round(value * 10);
    return tenths < 100 && tenths % 10 ? `${tenths / 10} ${units[unit]}` : `${Math.round(value)} ${units[unit]}`;
  };

  // Time: seconds from the origin. Without one, there is no zone either.
  const formats = new Map();
  let zone = data.zone;
  const parts = (t) => {
    if (!formats.has(zone)) {
      formats.set(zone, new Intl.DateTimeFormat("en-GB", {
        timeZone: zone, weekday: "short", day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit",
        hourCycle: "h23",
      }));
    }
    const found = {};
    for (const part of formats.get(zone).formatToParts((data.origin + t) * 1000)) found[part.type] = part.value;
    return found;
  };
  const day = (t) => { const p = parts(t); return `${p.weekday} ${p.day} ${p.month}`; };
  const clock = (t) => { const p = parts(t); return `${p.hour}:${p.minute}`; };
  const moment = (t) => (data.origin === null ? `+${span(t)}` : `${day(t)} ${clock(t)}`);
  const until = (from, to) =>
    (data.origin !== null && day(from) === day(to) ? clock(to) : moment(to));
  // How far local midnight is from the origin's multiples of a day.
  const offset = (t) => {
    if (data.origin === null) return 0;
    const p = parts(t);
    const local = Number(p.hour) * 3600 + Number(p.minute) * 60;
    const day = 86400;
    return (((local - (t % day)) % day) + day) % day;
  };

  const down = (i) => Math.max(0, V.ready[i] - V.off[i]);
  const was = (i) => (came.has(i) ? Math.max(0, came.get(i)[4] - came.get(i)[1]) : null);
  const service = (node) => data.workloads[workloadOf(node)].service;
  const app = (node) => {
    const s = service(node);
    return s === null ? data.workloads[workloadOf(node)].name : data.services[s].name;
  };
  const of = Array.from({ length: N }, () => []);
  data.findings.forEach((found, n) => { for (const [vm] of found.items) if (vm !== null && !of[vm].includes(n)) of[vm].push(n); });
  // What must be done before others start, by workload: the last of its nodes, gates included.
  const lastOf = data.workloads.map(() => -1);
  for (let node = 0; node < N + S.length; node += 1) {
    const w = workloadOf(node);
    if (lastOf[w] < 0 || doneOf(node) > doneOf(lastOf[w])) lastOf[w] = node;
  }
  const before = (node) => {
    const from = data.workloads[workloadOf(node)].after.map((w) => lastOf[w]).filter((j) => j >= 0);
    return node < N ? from.concat(V.after[node]) : from;
  };

  // Head.
  const figures = () => {
    const box = $("figures");
    box.replaceChildren();
    const card = (name, value, note) => {
      const dd = el("dd", {}, value);
      if (note) dd.append(el("small", {}, note));
      box.append(el("div", {}, el("dt", {}, name), dd));
    };
    card("Machines", String(N), `${plural(data.waves.length, "wave")}, ${size(V.disks.reduce((a, b) => a + b, 0))} of disks`);
    const { early, late } = data.band;
    const band = [
      late > early ? `between ${moment(early)} and ${until(early, late)}` : "",
      data.done === null ? "" : `last gate and step outside ${until(data.ends, data.done)}`,
    ].filter(Boolean).join("; ");
    if (data.actual && data.ends === 0) card("Ended", moment(ends), "every machine runs");
    else card("Ends", data.ends ? moment(data.ends) : "nothing to move", data.ends ? band : "");
    let worst = -1;
    const real = (i) => (was(i) === null ? down(i) : was(i));
    for (let i = 0; i < N; i += 1) if (worst < 0 || real(i) > real(worst)) worst = i;
    let slowest = null;
    for (const one of data.services) if (one.down !== null && (!slowest || one.down > slowest.down)) slowest = one;
    const longest = worst < 0 ? "" : `machine: ${span(real(worst))}, ${V.name[worst]}`;
    if (slowest) card("Longest downtime of a service", span(slowest.down), `${slowest.name}; ${longest}`);
    else card("Longest downtime", worst < 0 ? "none" : span(real(worst)), worst < 0 ? "" : V.name[worst]);
    let tight = null;
    for (const wave of data.waves) if (wave.peak !== null && (!tight || wave.peak / wave.usable > tight.peak / tight.usable)) tight = wave;
    if (tight) card("Scratch at its fullest", `${Math.round((tight.peak / tight.usable) * 100)} %`, `${size(tight.peak)} of ${size(tight.usable)} on ${tight.target}, wave ${tight.stem}`);
  };

  // The chart: one domain of time for rows and curves.
  const last = (list) => { let most = 0; for (const t of list) if (t > most) most = t; return most; };
  const ends = Math.max(1, data.ends, last(V.holds), last(S.map((one) => Math.max(one.ends, one.came ? one.came[1] : 0))), last([...gates.values()].map((gate) => gate.at || 0)), last([...came.values()].map((steps) => steps[4])), ...data.targets.map((t) => (t.curve.length ? t.curve[t.curve.length - 1][0] : 0)));
  let begins = N + S.length ? Infinity : 0;
  for (const one of S) begins = Math.min(begins, one.starts);
  for (let i = 0; i < N; i += 1) begins = Math.min(begins, V.created[i], came.has(i) ? came.get(i)[0] : Infinity);
  // Long times in which nothing is under way are cut short: `spans` has what is left, with room around.
  const spans = (() => {
    const list = [];
    for (let i = 0; i < N; i += 1) {
      list.push([V.created[i], Math.max(V.holds[i], V.released[i])]);
      if (came.has(i)) list.push([came.get(i)[0], Math.max(came.get(i)[4], (gates.get(i) || { at: 0 }).at || 0)]);
    }
    for (const one of S) {
      list.push([one.starts, one.ends]);
      if (one.came) list.push([one.came[0] === null ? one.came[1] : Math.min(...one.came), one.came[1]]);
    }
    list.sort((a, b) => a[0] - b[0]);
    const joined = [];
    for (const [from, to] of list) {
      const before = joined[joined.length - 1];
      if (before && from - before[1] < 4 * 3600) before[1] = Math.max(before[1], to);
      else joined.push([from, to]);
    }
    return joined;
  })();
  const busy = spans.reduce((sum, [from, to]) => sum + to - from, 0);
  // A cut is as wide as 2 % of what is left, at most a fifth of it together.
  const CUT = Math.max(1, Math.min(busy * 0.02, (busy * 0.2) / Math.max(1, spans.length)));
  let cutting = spans.length > 1 && spans.length < 40;
  const whole = () => {
    const margin = (cutting ? busy : ends - begins) * 0.01;
    return [Math.max(0, begins - margin), ends];
  };
  const domain = { from: whole()[0], to: whole()[1] };
  // Time on the chart: as it is, or without what is cut.
  const shown = (t) => {
    if (!cutting) return t;
    let at = 0;
    for (let n = 0; n < spans.length; n += 1) {
      const [from, to] = spans[n];
      if (t < from) {
        if (!n) return t - from;
        const before = spans[n - 1][1];
        return at - CUT + ((t - before) / (from - before)) * CUT;
      }
      if (t <= to) return at + t - from;
      at += to - from + CUT;
    }
    return at - CUT + (t - spans[spans.length - 1][1]);
  };
  // The time at a place of the chart: what `shown` turns into it.
  const timeAt = (u) => {
    let low = Math.min(0, begins), high = ends * 2;
    for (let n = 0; n < 60; n += 1) {
      const mid = (low + high) / 2;
      if (shown(mid) < u) low = mid; else high = mid;
    }
    return low;
  };
  const folded = new Set();
  let groupBy = "wave", rows = [], current = -1, printing = false;

  // No wave and no source has a blank in its name.
  const OUTSIDE = "steps outside";
  const groups = () => {
    const named = new Map();
    const name = {
      wave: (node) => (node < N ? data.waves[V.wave[node]].stem : OUTSIDE),
      app,
      source: (node) => (node < N ? data.sources[V.source[node]] : OUTSIDE),
    }[groupBy];
    if (S.length && groupBy !== "app") named.set(OUTSIDE, []);
    for (let node = 0; node < N + S.length; node += 1) {
      const g = name(node);
      if (!named.has(g)) named.set(g, []);
      named.get(g).push(node);
    }
    for (const list of named.values()) list.sort((a, b) => beginOf(a) - beginOf(b) || a - b);
    return [...named];
  };
  // What people do stays open, unless it is a lot.
  const foldAll = () => {
    for (const [name, list] of groups()) if (list.some((node) => node < N) || list.length > PRINT_ROWS / 4) folded.add(name);
  };
  const layout = () => {
    rows = [];
    for (const [name, list] of groups()) {
      const row = { group: name, count: list.length, steps: 0, from: Infinity, to: 0, holds: 0, done: 0, pieces: [] };
      for (const node of list) {
        row.from = Math.min(row.from, startOf(node));
        if (node < N) {
          row.to = Math.max(row.to, V.ready[node]);
          row.holds = Math.max(row.holds, V.holds[node]);
        } else {
          row.steps += 1;
          row.done = Math.max(row.done, doneOf(node));
        }
        // Sorted by start: what touches is one piece.
        const piece = row.pieces[row.pieces.length - 1];
        if (piece && beginOf(node) <= piece[1] + 60) piece[1] = Math.max(piece[1], doneOf(node));
        else row.pieces.push([beginOf(node), doneOf(node)]);
      }
      rows.push(row);
      if (!folded.has(name)) for (const node of list) rows.push({ node });
    }
    if (current >= rows.length) current = rows.length - 1;
    $("fold").textContent = folded.size ? "Open all groups" : "Close all groups";
  };
  const width = () => (printing ? PAPER : Math.max(320, $("rows").clientWidth || 900));
  const scale = (w) => {
    const from = shown(domain.from);
    const k = (w - LABEL - PAD) / (shown(domain.to) - from);
    return (t) => LABEL + (shown(t) - from) * k;
  };
  // Cuts in view, as places.
  const cuts = (x) => {
    const list = [];
    for (let n = 1; cutting && n < spans.length; n += 1) {
      const from = spans[n - 1][1], to = spans[n][0];
      if (to > domain.from && from < domain.to) list.push([x(Math.max(from, domain.from)), x(Math.min(to, domain.to)), from, to]);
    }
    return list;
  };
  const STEPS = [60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2419200];
  const ticks = (w) => {
    const x = scale(w), gaps = cuts(x);
    const wide = shown(domain.to) - shown(domain.from);
    const wanted = wide / Math.max(2, (w - LABEL) / 105);
    const step = STEPS.find((s) => s >= wanted) || 86400 * Math.ceil(wanted / 86400);
    const list = [];
    // Each piece of time has ticks of its own, so that weeks of nothing cost none.
    const pieces = cutting ? spans.map(([from, to]) => [Math.max(from, domain.from), Math.min(to, domain.to)]) : [[domain.from, domain.to]];
    for (const [from, to] of pieces) {
      if (to <= from) continue;
      const shift = offset(Math.max(0, Math.floor(from)));
      for (let t = Math.ceil((from + shift) / step) * step - shift; t <= to; t += step) list.push(t);
      if (cutting && (!list.length || list[list.length - 1] < from)) list.push(from);
    }
    return { list, step, gaps };
  };
  const backdrop = (into, x, height, w) => {
    for (const window of data.windows) {
      if (window.to < domain.from || window.from > domain.to) continue;
      const a = Math.max(LABEL, x(window.from)), b = Math.min(w - PAD, x(window.to));
      if (b <= a) continue;
      const rect = svg("rect", { class: "win", x: a, y: 0, width: Math.max(1, b - a), height });
      rect.append(svg("title", {}, `window ${window.name} ${window.id}`));
      into.append(rect);
    }
    const { list, gaps } = ticks(w);
    for (const t of list) into.append(svg("line", { class: "grid", x1: x(t), x2: x(t), y1: 0, y2: height }));
    for (const [a, b, from, to] of gaps) {
      const rect = svg("rect", { class: "cut", x: a, y: 0, width: Math.max(2, b - a), height });
      rect.append(svg("title", {}, `nothing for ${span(to - from)}`));
      into.append(rect);
    }
  };
  const axis = (w) => {
    const node = $("axis"), x = scale(w), { list, step, gaps } = ticks(w);
    node.setAttribute("viewBox", `0 0 ${w} 34`);
    node.setAttribute("height", "34");
    node.style.width = `${w}px`;
    node.replaceChildren();
    for (const [a, b] of gaps) node.append(svg("text", { class: "dim", x: (a + b) / 2, y: 28, "text-anchor": "middle" }, "⋯"));
    // Texts that would cover each other are left out.
    let days = -1e9, clocks = -1e9, before = "";
    for (const t of list) {
      const at = x(t) + 2;
      if (data.origin === null) {
        if (at > clocks) { node.append(svg("text", { class: "dim", x: at, y: 28 }, `+${span(t)}`)); clocks = at + 62; }
        continue;
      }
      const d = day(t);
      if (d !== before && at > days && at < w - 40) { node.append(svg("text", { x: at, y: 13 }, d)); days = at + 74; before = d; }
      if (step < 86400 && at > clocks && at < w - 30) { node.append(svg("text", { class: "dim", x: at, y: 28 }, clock(t))); clocks = at + 40; }
    }
  };
  const bar = (into, kind, x, a, b, y, height, w) => {
    const from = Math.max(LABEL, x(a)), to = Math.min(w - PAD, x(b));
    if (to < LABEL || from > w - PAD || b <= a) return;
    into.append(svg("rect", { class: kind, x: from, y: y - height / 2, width: Math.max(1.5, to - from), height }));
  };
  // A gate: a thin line from readiness to a post at which it holds, or a cross at which it failed.
  const gate = (into, x, a, b, y, w, failed) => {
    bar(into, "gate", x, a, b, y, 2, w);
    const at = x(b);
    if (at < LABEL || at > w - PAD || b <= a) return;
    into.append(svg("path", { class: failed ? "post failed" : "post", d: failed ? `M${at - 4},${y - 4} l8,8 M${at - 4},${y + 4} l8,-8` : `M${at},${y - 5} v10` }));
  };
  // A step outside: an outlined bar that ends in a diamond, and what is done beside it.
  const outside = (into, x, one, y, w) => {
    const [a, b] = one.came ? [one.came[0] === null ? one.came[1] : Math.min(...one.came), one.came[1]] : [one.starts, one.ends];
    if (one.came) bar(into, "foretold", x, one.starts, one.ends, y, 16, w);
    bar(into, "step", x, a, b, y, 9, w);
    const at = x(b), room = w - PAD - at - 12, chars = Math.floor((room > 120 ? room : x(a) - LABEL - 8) / 6.4);
    if (at >= LABEL && at <= w - PAD) into.append(svg("path", { class: "done", d: `M${at - 5},${y} l5,-5 l5,5 l-5,5 Z` }));
    if (chars < 12 || at < LABEL || x(a) > w - PAD) return;
    const beside = room > 120 ? { x: at + 9 } : { x: x(a) - 6, "text-anchor": "end" };
    into.append(svg("text", { class: "dim", y: y + 4, ...beside }, clip(one.title, chars)));
  };
  const clip = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  const draw = () => {
    const box = $("rows"), w = width(), x = scale(w);
    let spacer = box.firstElementChild;
    if (!spacer) {
      spacer = el("div");
      box.append(spacer, svg("svg", { "aria-hidden": "true" }));
    }
    const total = (printing ? Math.min(rows.length, PRINT_ROWS) : rows.length) * ROW;
    $("rows-cut").textContent = printing && rows.length > PRINT_ROWS ? `The first ${PRINT_ROWS} of ${rows.length} rows; the page has all of them.` : "";
    spacer.style.height = `${total}px`;
    const node = box.lastElementChild;
    const first = printing ? 0 : Math.max(0, Math.floor(box.scrollTop / ROW) - 4);
    const last = printing ? Math.min(rows.length, PRINT_ROWS) : Math.min(rows.length, first + Math.ceil(Math.max(480, box.clientHeight) / ROW) + 8);
    const height = Math.max(ROW, (last - first) * ROW);
    node.setAttribute("viewBox", `0 0 ${w} ${height}`);
    node.setAttribute("height", height);
    node.style.width = `${w}px`;
    node.style.transform = `translateY(${first * ROW}px)`;
    node.replaceChildren();
    backdrop(node, x, height, w);
    for (let r = first; r < last; r += 1) {
      const row = rows[r], y = (r - first) * ROW + ROW / 2;
      if (r === current) node.append(svg("rect", { class: "pick", x: 0, y: y - ROW / 2, width: LABEL - 6, height: ROW }));
      if (row.group !== undefined) {
        const mark = folded.has(row.group) ? "▸" : "▾";
        node.append(svg("text", { class: "group", x: 4, y: y + 4 }, `${mark} ${clip(row.group, 20)} (${row.count})`));
        for (const [from, to] of row.pieces) bar(node, "span", x, from, to, y, 4, w);
        continue;
      }
      const i = row.node, cold = i >= N || V.runs[i] ? "" : " cold";
      if (V.critical.has(i)) node.append(svg("path", { class: "crit", d: `M8,${y - 4} l5,4 l-5,4 Z` }));
      node.append(svg("text", { class: cold ? "dim" : "", x: 18, y: y + 4 }, clip(nameOf(i), 25)));
      if (i >= N) { outside(node, x, step(i), y, w); continue; }
      const real = came.get(i);
      if (real) {
        const held = gates.get(i);
        bar(node, "foretold", x, V.off[i], V.holds[i], y, 16, w);
        bar(node, "shut", x, real[0], real[1], y, 2, w);
        bar(node, "export", x, real[1], real[2], y, 9, w);
        bar(node, "image", x, real[2], real[3], y, 6, w);
        bar(node, "boot", x, real[3], real[4], y, 3, w);
        if (held && held.at !== null) gate(node, x, real[4], held.at, y, w, held.word === "failed");
        continue;
      }
      bar(node, `shut${cold}`, x, V.created[i], V.off[i], y, 2, w);
      bar(node, `export${cold}`, x, V.off[i], V.exported[i], y, 13, w);
      bar(node, `image${cold}`, x, V.exported[i], V.imagesIn[i], y, 8, w);
      bar(node, `boot${cold}`, x, V.imagesIn[i], V.ready[i], y, 4, w);
      gate(node, x, V.ready[i], V.holds[i], y, w, false);
    }
    const picked = rows[current];
    if (picked && picked.group === undefined) {
      const place = new Map();
      rows.forEach((row, r) => { if (row.group === undefined) place.set(row.node, r); });
      for (const j of before(picked.node)) {
        if (!place.has(j)) continue;
        const y = (r) => (r - first) * ROW + ROW / 2;
        const a = x(doneOf(j)), b = x(startOf(picked.node)), y1 = y(place.get(j)), y2 = y(current);
        node.append(svg("path", { class: "dep", d: `M${a},${y1} L${(a + b) / 2},${y1} L${(a + b) / 2},${y2} L${b},${y2}` }));
      }
    }
    axis(w);
  };
  const heldAt = (target, t) => {
    let low = 0, high = target.curve.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (target.curve[mid][0] <= t) low = mid + 1; else high = mid;
    }
    return low ? target.curve[low - 1][1] : 0;
  };
  const curves = () => {
    const box = $("curves"), w = width(), x = scale(w);
    box.replaceChildren();
    data.targets.forEach((target) => {
      const top = Math.max(target.usable, 1, ...target.curve.map((step) => step[1])) * 1.08;
      const y = (bytes) => CURVE - 4 - (bytes / top) * (CURVE - 12);
      const node = svg("svg", { viewBox: `0 0 ${w} ${CURVE}`, height: CURVE, role: "img" });
      node.style.width = `${w}px`;
      node.append(svg("title", {}, `Scratch of ${target.name} over time, at most ${size(target.usable)}`));
      backdrop(node, x, CURVE, w);
      let d = `M${LABEL},${y(heldAt(target, domain.from))}`, held = heldAt(target, domain.from);
      for (const [at, bytes] of target.curve) {
        if (at <= domain.from) continue;
        if (at > domain.to) break;
        d += ` L${x(at).toFixed(1)},${y(held).toFixed(1)} L${x(at).toFixed(1)},${y(bytes).toFixed(1)}`;
        held = bytes;
      }
      d += ` L${w - PAD},${y(held)} L${w - PAD},${y(0)} L${LABEL},${y(0)} Z`;
      node.append(svg("path", { class: "held", d }));
      node.append(svg("path", { class: "limit", d: `M${LABEL},${y(target.usable)} L${w - PAD},${y(target.usable)}` }));
      node.append(svg("text", { x: 4, y: 16 }, `scratch of ${clip(target.name, 16)}`));
      node.append(svg("text", { class: "dim", x: 4, y: 32 }, `limit ${size(target.usable)}`));
      node.addEventListener("pointermove", (event) => {
        const from = shown(domain.from), wide = shown(domain.to) - from;
        const t = timeAt(from + ((event.offsetX - LABEL) / (w - LABEL - PAD)) * wide);
        if (t < domain.from || t > domain.to) return;
        const who = [];
        for (let i = 0; i < N; i += 1) {
          if (data.waves[V.wave[i]].target === target.name && V.off[i] <= t && t < V.released[i]) who.push(i);
        }
        who.sort((a, b) => V.disks[b] - V.disks[a]);
        const names = who.slice(0, 5).map((i) => V.name[i]).join(", ");
        const more = who.length > 5 ? ` and ${who.length - 5} more` : "";
        $("about").textContent = `${moment(Math.round(t))}: ${size(heldAt(target, t))} of ${size(target.usable)} held${who.length ? ` by ${names}${more}` : ""}`;
      });
      box.append(node);
    });
  };
  const tell = () => {
    const row = rows[current];
    if (!row) { $("about").textContent = "Point at a row, or move through them with the arrow keys."; return; }
    if (row.group !== undefined) {
      const machines = row.count - row.steps;
      $("about").textContent = [
        machines ? `${row.group}: ${plural(machines, "machine")}, first guest off ${moment(row.from)}, last machine ready ${until(row.from, row.to)}` : `${row.group}: first may begin ${moment(row.from)}`,
        row.holds > row.to ? `last gate holds ${until(row.from, row.holds)}` : "",
        row.steps ? `${machines ? `${plural(row.steps, "step")} outside, ` : ""}last done ${until(row.from, row.done)}` : "",
      ].filter(Boolean).join(", ");
      return;
    }
    const i = row.node;
    const waits = before(i).map(nameOf);
    const after = waits.length ? ` After ${waits.slice(0, 6).join(", ")}${waits.length > 6 ? ` and ${waits.length - 6} more` : ""}.` : "";
    const critical = V.critical.has(i) ? " On the critical path." : "";
    if (i >= N) {
      const one = step(i);
      const foretold = `${moment(one.starts)} until ${until(one.starts, one.ends)}`;
      $("about").textContent = one.came
        ? `Step outside ${one.name}: ${one.title}. Foretold ${foretold}; ${one.came[0] === null ? "" : `could begin ${moment(one.came[0])}, `}done by ${moment(one.came[1])}, when what waited for it began.${after}`
        : `Step outside ${one.name}: ${one.title}. May begin ${moment(one.starts)}, expected to be done ${until(one.starts, one.ends)}, after ${span(one.ends - one.starts)}; ${one.saidBy} says so.${critical}${after}`;
      return;
    }
    const ports = data.workloads[V.workload[i]].gate, held = gates.get(i);
    const found = of[i].map((n) => data.findings[n].code);
    const real = came.get(i);
    if (real) {
      $("about").textContent = `${V.name[i]} (${V.key[i]}): foretold ${moment(V.off[i])} until ${until(V.off[i], V.ready[i])}, down for ${span(down(i))}; came ${moment(real[1])} until ${until(real[1], real[4])}, down for ${span(was(i))}: export ${span(real[2] - real[1])} (${span(V.exported[i] - V.off[i])} foretold), images ${span(real[3] - real[2])} (${span(V.imagesIn[i] - V.exported[i])}), boot ${span(real[4] - real[3])} (${span(V.ready[i] - V.imagesIn[i])}).${held ? ` Gate ${held.word}${held.at === null ? "" : ` ${moment(held.at)}`}${V.holds[i] > V.ready[i] ? ` (${moment(V.holds[i])} foretold)` : ""}.` : ""}`;
      return;
    }
    const at = V.runs[i] ? `down from ${moment(V.off[i])} until ${until(V.off[i], V.ready[i])}, for ${span(down(i))}` : `off already, moved from ${moment(V.off[i])} until ${until(V.off[i], V.ready[i])}`;
    $("about").textContent = `${V.name[i]} (${V.key[i]}), ${size(V.disks[i])}${V.to[i] ? `, to ${V.to[i]}` : ""}: ${at}: export ${span(V.exported[i] - V.off[i])}, images ${span(V.imagesIn[i] - V.exported[i])}, boot ${span(V.ready[i] - V.imagesIn[i])}.${V.holds[i] > V.ready[i] ? ` Its gate${ports === null ? "" : ` (port ${ports})`} holds ${until(V.off[i], V.holds[i])}, ${span(V.holds[i] - V.ready[i])} later; only then do others start.` : ""}${critical}${after}${found.length ? ` Findings: ${[...new Set(found)].join(", ")}.` : ""}`;
  };
  const chart = () => { layout(); draw(); curves(); };
  let waiting = false;
  const soon = (work) => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; work(); });
  };
  const pick = (r, scroll) => {
    if (r < 0 || r >= rows.length || r === current) return;
    current = r;
    const box = $("rows");
    if (scroll) {
      if (r * ROW < box.scrollTop) box.scrollTop = r * ROW;
      if ((r + 1) * ROW > box.scrollTop + box.clientHeight) box.scrollTop = (r + 1) * ROW - box.clientHeight;
    }
    tell();
    soon(draw);
  };
  const toggle = (r) => {
    const row = rows[r];
    if (!row || row.group === undefined) return;
    if (folded.has(row.group)) folded.delete(row.group); else folded.add(row.group);
    layout(); tell(); draw();
  };
  // To these places of the chart, no nearer than ten minutes and no farther than the whole.
  const zoom = (a, b) => {
    const first = shown(whole()[0]), all = shown(whole()[1]) - first;
    const wide = Math.min(all, Math.max(600, b - a));
    const from = Math.max(first, Math.min((a + b) / 2 - wide / 2, first + all - wide));
    [domain.from, domain.to] = wide >= all ? whole() : [timeAt(from), timeAt(from + wide)];
    draw(); curves();
  };
  const bind = () => {
    const box = $("rows");
    box.addEventListener("scroll", () => soon(draw), { passive: true });
    const rowAt = (event) => Math.floor((event.clientY - box.getBoundingClientRect().top + box.scrollTop) / ROW);
    box.addEventListener("pointermove", (event) => pick(rowAt(event), false));
    box.addEventListener("click", (event) => toggle(rowAt(event)));
    box.addEventListener("keydown", (event) => {
      const page = Math.max(1, Math.floor(box.clientHeight / ROW) - 1);
      const to = { ArrowDown: current + 1, ArrowUp: current - 1, PageDown: Math.min(rows.length - 1, current + page), PageUp: Math.max(0, current - page), Home: 0, End: rows.length - 1 }[event.key];
      if (to !== undefined) { pick(to, true); event.preventDefault(); }
      if (event.key === "Enter" || event.key === " ") { toggle(current); event.preventDefault(); }
    });
    const by = (from, to) => () => {
      const a = shown(domain.from), wide = shown(domain.to) - a;
      zoom(a + wide * from, a + wide * to);
    };
    $("in").addEventListener("click", by(0.25, 0.75));
    $("out").addEventListener("click", by(-0.5, 1.5));
    $("left").addEventListener("click", by(-0.5, 0.5));
    $("right").addEventListener("click", by(0.5, 1.5));
    $("idle").parentElement.hidden = spans.length < 2;
    $("idle").checked = !cutting;
    $("idle").addEventListener("change", () => { cutting = !$("idle").checked; [domain.from, domain.to] = whole(); draw(); curves(); });
    $("group").addEventListener("change", (event) => { groupBy = event.target.value; folded.clear(); start(); chart(); });
    $("fold").addEventListener("click", () => {
      if (folded.size) folded.clear(); else for (const [name] of groups()) folded.add(name);
      chart();
    });
    const choice = $("span");
    choice.append(el("option", { value: "" }, "the whole plan"));
    data.waves.forEach((wave, n) => choice.append(el("option", { value: n }, `wave ${wave.stem}`)));
    choice.addEventListener("change", () => {
      const wave = data.waves[choice.value];
      const margin = wave ? (wave.ends - wave.starts) * 0.03 : 0;
      if (wave) zoom(shown(wave.starts - margin), shown(wave.ends + margin)); else zoom(...whole().map(shown));
    });
    new ResizeObserver(() => soon(() => { draw(); curves(); dots(); })).observe($("chart"));
  };
  // Many rows begin closed: the shape of the whole first.
  const start = () => { if (N > 200) foldAll(); };
  const legend = () => {
    const mark = (kind, height, text) => {
      const icon = svg("svg", { width: 22, height: 14, "aria-hidden": "true" });
      icon.append(svg("rect", { class: kind, x: 0, y: 7 - height / 2, width: 22, height }));
      $("legend").append(el("span", {}, icon, text));
    };
    mark("shut", 2, "shutdown");
    mark("export", 13, "export");
    mark("image", 8, "images");
    mark("boot", 4, "boot");
    if (gated) {
      const icon = svg("svg", { width: 22, height: 14, "aria-hidden": "true" });
      icon.append(svg("rect", { class: "gate", x: 0, y: 6, width: 20, height: 2 }), svg("path", { class: "post", d: "M20,2 v10" }));
      $("legend").append(el("span", {}, icon, "until its gate holds"));
    }
    if ([...gates.values()].some((held) => held.word === "failed")) {
      const icon = svg("svg", { width: 14, height: 14, "aria-hidden": "true" });
      icon.append(svg("path", { class: "post failed", d: "M3,3 l8,8 M3,11 l8,-8" }));
      $("legend").append(el("span", {}, icon, "its gate failed"));
    }
    if (S.length) {
      const icon = svg("svg", { width: 28, height: 14, "aria-hidden": "true" });
      icon.append(svg("rect", { class: "step", x: 1, y: 2.5, width: 20, height: 9 }), svg("path", { class: "done", d: "M16,7 l5,-5 l5,5 l-5,5 Z" }));
      $("legend").append(el("span", {}, icon, "step outside, done"));
    }
    mark("export cold", 13, "off already");
    const icon = svg("svg", { width: 10, height: 14, "aria-hidden": "true" });
    icon.append(svg("path", { class: "crit", d: "M2,3 l5,4 l-5,4 Z" }));
    $("legend").append(el("span", {}, icon, "on the critical path"));
    if (data.windows.length) mark("win", 14, "window");
    if (came.size) mark("foretold", 14, "foretold");
    if (cutting) mark("cut", 14, "nothing under way, cut short");
  };

  // Downtime by application: each machine a dot, the median a tick, the budget a line.
  let every = false;
  const dots = () => {
    const by = new Map();
    for (let i = 0; i < N; i += 1) {
      const name = app(i);
      const s = service(i), of = s === null ? data.workloads[V.workload[i]] : data.services[s];
      if (!by.has(name)) by.set(name, { list: [], runs: 0, down: of.down });
      const one = by.get(name);
      one.list.push(was(i) === null ? down(i) : was(i));
      one.runs += V.runs[i];
    }
    for (const one of by.values()) one.list.sort((a, b) => a - b);
    const budget = new Map(data.services.map((s) => [s.name, s]));
    for (const w of data.workloads) if (w.budget !== null && !budget.has(w.name)) budget.set(w.name, w);
    const all = [...by].sort((a, b) => b[1].list[b[1].list.length - 1] - a[1].list[a[1].list.length - 1] || (a[0] < b[0] ? -1 : 1));
    const shown = every || printing ? all : all.slice(0, DOTS);
    const w = printing ? PAPER : Math.max(320, $("dots").clientWidth || 900), narrow = w < 560, right = narrow ? 74 : 250;
    const LABEL = narrow ? 110 : 190;
    const most = Math.max(1, ...all.map(([name, one]) => {
      const b = budget.get(name);
      return Math.max(one.list[one.list.length - 1], b && b.budget ? b.budget : 0);
    }));
    const x = (s) => LABEL + (s / most) * (w - LABEL - right);
    const node = svg("svg", { class: "dots", viewBox: `0 0 ${w} ${shown.length * ROW + 22}`, height: shown.length * ROW + 22, role: "img" });
    node.append(svg("title", {}, "Downtime of each machine, by application"));
    shown.forEach(([name, one], r) => {
      const y = r * ROW + ROW / 2, list = one.list, worst = list[list.length - 1], median = list[(list.length - 1) >> 1];
      node.append(svg("line", { class: "grid", x1: LABEL, x2: w - right, y1: y, y2: y }));
      node.append(svg("text", { x: 4, y: y + 4 }, clip(name, narrow ? 14 : 25)));
      let last = -9;
      for (const s of list) {
        if (x(s) - last < 1) continue;
        last = x(s);
        node.append(svg("circle", { class: "dot", cx: last, cy: y, r: 4 }));
      }
      node.append(svg("circle", { class: "worst", cx: x(worst), cy: y, r: 5.5 }));
      node.append(svg("line", { class: "median", x1: x(median), x2: x(median), y1: y - 6, y2: y + 6 }));
      const b = budget.get(name);
      if (b && b.budget) {
        const line = svg("path", { class: "limit", d: `M${x(b.budget)},${y - 8} L${x(b.budget)},${y + 8}` });
        line.append(svg("title", {}, `budget ${span(b.budget)}`));
        node.append(line);
      }
      const whole = came.size ? "" : one.runs ? (one.down === null ? "" : `, all ${span(one.down)}`) : ", off already";
      node.append(svg("text", { class: "dim", x: w - right + 10, y: y + 4 }, narrow ? span(worst) : `worst ${span(worst)}${whole}`));
    });
    node.append(svg("text", { class: "dim", x: LABEL, y: shown.length * ROW + 16 }, "0"));
    node.append(svg("text", { class: "dim", x: w - right, y: shown.length * ROW + 16, "text-anchor": "end" }, span(most)));
    $("dots").replaceChildren(node);
    $("dots-all").hidden = all.length <= DOTS;
    $("dots-all").textContent = every ? `Show the worst ${DOTS}` : `Show all ${all.length} applications`;
    $("downtime-note").textContent = N ? `One line for each application, the worst first; a dot is a machine, a tick the median, “all” counts from the first guest off to the last machine ready${gated ? " and its gate holding" : ""}${S.length ? ", of a service also until its last step outside is done" : ""}, in each occurrence of its window.${came.size ? " Of machines that run, what came." : ""}${data.ends ? ` All at once, the same machines would be down for ${span(data.atOnce.mean)} on average and ${span(data.atOnce.worst)} at most, and need ${size(data.atOnce.scratch)} of scratch.` : ""}` : "Nothing is moved, so nothing is down.";
  };

  // The table: only the lines in view are in the page.
  const COLUMNS = [
    ["machine", (i) => V.name[i]],
    ["application", app],
    ["wave", (i) => data.waves[V.wave[i]].stem],
    ["source", (i) => data.sources[V.source[i]]],
    ...(V.to.some(Boolean) ? [["to", (i) => V.to[i]]] : []),
    ["disks", (i) => V.disks[i], size],
    ["guest off", (i) => (came.has(i) ? came.get(i)[1] : V.off[i]), moment],
    ["ready", (i) => (came.has(i) ? came.get(i)[4] : V.ready[i]), moment],
    ["downtime", down, span],
    ...(came.size ? [
      ["came to", (i) => (was(i) === null ? -1 : was(i)), (s) => (s < 0 ? "" : span(s))],
      ["difference", (i) => (was(i) === null ? -1e9 : was(i) - down(i)), (s) => (s === -1e9 ? "" : s < 0 ? `−${span(-s)}` : `+${span(s)}`)],
    ] : []),
    ...(gated ? [["gate", (i) => {
      const held = gates.get(i);
      if (!held) return came.has(i) || !V.gate[i] ? -1 : V.gate[i];
      return held.word === "failed" ? Infinity : held.at === null ? -1 : held.at - came.get(i)[4];
    }, (s) => (s < 0 ? "" : s === Infinity ? "failed" : `+${span(s)}`)]] : []),
    ["findings", (i) => [...new Set(of[i].map((n) => data.findings[n].code))].join(" ")],
  ];
  const NUMBERS = new Set(["disks", "downtime", "came to", "difference", "gate"]);
  const texts = Array.from({ length: N }, (_, i) => `${V.name[i]}\n${V.key[i]}\n${app(i)}\n${data.workloads[V.workload[i]].name}\n${V.to[i]}`.toLowerCase());
  let order = Array.from({ length: N }, (_, i) => i), sort = { column: COLUMNS.findIndex(([name]) => name === "guest off"), up: true };
  const filter = () => {
    const wanted = $("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const wave = $("by-wave").value, code = $("by-code").value;
    const matches = (i) => (wave === "" || V.wave[i] === Number(wave))
      && (code === "" || of[i].some((n) => data.findings[n].code === code || data.findings[n].severity === code || (code === "waived" && data.findings[n].waived !== null)))
      && wanted.every((word) => texts[i].includes(word));
    const value = COLUMNS[sort.column][1], sign = sort.up ? 1 : -1;
    const keys = new Map();
    order = [];
    for (let i = 0; i < N; i += 1) if (matches(i)) { order.push(i); keys.set(i, value(i)); }
    order.sort((a, b) => {
      const ka = keys.get(a), kb = keys.get(b);
      return (ka < kb ? -1 : ka > kb ? 1 : a - b) * sign;
    });
    $("matches").textContent = `${order.length} of ${plural(N, "machine")}`;
    $("table").scrollTop = 0;
    lines();
  };
  const lines = () => {
    const box = $("table");
    const first = printing ? 0 : Math.max(0, Math.floor(box.scrollTop / LINE) - 5);
    const most = printing ? PRINT_LINES : Math.ceil(Math.max(480, box.clientHeight) / LINE) + 12;
    const last = Math.min(order.length, first + most);
    const space = (height) => {
      const cell = el("td", { colspan: COLUMNS.length });
      cell.style.height = `${height}px`;
      return el("tr", { class: "pad", "aria-hidden": "true" }, cell);
    };
    const list = [];
    if (first > 0) list.push(space(first * LINE));
    for (let r = first; r < last; r += 1) {
      const i = order[r];
      list.push(el("tr", {}, ...COLUMNS.map(([, value, show], c) => {
        const text = show ? show(value(i)) : value(i);
        return el("td", NUMBERS.has(COLUMNS[c][0]) ? { class: "num", title: text } : { title: text }, text);
      })));
    }
    if (!printing && last < order.length) list.push(space((order.length - last) * LINE));
    if (!order.length) list.push(el("tr", {}, el("td", { colspan: COLUMNS.length }, N ? "No machine matches. Empty the search, or choose another wave or finding." : "The plan moves nothing; what it leaves out, and why, is below.")));
    $("body").replaceChildren(...list);
    $("cut").textContent = printing && order.length > last ? `The first ${last} of ${order.length}; the page has all of them.` : "";
  };
  const head = () => {
    $("head").replaceChildren(...COLUMNS.map(([name], c) => {
      const button = el("button", { type: "button" }, name, sort.column === c ? (sort.up ? " ↑" : " ↓") : "");
      button.addEventListener("click", () => {
        sort = { column: c, up: sort.column === c ? !sort.up : true };
        head(); filter();
        $("head").children[c].firstChild.focus();
      });
      return el("th", { scope: "col", "aria-sort": sort.column === c ? (sort.up ? "ascending" : "descending") : "none" }, button);
    }));
  };
  const table = () => {
    $("by-wave").append(el("option", { value: "" }, "all"));
    data.waves.forEach((wave, n) => $("by-wave").append(el("option", { value: n }, wave.stem)));
    const codes = [...new Set(data.findings.filter((f) => f.items.some(([vm]) => vm !== null)).map((f) => f.code))].sort();
    $("by-code").append(el("option", { value: "" }, "any or none"));
    for (const value of ["blocker", "warning", "info", "waived", ...codes]) $("by-code").append(el("option", { value }, value));
    let timer = 0;
    $("search").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 60); });
    $("by-wave").addEventListener("change", filter);
    $("by-code").addEventListener("change", filter);
    $("table").addEventListener("scroll", () => soon(lines), { passive: true });
    head(); filter();
  };

  let folds = [];
  // A list that begins closed, and is made when it is opened.
  const fold = (into, heading, fill) => {
    const node = el("details");
    node.append(el("summary", {}, ...heading));
    let filled = false;
    const open = () => {
      if (filled || !node.open) return;
      filled = true;
      node.append(...fill());
    };
    node.addEventListener("toggle", open);
    into.append(node);
    folds = folds.filter(([known]) => known.isConnected);
    folds.push([node, open]);
  };
  const entries = (list, tell) => {
    const all = el("ul");
    const more = (from) => {
      for (const one of list.slice(from, from + LISTED)) all.append(el("li", {}, ...tell(one)));
      if (from + LISTED >= list.length) return;
      const button = el("button", { type: "button" }, `Show ${Math.min(LISTED, list.length - from - LISTED)} more of ${list.length}`);
      const item = el("li", { class: "more" }, button);
      button.addEventListener("click", () => { item.remove(); more(from + LISTED); });
      all.append(item);
    };
    more(0);
    return all;
  };
  // Findings, by code: what is open first, the worst first, then what many have.
  const found = () => {
    const box = $("found");
    if (!data.findings.length) { box.append(el("p", {}, "None: every check that the inventory allows was passed.")); return; }
    const open = (severity) => data.findings.filter((f) => f.waived === null && f.severity === severity).reduce((sum, f) => sum + f.items.length, 0);
    const waived = data.findings.filter((f) => f.waived !== null).reduce((sum, f) => sum + f.items.length, 0);
    box.append(el("p", { class: "dim" }, `${plural(open("blocker"), "blocker")}, ${plural(open("warning"), "warning")}, ${open("info")} for information, ${waived} waived.`));
    for (const f of data.findings) {
      const name = (item) => (item[0] === null ? T[item[1]] : V.name[item[0]]);
      const whose = f.items.length === 1 ? name(f.items[0]) : `${f.items.length} times`;
      fold(box, [
        el("span", { class: `sev ${f.waived === null ? f.severity : "info"}` }, f.waived === null ? f.severity : "waived"),
        el("code", {}, f.code), ` ${f.title} `, el("span", { class: "whose" }, whose),
      ], () => {
        const parts = [el("p", {}, ...prose(f.remedy))];
        if (f.waived !== null) parts.push(el("p", {}, "Accepted, as the plan says: ", ...prose(f.waived)));
        parts.push(entries(f.items, (item) => {
          const [, , evidence, place, own] = item;
          return [el("b", {}, name(item)), " ", ...prose(T[evidence]), ...(own === null ? [] : ["; ", ...prose(T[own])]), place === null ? "" : el("span", { class: "dim" }, ` ${T[place]}`)];
        }));
        return parts;
      });
    }
  };
  const lost = () => {
    const box = $("lost");
    $("losses").hidden = !data.losses.length;
    for (const loss of data.losses) {
      fold(box, [el("code", {}, loss.code), ` ${loss.title} `, el("span", { class: "whose" }, plural(loss.vms.length, "machine"))],
        () => [entries(loss.vms, ([vm, what]) => [el("b", {}, V.name[vm]), ` ${T[what]}`])]);
    }
  };
  const room = () => {
    $("room").hidden = !data.room.length;
    for (const line of data.room) {
      const meter = svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
      meter.append(svg("rect", { class: "track", x: 0, y: 0, width: 100, height: 10 }));
      meter.append(svg("rect", { class: line.fits ? "part" : "part over", x: 0, y: 0, width: Math.min(100, line.percent), height: 10 }));
      $("rooms").append(el("div", { class: "room" }, el("span", {}, `${line.what} (${line.place})`), meter,
        el("span", { class: "num" }, `${line.needs} of ${line.has}, ${line.percent} %${line.fits ? "" : `: too little (${line.code})`}`)));
    }
  };
  const happened = () => {
    $("came").hidden = !data.actual;
    if (!data.actual) return;
    $("came-note").textContent = `${data.actual.headline}.`;
    const late = (told, real) => (Math.abs(real - told) < 60 ? "as foretold" : real > told ? `${span(real - told)} later` : `${span(told - real)} earlier`);
    const rows = data.actual.waves.map(([n, ran, all, told, real]) => [data.waves[n].stem, `${ran} of ${all}`, moment(told.ends), moment(real.ends), late(told.ends, real.ends), `${span(told.downtimeP50)} / ${span(real.downtimeP50)}`, `${span(told.downtimeWorst)} / ${span(real.downtimeWorst)}`]);
    const over = S.filter((one) => one.came).map((one) => [one.name, one.title, moment(one.ends), one.came[0] === null ? "" : moment(one.came[0]), moment(one.came[1])]);
    const words = ["held", "accepted", "failed", "awaited"].map((word) => [word, [...gates.values()].filter((held) => held.word === word).length]).filter(([, n]) => n);
    $("came-note").textContent += words.length ? ` Gates: ${words.map(([word, n]) => `${n} ${word}`).join(", ")}.` : "";
    $("came-waves").replaceChildren(...sheet(["wave", "run", "last ready, foretold", "came", "that is", "downtime p50, foretold / came", "worst, foretold / came"], rows), ...(over.length ? sheet(["step outside", "what", "done, foretold", "could begin", "done by"], over) : []));
  };
  const sheet = (headings, body) => {
    const headrow = el("tr", {}, ...headings.map((text) => el("th", { scope: "col" }, text)));
    const list = body.map((cells) => el("tr", {}, ...cells.map((text) => el("td", { class: "wrap" }, ...prose(text)))));
    return [el("table", {}, el("thead", {}, headrow), el("tbody", {}, ...list))];
  };
  // A table; a long one begins closed.
  const grid = (title, headings, body) => {
    const box = $("rest");
    if (body.length > LISTED) { fold(box, [`${title} `, el("span", { class: "whose" }, String(body.length))], () => [el("div", { class: "wide" }, ...sheet(headings, body))]); return; }
    box.append(el("h3", {}, title), el("div", { class: "wide" }, ...sheet(headings, body)));
  };
  const rest = () => {
    $("rest").replaceChildren(el("h2", {}, "Behind it"));
    if (data.services.length) grid("Services", ["service", "owner", "change", "downtime", "budget"], data.services.map((s) => [s.name, s.owner || "nobody named", s.change || "none", s.down === null ? "not moved" : `${span(s.down)}${s.occurrences > 1 ? ` in ${s.occurrences} occurrences` : ""}`, s.budget === null ? "none" : `${span(s.budget)}${s.down > s.budget ? ", exceeded" : ""}`]));
    grid("Waves", ["wave", "machines", "window", "starts", "ends", "downtime p50", "worst", "scratch peak"], data.waves.map((w) => [w.stem, String(w.vms), w.window || (w.peak === null ? "over" : "any time"), moment(w.starts), until(w.starts, w.ends), span(w.p50), span(w.worst), w.peak === null ? "" : `${size(w.peak)} of ${size(w.usable)}${w.tight ? ", tight" : ""}`]));
    const left = S.filter((one) => !one.came);
    if (left.length) grid("Steps outside", ["step", "what", "may begin", "expected to be done", "who says so", "waits for"], left.map((one) => [one.name, one.title, moment(one.starts), until(one.starts, one.ends), one.saidBy, data.workloads[one.workload].after.map((w) => data.workloads[w].name).join(", ") || "nothing"]));
    const posts = data.workloads.map((w, n) => [w, lastOf[n]]).filter(([w, node]) => w.gate !== null && node >= 0);
    if (posts.length) grid("Gates", ["workload", "ports", "all hold"], posts.map(([w, node]) => [w.name, w.gate, moment(doneOf(node))]));
    if (data.path.length) grid("The chain of imports that decides the end", ["machine", "wave", "guest off", "ready"], data.path.map((i) => (i < N ? [V.name[i], data.waves[V.wave[i]].stem, moment(V.off[i]), until(V.off[i], V.ready[i])] : [nameOf(i), OUTSIDE, moment(startOf(i)), until(startOf(i), doneOf(i))])));
    const out = data.leftOut.filter((l) => !came.size || l.kind !== "moved");
    if (out.length) grid("Left out", ["machine", "why"], out.map((l) => [l.name, l.reason]));
    grid("Assumptions", ["what", "value", "basis"], data.assumptions.map((a) => [a.what, a.value, a.basis]));
    const { early, late, lateUnplaced } = data.band;
    if (data.ends && late > early) $("rest").append(el("p", { class: "dim" }, `The end is a band: ${moment(early)} to ${moment(late)}, if all imports are as much faster or slower as one in ten may be.${lateUnplaced ? ` ${plural(lateUnplaced, "import")} would miss the window then.` : ""}`));
  };

  const zones = () => {
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const list = [...new Set([data.zone, "UTC", own])];
    if (data.origin === null) list.length = 0;
    for (const name of list) $("zone").append(el("option", { value: name }, name === own && name !== data.zone ? `${name} (yours)` : name));
    $("zone").parentElement.parentElement.hidden = !list.length;
    $("zone").addEventListener("change", () => { zone = $("zone").value; figures(); bound(); draw(); tell(); lines(); happened(); rest(); });
  };
  const bound = () => {
    if (!data.ends) { $("bound").hidden = true; return; }
    const fits = data.fits.map((f) => `${f.target} needs ${span(f.needs)}, the windows give ${span(f.given)}${f.percent < 100 ? `: ${f.percent} % fits` : ""}.`).join(" ");
    $("bound").textContent = fits || (N ? (data.gapPercent ? `No schedule can end before ${moment(data.endsAtLeast)}: at most ${data.gapPercent} % are left.` : "No schedule ends earlier.") : "");
  };
  $("headline").textContent = data.headline;
  $("freezes").textContent = data.freezes.map((f) => `Frozen ${f.days}: ${f.reason}${f.services.length ? ` (${f.services.join(", ")})` : ""}.`).join(" ");
  $("page").hidden = false;
  // A task each: thousands of machines do not keep a reader from scrolling.
  const steps = [
    () => { bound(); figures(); zones(); legend(); happened(); },
    () => { start(); bind(); chart(); tell(); },
    dots,
    table,
    () => { found(); lost(); room(); },
    () => { rest(); document.documentElement.dataset.ready = ""; },
  ];
  const go = () => {
    const step = steps.shift();
    if (!step) return;
    step();
    setTimeout(go);
  };
  go();
  $("dots-all").addEventListener("click", () => { every = !every; dots(); });
  let opened = [], unfolded = [];
  addEventListener("beforeprint", () => {
    printing = true;
    opened = [...folded];
    if (N > PRINT_ROWS) foldAll();
    unfolded = folds.filter(([node]) => !node.open).map(([node]) => node);
    for (const [node, open] of folds) { node.open = true; open(); }
    chart(); dots(); lines();
  });
  addEventListener("afterprint", () => {
    printing = false;
    folded.clear();
    for (const name of opened) folded.add(name);
    for (const node of unfolded) node.open = false;
    chart(); dots(); lines();
  });
})();
