"use strict";
(() => {
  const tip = document.getElementById("tip");
  const all = (root, what) => Array.from(root.querySelectorAll(what));
  let follow = null; // where the mark lies that the keyboard chose: it stays there while the page scrolls
  const say = (words, x, y) => {
    if (!words) follow = null;
    if (tip.textContent !== words) tip.textContent = words;
    tip.hidden = !words;
    if (!words) return;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 6)) + "px";
    tip.style.top = Math.max(4, y - box.height - 12) + "px";
  };

  // -- the rows behind a view: compressed CSV, read when they are first asked for
  const kept = new WeakMap();
  const text = (view) => {
    if (!kept.has(view)) {
      const holder = view.querySelector("script.data");
      kept.set(view, !holder ? Promise.resolve("") : (async () => {
        const bytes = Uint8Array.from(atob(holder.textContent.trim()), (c) => c.charCodeAt(0));
        return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
      })());
    }
    return kept.get(view);
  };
  const parsed = new WeakMap();
  const rows = async (view) => {
    if (!parsed.has(view)) parsed.set(view, parse(await text(view)));
    return parsed.get(view);
  };
  function parse(csv) {
    const lines = [];
    let line = [], field = "", quoted = false;
    for (let i = 0; i < csv.length; i++) {
      const c = csv[i];
      if (quoted) {
        if (c === '"' && csv[i + 1] === '"') { field += '"'; i++; }
        else if (c === '"') quoted = false;
        else field += c;
      } else if (c === '"') quoted = true;
      else if (c === ",") { line.push(field); field = ""; }
      else if (c === "\n") { line.push(field); lines.push(line); line = []; field = ""; }
      else field += c;
    }
    if (field || line.length) { line.push(field); lines.push(line); }
    return { columns: lines[0] || [], rows: lines.slice(1) };
  }
  const shown = (value) => {
    if (!/^-?[\d.]+(e[-+]?\d+)?$/i.test(value) || !/[.e]/i.test(value)) return value;
    const n = Number(value);
    return n !== 0 && Math.abs(n) < 1e-4 ? n.toExponential(3) : String(Number(n.toPrecision(6)));
  };

  // -- choosing a view
  all(document, "figure").forEach((figure) => {
    const views = all(figure, ".view");
    const current = () => views.find((v) => !v.hidden);
    const select = figure.querySelector("select");
    if (select) {
      const choose = () => { say(""); views.forEach((v, i) => { v.hidden = String(i) !== select.value; }); };
      select.addEventListener("change", choose);
      choose(); // browsers keep a choice over a reload
    }
    all(figure, "[data-zoom]").forEach((button) => button.addEventListener("click", () => zoom(current().querySelector(".stage"), button.dataset.zoom)));
    views.forEach(wire);
  });

  // -- zoom: the part of the drawing that is seen
  const whole = (svg) => svg.dataset.whole || (svg.dataset.whole = svg.getAttribute("viewBox"));
  const seen = (svg) => svg.getAttribute("viewBox").split(" ").map(Number);
  function see(stage, x, y, w, h) {
    const svg = stage.querySelector("svg"), [X, Y, W, H] = whole(svg).split(" ").map(Number);
    w = Math.min(w, W); h = Math.min(h, H);
    x = Math.max(X, Math.min(x, X + W - w)); y = Math.max(Y, Math.min(y, Y + H - h));
    svg.setAttribute("viewBox", [x, y, w, h].map((v) => Math.round(v * 100) / 100).join(" "));
    stage.classList.toggle("zoomed", w < W - 0.01);
  }
  function zoom(stage, how, point) {
    const svg = stage.querySelector("svg");
    const [X, Y, W, H] = whole(svg).split(" ").map(Number);
    if (how === "whole") return see(stage, X, Y, W, H);
    const [x, y, w, h] = seen(svg), factor = how === "in" ? 0.67 : 1.5;
    if (how === "in" && w < W / 16) return;
    const cx = point ? point.x : x + w / 2, cy = point ? point.y : y + h / 2;
    see(stage, cx - (cx - x) * factor, cy - (cy - y) * factor, w * factor, h * factor);
  }
  const inside = (svg, event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const outside = (svg, x, y) => new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());

  // -- reading values: with the pointer, or with the arrow keys
  function wire(view) {
    const stage = view.querySelector(".stage"), svg = stage.querySelector("svg");
    let marks, maps, index = -1, cell = null, drag = null;
    const ready = () => {
      marks ||= all(svg, "[data-t]").map((e) => e.tagName === "circle"
        ? { t: e.dataset.t, x: +e.getAttribute("cx"), y: +e.getAttribute("cy"), r: +e.getAttribute("r") }
        : { t: e.dataset.t, x: +e.getAttribute("x"), y: +e.getAttribute("y"), w: +e.getAttribute("width"), h: +e.getAttribute("height") });
      maps ||= all(svg, "g.map").map((g) => JSON.parse(g.dataset.map));
    };
    const point = (x, y, r) => {
      let ring = svg.querySelector(".here");
      if (!ring) { ring = document.createElementNS("http://www.w3.org/2000/svg", "circle"); ring.setAttribute("class", "here"); svg.append(ring); }
      ring.setAttribute("cx", x); ring.setAttribute("cy", y); ring.setAttribute("r", r);
    };
    const clear = () => { svg.querySelector(".here")?.remove(); say(""); };
    const tell = (words, x, y, r, byKey) => {
      point(x, y, r);
      const at = outside(svg, x, y);
      say(words, at.x, at.y);
      follow = byKey ? () => { const now = outside(svg, x, y); say(words, now.x, now.y); } : null;
    };
    const nearest = (p) => {
      let best = null, distance = 13;
      for (const m of marks) {
        if (m.w !== undefined) { if (p.x >= m.x && p.x <= m.x + m.w && p.y >= m.y && p.y <= m.y + m.h) best ||= m; continue; }
        const d = Math.hypot(m.x - p.x, m.y - p.y);
        if (d < distance) { best = m; distance = d; }
      }
      return best;
    };
    const middle = (m) => m.w === undefined ? [m.x, m.y, m.r + 3] : [m.x + m.w / 2, m.y + m.h / 2, Math.min(m.w, m.h, 16) / 2 + 1];

    async function read(map, row, column) {
      const { columns, rows: lines } = await rows(view);
      if (!columns.length) return "";
      map.at ||= (() => {
        const r = columns.indexOf("row_index"), c = columns.indexOf("col_index");
        const wanted = Object.entries(map.where).map(([k, v]) => [columns.indexOf(k), v]);
        return new Map(lines.filter((l) => wanted.every(([k, v]) => l[k] === v)).map((l) => [l[r] + "," + l[c], l]));
      })();
      const line = map.at.get((map.r + row * map.step) + "," + (map.c + column * map.step));
      if (!line) return "no pixel here";
      const value = line[columns.indexOf(map.value)], lon = +line[columns.indexOf("lon")], lat = +line[columns.indexOf("lat")];
      return `${map.name}: ${value === "" ? "no value" : shown(value)} ${value === "" ? "" : map.unit} at ${Math.abs(lat).toFixed(3)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lon).toFixed(3)}° ${lon < 0 ? "W" : "E"}`.replace(/ +/g, " ");
    }
    async function onMap(map, row, column, byKey) {
      const x = map.x + (column + 0.5) * map.w / map.cols, y = map.y + (row + 0.5) * map.h / map.rows;
      const words = await read(map, row, column);
      if (words) tell(words, x, y, Math.max(4, map.w / map.cols / 2 + 1), byKey);
    }
    const over = (p) => maps.find((m) => p.x >= m.x && p.x < m.x + m.w && p.y >= m.y && p.y < m.y + m.h);

    stage.addEventListener("pointermove", (event) => {
      ready();
      const p = inside(svg, event);
      if (drag) {
        const [, , w, h] = seen(svg);
        return see(stage, drag.x - (event.clientX - drag.left) * drag.scale, drag.y - (event.clientY - drag.top) * drag.scale, w, h);
      }
      const map = over(p);
      if (map) return void onMap(map, Math.floor((p.y - map.y) / map.h * map.rows), Math.floor((p.x - map.x) / map.w * map.cols));
      const mark = nearest(p);
      if (mark) tell(mark.t, ...middle(mark)); else clear();
    });
    stage.addEventListener("pointerleave", () => { drag = null; clear(); });
    stage.addEventListener("pointerdown", (event) => {
      if (!stage.classList.contains("zoomed")) return;
      const [x, y, w] = seen(svg);
      drag = { x, y, left: event.clientX, top: event.clientY, scale: w / svg.getBoundingClientRect().width };
      stage.setPointerCapture(event.pointerId);
    });
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { drag = null; });
    stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // the wheel alone scrolls the page
      event.preventDefault();
      zoom(stage, event.deltaY < 0 ? "in" : "out", inside(svg, event));
    }, { passive: false });
    stage.addEventListener("dblclick", (event) => zoom(stage, "in", inside(svg, event)));
    stage.addEventListener("blur", clear);
    stage.addEventListener("keydown", (event) => {
      ready();
      const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
      if (event.key === "Escape") return clear();
      if (event.key === "+" || event.key === "=") return zoom(stage, "in");
      if (event.key === "-") return zoom(stage, "out");
      if (event.key === "0") return zoom(stage, "whole");
      if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      if (maps.length) {
        const map = maps[0], jump = event.shiftKey ? 10 : 1;
        cell = cell ? [cell[0] + step[0] * jump, cell[1] + step[1] * jump] : [Math.floor(map.rows / 2), Math.floor(map.cols / 2)];
        cell = [Math.max(0, Math.min(map.rows - 1, cell[0])), Math.max(0, Math.min(map.cols - 1, cell[1]))];
        return void onMap(map, ...cell, true);
      }
      if (!marks.length) return;
      index = (index + step[0] + step[1] + marks.length) % marks.length;
      tell(marks[index].t, ...middle(marks[index]), true);
    });
    const table = view.querySelector("details.table");
    table?.addEventListener("toggle", () => { if (table.open) fill(view); });
    view.querySelector(".csv")?.addEventListener("click", (event) => download(view, event.target.dataset.name));
  }

  // -- tables and files
  async function fill(view) {
    const place = view.querySelector(".rows");
    if (!place || place.firstChild) return;
    const { columns, rows: lines } = await rows(view);
    const table = document.createElement("table"), head = table.createTHead().insertRow(), body = table.createTBody();
    const caption = table.createCaption();
    caption.className = lines.length > MOST_SHOWN ? "" : "spoken";
    caption.textContent = lines.length > MOST_SHOWN ? `The first ${MOST_SHOWN} of ${lines.length.toLocaleString("en")} rows; the CSV has all.` : "All rows of the query";
    columns.forEach((name) => { const th = document.createElement("th"); th.scope = "col"; th.textContent = name; head.append(th); });
    lines.slice(0, MOST_SHOWN).forEach((line) => {
      const row = body.insertRow();
      line.forEach((value) => { const td = row.insertCell(); td.textContent = shown(value); if (/^-?[\d.]/.test(value) && !isNaN(value)) td.className = "n"; });
    });
    place.append(table);
  }
  async function download(view, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([await text(view)], { type: "text/csv" }));
    link.download = name + ".csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  all(document, ".copy").forEach((button) => button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code"), words = button.textContent;
    try { await navigator.clipboard.writeText(code.textContent); }
    catch { // a page opened from a file may not be trusted with the clipboard
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = words; }, 1500);
  }));
  addEventListener("scroll", () => { if (follow) follow(); else say(""); }, { passive: true });
  if (innerWidth < 1280) document.querySelector(".contents").open = innerWidth > 700;
  addEventListener("beforeprint", () => { document.querySelector(".contents").open = true; });
})();
