"use strict";
// Everything is put in place with textContent and SVG attributes: no text ever becomes markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const V = data.vms, N = V.key.length;
  const LABEL = 190, ROW = 20, PAD = 12, CURVE = 110, LINE = 30;
  const PRINT_ROWS = 90, PRINT_LINES = 400, DOTS = 25;

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
  const service = (i) => data.workloads[V.workload[i]].service;
  const app = (i) => {
    const s = service(i);
    return s === null ? data.workloads[V.workload[i]].name : data.services[s].name;
  };
  const of = Array.from({ length: N }, () => []);
  data.findings.forEach((finding, n) => { if (finding.vm !== null) of[finding.vm].push(n); });
  // Machines that must run before others, by the workload that waits for them: the last one ready.
  const lastOf = data.workloads.map(() => -1);
  for (let i = 0; i < N; i += 1) {
    const w = V.workload[i];
    if (lastOf[w] < 0 || V.ready[i] > V.ready[lastOf[w]]) lastOf[w] = i;
  }
  const before = (i) => {
    const from = data.workloads[V.workload[i]].after.map((w) => lastOf[w]).filter((j) => j >= 0);
    return from.concat(V.after[i]);
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
    card("Ends", N ? moment(data.ends) : "nothing to move", N ? `no schedule can end before ${moment(data.endsAtLeast)}` : "");
    let worst = -1;
    for (let i = 0; i < N; i += 1) if (worst < 0 || down(i) > down(worst)) worst = i;
    card("Longest downtime", worst < 0 ? "none" : span(down(worst)), worst < 0 ? "" : V.name[worst]);
    let tight = null;
    for (const wave of data.waves) if (!tight || wave.peak / wave.usable > tight.peak / tight.usable) tight = wave;
    card("Scratch at its fullest", tight ? size(tight.peak) : "none", tight ? `of ${size(tight.usable)} on ${tight.target}, wave ${tight.stem}` : "");
  };

  // The chart: one domain of time for rows and curves.
  const ends = Math.max(1, data.ends, ...data.targets.map((t) => (t.curve.length ? t.curve[t.curve.length - 1][0] : 0)));
  const begins = N ? Math.min(...V.created) : 0;
  const whole = () => {
    const margin = (ends - begins) * 0.01;
    return [Math.max(0, begins - margin), Math.min(ends, ends + margin)];
  };
  const domain = { from: whole()[0], to: whole()[1] };
  const folded = new Set();
  let groupBy = "wave", rows = [], current = -1, printing = false;

  const groups = () => {
    const named = new Map();
    const name = {
      wave: (i) => data.waves[V.wave[i]].stem,
      app,
      source: (i) => data.sources[V.source[i]],
    }[groupBy];
    for (let i = 0; i < N; i += 1) {
      const g = name(i);
      if (!named.has(g)) named.set(g, []);
      named.get(g).push(i);
    }
    for (const list of named.values()) list.sort((a, b) => V.created[a] - V.created[b] || a - b);
    return [...named];
  };
  const layout = () => {
    rows = [];
    for (const [name, list] of groups()) {
      let from = Infinity, to = 0;
      for (const i of list) { from = Math.min(from, V.off[i]); to = Math.max(to, V.ready[i]); }
      rows.push({ group: name, count: list.length, from, to });
      if (!folded.has(name)) for (const i of list) rows.push({ vm: i });
    }
    if (current >= rows.length) current = rows.length - 1;
    $("fold").textContent = folded.size ? "Open all groups" : "Close all groups";
  };
  const width = () => Math.max(320, $("rows").clientWidth || 900);
  const scale = (w) => {
    const k = (w - LABEL - PAD) / (domain.to - domain.from);
    return (t) => LABEL + (t - domain.from) * k;
  };
  const STEPS = [60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2419200];
  const ticks = (w) => {
    const wanted = (domain.to - domain.from) / Math.max(2, (w - LABEL) / 105);
    const step = STEPS.find((s) => s >= wanted) || 86400 * Math.ceil(wanted / 86400);
    const shift = offset(Math.max(0, Math.floor(domain.from)));
    const first = Math.ceil((domain.from + shift) / step) * step - shift;
    const list = [];
    for (let t = first; t <= domain.to; t += step) list.push(t);
    return { list, step };
  };
  const backdrop = (into, x, height, w) => {
    for (const window of data.windows) {
      if (window.to < domain.from || window.from > domain.to) continue;
      const a = Math.max(LABEL, x(window.from)), b = Math.min(w - PAD, x(window.to));
      const rect = svg("rect", { class: "win", x: a, y: 0, width: Math.max(1, b - a), height });
      rect.append(svg("title", {}, `window ${window.name} ${window.id}`));
      into.append(rect);
    }
    for (const t of ticks(w).list) into.append(svg("line", { class: "grid", x1: x(t), x2: x(t), y1: 0, y2: height }));
  };
  const axis = (w) => {
    const node = $("axis"), x = scale(w), { list, step } = ticks(w);
    node.setAttribute("viewBox", `0 0 ${w} 34`);
    node.setAttribute("height", "34");
    node.replaceChildren();
    let last = "";
    for (const t of list) {
      if (data.origin === null) {
        node.append(svg("text", { class: "dim", x: x(t) + 2, y: 28 }, `+${span(t)}`));
        continue;
      }
      const d = day(t);
      if (d !== last) node.append(svg("text", { x: x(t) + 2, y: 13 }, d));
      if (step < 86400) node.append(svg("text", { class: "dim", x: x(t) + 2, y: 28 }, clock(t)));
      last = d;
    }
  };
  const bar = (into, kind, x, a, b, y, height, w) => {
    const from = Math.max(LABEL, x(a)), to = Math.min(w - PAD, x(b));
    if (to < LABEL || from > w - PAD || b <= a) return;
    into.append(svg("rect", { class: kind, x: from, y: y - height / 2, width: Math.max(1.5, to - from), height }));
  };
  const clip = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  const draw = () => {
    const box = $("rows"), w = width(), x = scale(w);
    let spacer = box.firstElementChild;
    if (!spacer) {
      spacer = el("div");
      box.append(spacer, svg("svg", { "aria-hidden": "true" }));
    }
    const total = rows.length * ROW;
    spacer.style.height = `${total}px`;
    const node = box.lastElementChild;
    const first = printing ? 0 : Math.max(0, Math.floor(box.scrollTop / ROW) - 4);
    const last = printing ? rows.length : Math.min(rows.length, first + Math.ceil((box.clientHeight || 480) / ROW) + 8);
    const height = Math.max(ROW, (last - first) * ROW);
    node.setAttribute("viewBox", `0 0 ${w} ${height}`);
    node.setAttribute("height", height);
    node.style.transform = `translateY(${first * ROW}px)`;
    node.replaceChildren();
    backdrop(node, x, height, w);
    for (let r = first; r < last; r += 1) {
      const row = rows[r], y = (r - first) * ROW + ROW / 2;
      if (r === current) node.append(svg("rect", { class: "pick", x: 0, y: y - ROW / 2, width: LABEL - 6, height: ROW }));
      if (row.vm === undefined) {
        const mark = folded.has(row.group) ? "▸" : "▾";
        node.append(svg("text", { class: "group", x: 4, y: y + 4 }, `${mark} ${clip(row.group, 20)} (${row.count})`));
        bar(node, "span", x, row.from, row.to, y, 4, w);
        continue;
      }
      const i = row.vm, cold = V.runs[i] ? "" : " cold";
      if (V.critical[i]) node.append(svg("path", { class: "crit", d: `M8,${y - 4} l5,4 l-5,4 Z` }));
      node.append(svg("text", { class: cold ? "dim" : "", x: 18, y: y + 4 }, clip(V.name[i], 25)));
      bar(node, `shut${cold}`, x, V.created[i], V.off[i], y, 2, w);
      bar(node, `export${cold}`, x, V.off[i], V.exported[i], y, 13, w);
      bar(node, `image${cold}`, x, V.exported[i], V.imagesIn[i], y, 8, w);
      bar(node, `boot${cold}`, x, V.imagesIn[i], V.ready[i], y, 4, w);
    }
    const picked = rows[current];
    if (picked && picked.vm !== undefined) {
      const place = new Map();
      rows.forEach((row, r) => { if (row.vm !== undefined) place.set(row.vm, r); });
      for (const j of before(picked.vm)) {
        if (!place.has(j)) continue;
        const y = (r) => (r - first) * ROW + ROW / 2;
        const a = x(V.ready[j]), b = x(V.off[picked.vm]), y1 = y(place.get(j)), y2 = y(current);
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
        const t = domain.from + ((event.offsetX / node.clientWidth) * w - LABEL) / ((w - LABEL - PAD) / (domain.to - domain.from));
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
    if (row.vm === undefined) {
      $("about").textContent = `${row.group}: ${plural(row.count, "machine")}, first guest off ${moment(row.from)}, last machine ready ${until(row.from, row.to)}`;
      return;
    }
    const i = row.vm;
    const waits = before(i).map((j) => V.name[j]);
    const found = of[i].map((n) => data.findings[n].code);
    const at = V.runs[i] ? `down from ${moment(V.off[i])} until ${until(V.off[i], V.ready[i])}, for ${span(down(i))}` : `off already, moved from ${moment(V.off[i])} until ${until(V.off[i], V.ready[i])}`;
    $("about").textContent = `${V.name[i]} (${V.key[i]}), ${size(V.disks[i])}, to ${V.to[i]}: ${at}: export ${span(V.exported[i] - V.off[i])}, images ${span(V.imagesIn[i] - V.exported[i])}, boot ${span(V.ready[i] - V.imagesIn[i])}.${V.critical[i] ? " On the critical path." : ""}${waits.length ? ` After ${waits.slice(0, 6).join(", ")}${waits.length > 6 ? ` and ${waits.length - 6} more` : ""}.` : ""}${found.length ? ` Findings: ${[...new Set(found)].join(", ")}.` : ""}`;
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
    if (!row || row.vm !== undefined) return;
    if (folded.has(row.group)) folded.delete(row.group); else folded.add(row.group);
    layout(); tell(); draw();
  };
  const zoom = (from, to) => {
    const least = 600, wide = Math.max(least, to - from);
    const middle = (from + to) / 2;
    domain.from = Math.max(0, Math.min(middle - wide / 2, ends - wide));
    domain.to = Math.min(ends, domain.from + wide);
    if (domain.to <= domain.from) { domain.from = 0; domain.to = ends; }
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
    const wide = () => domain.to - domain.from, middle = () => (domain.to + domain.from) / 2;
    $("in").addEventListener("click", () => zoom(middle() - wide() / 4, middle() + wide() / 4));
    $("out").addEventListener("click", () => zoom(middle() - wide(), middle() + wide()));
    $("left").addEventListener("click", () => zoom(domain.from - wide() / 2, domain.to - wide() / 2));
    $("right").addEventListener("click", () => zoom(domain.from + wide() / 2, domain.to + wide() / 2));
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
      if (wave) zoom(wave.starts - margin, wave.ends + margin); else zoom(...whole());
    });
    new ResizeObserver(() => soon(() => { draw(); curves(); dots(); })).observe($("chart"));
  };
  // Many rows begin closed: the shape of the whole first.
  const start = () => { if (N > 200) for (const [name] of groups()) folded.add(name); };
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
    mark("export cold", 13, "off already");
    const icon = svg("svg", { width: 10, height: 14, "aria-hidden": "true" });
    icon.append(svg("path", { class: "crit", d: "M2,3 l5,4 l-5,4 Z" }));
    $("legend").append(el("span", {}, icon, "on the critical path"));
    if (data.windows.length) mark("win", 14, "window");
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
      one.list.push(down(i));
      one.runs += V.runs[i];
    }
    for (const one of by.values()) one.list.sort((a, b) => a - b);
    const budget = new Map(data.services.map((s) => [s.name, s]));
    for (const w of data.workloads) if (w.budget !== null && !budget.has(w.name)) budget.set(w.name, w);
    const all = [...by].sort((a, b) => b[1].list[b[1].list.length - 1] - a[1].list[a[1].list.length - 1] || (a[0] < b[0] ? -1 : 1));
    const shown = every || printing ? all : all.slice(0, DOTS);
    const w = Math.max(320, $("dots").clientWidth || 900), right = 250;
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
      node.append(svg("text", { x: 4, y: y + 4 }, clip(name, 25)));
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
      const whole = one.runs ? (one.down === null ? "" : `, all ${span(one.down)}`) : ", off already";
      node.append(svg("text", { class: "dim", x: w - right + 10, y: y + 4 }, `worst ${span(worst)}${whole}`));
    });
    node.append(svg("text", { class: "dim", x: LABEL, y: shown.length * ROW + 16 }, "0"));
    node.append(svg("text", { class: "dim", x: w - right, y: shown.length * ROW + 16, "text-anchor": "end" }, span(most)));
    $("dots").replaceChildren(node);
    $("dots-all").hidden = all.length <= DOTS;
    $("dots-all").textContent = every ? `Show the worst ${DOTS}` : `Show all ${all.length} applications`;
    $("downtime-note").textContent = N ? `One line for each application, the worst first; a dot is a machine, a tick the median, “all” counts from the first guest off to the last machine ready, in each occurrence of its window. All at once, the same machines would be down for ${span(data.atOnce.mean)} on average and ${span(data.atOnce.worst)} at most, and need ${size(data.atOnce.scratch)} of scratch.` : "Nothing is moved, so nothing is down.";
  };

  // The table: only the lines in view are in the page.
  const COLUMNS = [
    ["machine", (i) => V.name[i]],
    ["application", app],
    ["wave", (i) => data.waves[V.wave[i]].stem],
    ["source", (i) => data.sources[V.source[i]]],
    ["to", (i) => V.to[i]],
    ["disks", (i) => V.disks[i], size],
    ["guest off", (i) => V.off[i], moment],
    ["ready", (i) => V.ready[i], moment],
    ["downtime", down, span],
    ["findings", (i) => [...new Set(of[i].map((n) => data.findings[n].code))].join(" ")],
  ];
  const texts = Array.from({ length: N }, (_, i) => `${V.name[i]}\n${V.key[i]}\n${app(i)}\n${data.workloads[V.workload[i]].name}\n${V.to[i]}`.toLowerCase());
  let order = Array.from({ length: N }, (_, i) => i), sort = { column: 6, up: true };
  const filter = () => {
    const wanted = $("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const wave = $("by-wave").value, code = $("by-code").value;
    const matches = (i) => (wave === "" || V.wave[i] === Number(wave))
      && (code === "" || of[i].some((n) => data.findings[n].code === code || data.findings[n].severity === code))
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
    const most = printing ? PRINT_LINES : Math.ceil((box.clientHeight || 480) / LINE) + 12;
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
        return el("td", c === 5 || c === 8 ? { class: "num", title: text } : { title: text }, text);
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
    const codes = [...new Set(data.findings.filter((f) => f.vm !== null).map((f) => f.code))].sort();
    $("by-code").append(el("option", { value: "" }, "any or none"));
    for (const value of ["blocker", "warning", "info", ...codes]) $("by-code").append(el("option", { value }, value));
    let timer = 0;
    $("search").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 60); });
    $("by-wave").addEventListener("change", filter);
    $("by-code").addEventListener("change", filter);
    $("table").addEventListener("scroll", () => soon(lines), { passive: true });
    head(); filter();
  };

  // Findings, by code: the worst first, as they come.
  const found = () => {
    const box = $("found");
    if (!data.findings.length) { box.append(el("p", {}, "None: every check that the inventory allows was passed.")); return; }
    const by = new Map();
    for (const f of data.findings) {
      const key = `${f.severity} ${f.code}`;
      if (!by.has(key)) by.set(key, []);
      by.get(key).push(f);
    }
    for (const list of by.values()) {
      const f = list[0], waived = list.filter((one) => one.waived !== null).length;
      const fold = el("details");
      fold.append(el("summary", {}, el("span", { class: `sev ${f.severity}` }, f.severity), `${f.code}: ${f.title}: ${list.length === 1 ? f.subject : `${list.length} times`}${waived ? `, ${waived} waived` : ""}`));
      let filled = false;
      fold.addEventListener("toggle", () => {
        if (filled || !fold.open) return;
        filled = true;
        fold.append(el("p", {}, f.remedy));
        const all = el("ul");
        for (const one of list) {
          all.append(el("li", {}, `${one.subject}: ${one.evidence}`, one.remedy === f.remedy ? "" : `; ${one.remedy}`, one.place ? ` (${one.place})` : "", one.waived === null ? "" : `; waived: ${one.waived}`));
        }
        fold.append(all);
      });
      box.append(fold);
    }
  };
  const grid = (title, headings, body) => {
    const headrow = el("tr", {}, ...headings.map((text) => el("th", { scope: "col" }, text)));
    const list = body.map((cells) => el("tr", {}, ...cells.map((text) => el("td", { class: "wrap" }, text))));
    $("rest").append(el("h3", {}, title), el("table", {}, el("thead", {}, headrow), el("tbody", {}, ...list)));
  };
  const rest = () => {
    $("rest").replaceChildren(el("h2", {}, "What else"));
    grid("Waves", ["wave", "machines", "window", "starts", "ends", "downtime p50", "worst", "scratch peak"], data.waves.map((w) => [w.stem, String(w.vms), w.window || "any time", moment(w.starts), until(w.starts, w.ends), span(w.p50), span(w.worst), `${size(w.peak)} of ${size(w.usable)}${w.tight ? ", tight" : ""}`]));
    if (data.services.length) grid("Services", ["service", "owner", "change", "downtime", "budget"], data.services.map((s) => [s.name, s.owner || "nobody named", s.change || "none", s.down === null ? "not moved" : `${span(s.down)}${s.occurrences > 1 ? ` in ${s.occurrences} occurrences` : ""}`, s.budget === null ? "none" : `${span(s.budget)}${s.down > s.budget ? ", exceeded" : ""}`]));
    if (data.leftOut.length) grid("Left out", ["machine", "why"], data.leftOut.map((l) => [l.name, l.reason]));
    grid("Assumptions", ["what", "value", "basis"], data.assumptions.map((a) => [a.what, a.value, a.basis]));
  };

  const zones = () => {
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const list = [...new Set([data.zone, "UTC", own])];
    if (data.origin === null) list.length = 0;
    for (const name of list) $("zone").append(el("option", { value: name }, name === own && name !== data.zone ? `${name} (yours)` : name));
    $("zone").parentElement.parentElement.hidden = !list.length;
    $("zone").addEventListener("change", () => { zone = $("zone").value; figures(); bound(); draw(); tell(); lines(); rest(); });
  };
  const bound = () => {
    const fits = data.fits.map((f) => `${f.target} needs ${span(f.needs)}, the windows give ${span(f.given)}${f.percent < 100 ? `: ${f.percent} % fits` : ""}.`).join(" ");
    $("bound").textContent = fits || (N ? (data.gapPercent ? `No schedule can end before ${moment(data.endsAtLeast)}: at most ${data.gapPercent} % are left.` : "No schedule ends earlier.") : "");
  };
  $("headline").textContent = data.headline;
  $("freezes").textContent = data.freezes.map((f) => `Frozen ${f.days}: ${f.reason}${f.services.length ? ` (${f.services.join(", ")})` : ""}.`).join(" ");
  $("page").hidden = false;
  bound(); figures(); zones(); legend(); start(); bind(); chart(); tell(); dots(); table(); found(); rest();
  $("dots-all").addEventListener("click", () => { every = !every; dots(); });
  let opened = [];
  addEventListener("beforeprint", () => {
    printing = true;
    opened = [...folded];
    if (N > PRINT_ROWS) for (const [name] of groups()) folded.add(name);
    chart(); dots(); lines();
  });
  addEventListener("afterprint", () => {
    printing = false;
    folded.clear();
    for (const name of opened) folded.add(name);
    chart(); dots(); lines();
  });
})();
