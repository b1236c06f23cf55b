/* Drawing: elements, columns and curves over time, bars that unfold, tables. All text goes in as text. */
const charts = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const HEIGHT = 208;
  const TOP = 10;
  const BOTTOM = 26;
  const LETTER_PX = 7;

  function append(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...(children || []));
    return node;
  }

  function element(name, attributes, ...children) {
    return append(document.createElement(name), attributes, children);
  }

  function drawn(name, attributes, ...children) {
    return append(document.createElementNS(SVG, name), attributes, children);
  }

  /* Round numbers from 0 to above the greatest value. */
  function roundTicks(greatest, isWhole) {
    const rough = (greatest || 1) / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    let step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999);
    if (isWhole) step = Math.max(1, step);
    const ticks = [0];
    while (ticks[ticks.length - 1] < greatest * 0.999 || ticks.length < 2) ticks.push(ticks.length * step);
    return ticks;
  }

  /* Powers of ten around the values, with 2 and 5 between where there are few of them. */
  function logTicks(least, greatest) {
    const low = Math.floor(Math.log10(Math.max(1, least)));
    const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(1, greatest))));
    const factors = high - low <= 2 ? [1, 2, 5] : [1];
    const ticks = [];
    for (let power = low; power <= high; power += 1) for (const factor of factors) ticks.push(factor * 10 ** power);
    const first = ticks.filter((tick) => tick <= Math.max(1, least)).pop();
    const last = ticks.find((tick) => tick >= greatest);
    return ticks.filter((tick) => tick >= first && tick <= last);
  }

  function scaleOf(values, { isLog, isWhole }) {
    const greatest = Math.max(0, ...values);
    const least = Math.min(...values);
    if (isLog && least < greatest / 12) {
      const ticks = logTicks(least, greatest);
      const low = Math.log10(ticks[0]);
      const high = Math.log10(ticks[ticks.length - 1]);
      return { ticks, place: (value) => (Math.log10(Math.max(value, ticks[0])) - low) / (high - low) };
    }
    const ticks = roundTicks(greatest, isWhole);
    return { ticks, place: (value) => value / ticks[ticks.length - 1] };
  }

  function shortDate(iso) {
    return `${Number(iso.slice(8))} ${MONTHS[Number(iso.slice(5, 7)) - 1]}`;
  }

  function dateLabels(points, across, width) {
    const every = Math.max(1, Math.ceil((points.length * 72) / width));
    const labels = [];
    // Counted from the newest, which always has its label.
    for (let at = points.length - 1; at >= 0; at -= every) {
      const x = across(at);
      const anchor = points.length === 1 ? "middle" : x > width - 24 ? "end" : "middle";
      labels.unshift({ x: Math.min(x, width), anchor, text: shortDate(points[at].iso) });
    }
    return labels;
  }

  /*
   * A chart over time. `series` are [name, class, values], null where there is none; the first may be drawn as columns.
   * It is read point by point by arrow keys or a pointer, and whole in the table behind it.
   */
  function overTime({ title, points, series, format, tell, isLog, isWhole, isColumns, width, head }) {
    const values = series.flatMap(([, , of]) => of.filter((value) => value !== null));
    if (!values.length) return element("p", { class: "nothing" }, "There is nothing in this selection.");
    const scale = scaleOf(values, { isLog, isWhole });
    const left = Math.max(...scale.ticks.map((tick) => format(tick).length)) * LETTER_PX + 10;
    const inner = Math.max(120, width - left - 4);
    const slot = inner / points.length;
    const across = (at) => left + slot * (at + 0.5);
    const up = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - scale.place(value));
    const base = HEIGHT - BOTTOM;
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true", focusable: "false" });
    for (const tick of scale.ticks) {
      const y = up(tick);
      svg.append(drawn("line", { class: y >= base - 0.5 ? "base" : "grid", x1: left, x2: left + inner, y1: y, y2: y }));
      svg.append(drawn("text", { class: "axis", x: left - 8, y: y + 4, "text-anchor": "end" }, format(tick)));
    }
    for (const { x, anchor, text } of dateLabels(points, across, left + inner)) {
      svg.append(drawn("text", { class: "axis", x, y: HEIGHT - 6, "text-anchor": anchor }, text));
    }
    const cursor = drawn("line", { class: "cursor", y1: TOP, y2: base, visibility: "hidden" });
    svg.append(cursor);
    const columns = [];
    for (const [, kind, of] of series) {
      if (isColumns) columns.push(...columnsOf(of, kind, { across, up, base, slot }));
      else svg.append(...curvesOf(of, kind, { across, up }));
    }
    svg.append(...columns.filter(Boolean));
    const texts = points.map(tell);
    const plot = element("div", {
      class: "plot", tabindex: "0", role: "slider", "aria-roledescription": "chart", "aria-label": title,
      "aria-valuemin": "1", "aria-valuemax": String(points.length),
    }, svg);
    const readout = element("p", { class: "readout", "aria-hidden": "true" });
    readable(plot, { texts, readout, cursor, columns, across, slot, left, width });
    return element("figure", {}, plot, readout, tableBehind(`Table: ${title}`, head, texts.map((_, at) => {
      return [points[at].label, ...series.map(([, , of]) => (of[at] === null ? "–" : format(of[at])))];
    })));
  }

  function columnsOf(values, kind, { across, up, base, slot }) {
    const wide = Math.max(1, Math.min(36, slot - Math.min(3, slot * 0.25)));
    return values.map((value, at) => {
      if (!value) return null;
      const y = Math.min(up(value), base - 1);
      return drawn("rect", { class: `column ${kind}`, x: across(at) - wide / 2, y, width: wide, height: base - y, rx: 1 });
    });
  }

  /* A curve breaks where there is no value; where it is short, or a value stands alone, there are dots. */
  function curvesOf(values, kind, { across, up }) {
    const parts = [];
    let path = "";
    values.forEach((value, at) => {
      if (value === null) path = "";
      else {
        const isAlone = (at === 0 || values[at - 1] === null) && (at === values.length - 1 || values[at + 1] === null);
        if (isAlone || values.length <= 31) {
          parts.push(drawn("circle", { class: `dot ${kind}`, cx: across(at), cy: up(value), r: 3 }));
        }
        if (path) path.setAttribute("d", `${path.getAttribute("d")}L${across(at)} ${up(value)}`);
        else parts.unshift((path = drawn("path", { class: `curve ${kind}`, d: `M${across(at)} ${up(value)}` })));
      }
    });
    return parts;
  }

  /* Let a pointer or the arrow keys move over the points of a plot. */
  function readable(plot, { texts, readout, cursor, columns, across, slot, left, width }) {
    let now = texts.length - 1;
    const show = (at, isShown) => {
      now = Math.max(0, Math.min(texts.length - 1, at));
      plot.setAttribute("aria-valuenow", String(now + 1));
      plot.setAttribute("aria-valuetext", texts[now]);
      readout.textContent = isShown ? texts[now] : "";
      cursor.setAttribute("visibility", isShown ? "visible" : "hidden");
      cursor.setAttribute("x1", across(now));
      cursor.setAttribute("x2", across(now));
      columns.forEach((column, place) => {
        if (column) column.classList.toggle("marked", isShown && place === now);
      });
    };
    show(now, false);
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      show(Math.floor((((event.clientX - box.left) * width) / box.width - left) / slot), true);
    });
    plot.addEventListener("pointerleave", () => show(now, document.activeElement === plot));
    plot.addEventListener("focus", () => show(now, true));
    plot.addEventListener("blur", () => show(now, false));
    plot.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, Home: 0, End: texts.length - 1 };
      if (!(event.key in steps)) return;
      event.preventDefault();
      show(steps[event.key], true);
    });
  }

  function legend(entries) {
    return element("p", { class: "legend" }, ...entries.map(([name, kind]) => {
      const line = drawn("line", { class: `curve ${kind}`, x1: 1, x2: 27, y1: 5, y2: 5 });
      return element("span", {}, drawn("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" }, line), name);
    }));
  }

  function tableBehind(title, head, rows) {
    const cells = (row) => row.map((text, at) => (at ? element("td", {}, text) : element("th", { scope: "row" }, text)));
    return element("details", { "data-key": title },
      element("summary", {}, title),
      element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, element("table", {},
        element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
        element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row)))))));
  }

  function bar(value, greatest, kind) {
    const width = greatest ? Math.max(value ? 0.4 : 0, (100 * value) / greatest) : 0;
    return drawn("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      drawn("rect", { class: "track", width: 100, height: 10 }),
      drawn("rect", { class: `bar ${kind}`, width, height: 10 }));
  }

  /* Pieces that are not broken within, unless one alone has no room. */
  function pieces(texts, between) {
    return texts.flatMap((text, at) => [...(at ? [between] : []), element("span", { class: "word" }, text)]);
  }

  function rowParts({ name, text, facts, value }, greatest, kind) {
    return [
      element("span", { class: "name" }, ...pieces(name.split(" "), " ")), bar(value, greatest, kind),
      element("span", { class: "value" }, text), element("span", { class: "facts" }, ...pieces(facts, " · ")),
    ];
  }

  /* Bars, each a row; what has `parts` unfolds them by a click, Enter or Space. `open` remembers which are unfolded. */
  function bars({ title, rows, kind, open, shown, more }) {
    if (!rows.length) return element("p", { class: "nothing" }, "There is nothing in this selection.");
    const greatest = Math.max(...rows.flatMap((row) => [row.value, ...row.parts.map((part) => part.value)]));
    const list = element("ul", { class: "bars", "aria-label": title });
    rows.slice(0, shown).forEach((row) => {
      if (!row.parts.length) {
        list.append(element("li", {}, element("div", { class: "row" }, ...rowParts(row, greatest, kind))));
        return;
      }
      const key = `${title} ${row.key}`;
      const inner = element("ul", {}, ...row.parts.map((part) => {
        return element("li", {}, element("div", { class: "row" }, ...rowParts(part, greatest, `${kind} part`)));
      }));
      const button = element("button", { class: "row", type: "button" }, ...rowParts(row, greatest, kind));
      const fold = (isOpen) => {
        button.setAttribute("aria-expanded", String(isOpen));
        inner.hidden = !isOpen;
        open[isOpen ? "add" : "delete"](key);
      };
      button.addEventListener("click", () => fold(inner.hidden));
      fold(open.has(key));
      list.append(element("li", {}, button, inner));
    });
    const rest = rows.length - shown;
    if (rest <= 0) return list;
    const button = element("button", { class: "more", type: "button" }, `Show ${rest} more`);
    button.addEventListener("click", more);
    return element("div", {}, list, button);
  }

  return { bars, element, legend, overTime, tableBehind };
})();
