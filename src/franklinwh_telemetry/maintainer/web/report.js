/* The page: filters, and sections that are drawn anew from the aggregates whenever a filter changes. */
(() => {
  const { element } = charts;
  const data = figures.unpack(JSON.parse(document.getElementById("data").textContent));
  const main = document.getElementById("report");
  if (!data.cells.length) {
    main.append(element("section", { class: "panel" }, element("p", { class: "nothing" },
      "There is no event to show. What was read, and why it was left out, stands below.")));
    return;
  }

  const FIRST_ROWS = 15;
  const { filter, form, sync } = filters(data, () => draw());
  const open = new Set();
  const shown = {};

  const number = (value) => Math.round(value).toLocaleString("en");
  const few = (value) => (value >= 100 || Number.isInteger(value) ? number(value) : String(Number(value.toPrecision(2))));
  const several = (count, what) => `${few(count)} ${what}${few(count) === "1" ? "" : "s"}`;
  const iso = (day) => figures.isoOfDay(data, day);

  function percent(share) {
    const value = share * 100;
    if (value > 0 && value < 0.05) return "<0.1 %";
    return `${Number(value.toFixed(value < 10 && value % 1 ? 1 : 0))} %`;
  }

  function duration(ms) {
    if (ms === null) return "–";
    if (ms === 0) return "0";
    const [unit, size] = [["d", 86400000], ["h", 3600000], ["min", 60000], ["s", 1000], ["ms", 1]]
      .find(([, each]) => ms >= each) || ["ms", 1];
    const value = ms / size;
    return `${value >= 100 || unit === "ms" ? Math.round(value) : Number(value.toPrecision(3))} ${unit}`;
  }

  const said = element("p", { class: "note", role: "status" });
  const tiles = element("dl", { class: "figures" });

  function section(title, note) {
    const id = `section-${title.toLowerCase().replace(/\W+/g, "-")}`;
    const body = element("div", {});
    const remark = element("p", { class: "note" }, note);
    const whole = element("section", { class: "panel", "aria-labelledby": id }, element("h2", { id }, title), remark, body);
    return { title, whole, body, remark };
  }

  const commands = section("Commands", "");
  const runs = section("Runs", "");
  const latency = section("Latency", "");
  const errors = section("Error rate", "");
  const failing = section("Error rate by command", "Runs that failed, of all runs of the command; the highest rate first.");
  const adopted = section("Adoption", "");
  const active = section("Active installations", "");
  const nobody = section("Used by nobody", "Commands of the vocabulary that no installation ran: candidates for deprecation.");

  main.append(
    form, said, tiles, commands.whole,
    element("div", { class: "pair" }, runs.whole, active.whole),
    element("div", { class: "pair" }, latency.whole, errors.whole),
    failing.whole, adopted.whole, nobody.whole,
  );

  /* Sections */

  const named = (one) => {
    const isAlone = data.applications.length === 1 || filter.application !== null;
    return isAlone ? one.name : `${one.name} · ${data.applications[one.application].name}`;
  };

  function describe() {
    const names = [
      filter.application === null ? "all applications" : data.applications[filter.application].name,
      filter.command === null ? "all commands" : filter.command.name,
      filter.from === filter.to ? iso(filter.from) : `${iso(filter.from)} to ${iso(filter.to)}`,
    ];
    return names.slice(data.applications.length > 1 ? 0 : 1).join(", ");
  }

  function drawTiles(sum) {
    const users = figures.usersIn(data, figures.scopesOf(data, filter), filter.from, filter.to);
    const days = filter.to - filter.from + 1;
    const installations = users.isCounted
      ? ["Installations", number(users.count)] : ["Installations a day", few(users.count / days)];
    const entries = [
      ["Runs", number(sum.runs)], installations, ["Error rate", sum.runs ? percent(figures.errorRate(sum)) : "–"],
      ["Average latency", duration(figures.meanMs(sum))],
      ["p50", duration(figures.percentileMs(sum, 0.5))], ["p95", duration(figures.percentileMs(sum, 0.95))],
    ];
    tiles.replaceChildren(...entries.map(([term, value]) => element("div", {}, element("dt", {}, term), element("dd", {}, value))));
    said.textContent = `Shown: ${describe()}; ${several(sum.runs, "run")}.`;
  }

  function drawCommands(groups) {
    const days = filter.to - filter.from + 1;
    const row = (one) => ({
      key: `${one.application} ${one.name}`, name: named(one), value: one.sum.runs, text: number(one.sum.runs),
      facts: [
        `${few(one.sum.runs / days)} a day`, `average ${duration(figures.meanMs(one.sum))}`,
        `p95 ${duration(figures.percentileMs(one.sum, 0.95))}`, `${percent(figures.errorRate(one.sum))} failed`,
      ],
      parts: [],
    });
    commands.remark.textContent = "Runs by subcommand; open one to see its options.";
    drawBars(commands, groups, row, "", ["Command", "Runs", "A day", "Average", "p50", "p95", "Failed"], (one) => [
      named(one), number(one.sum.runs), few(one.sum.runs / days), duration(figures.meanMs(one.sum)),
      duration(figures.percentileMs(one.sum, 0.5)), duration(figures.percentileMs(one.sum, 0.95)),
      percent(figures.errorRate(one.sum)),
    ]);
  }

  /* Bars of subcommands, which unfold what they have besides themselves, and the table of all commands behind them. */
  function drawBars(into, groups, row, kind, head, cells) {
    const rows = groups.map((group) => {
      const isItself = group.commands.length === 1 && group.commands[0].name === group.name;
      return { ...row(group), parts: isItself ? [] : group.commands.map(row) };
    });
    const limit = shown[into.title] || (rows.length > FIRST_ROWS + 3 ? FIRST_ROWS : rows.length);
    const all = groups.flatMap((group) => group.commands);
    into.body.replaceChildren(
      charts.bars({ title: into.title, rows, kind, open, shown: limit, more: () => {
        shown[into.title] = Infinity;
        draw();
        into.body.querySelectorAll(".bars > li")[limit].querySelector("button, .row").focus();
      } }),
      ...(rows.length ? [charts.tableBehind(`Table: ${into.title}`, head, all.map(cells))] : []),
    );
  }

  function drawFailing(groups) {
    const failed = (one) => one.sum.errors > 0;
    const highest = (one, other) => figures.errorRate(other.sum) - figures.errorRate(one.sum) || other.sum.runs - one.sum.runs;
    const found = groups.filter(failed).sort(highest).map((group) => {
      return { ...group, commands: group.commands.filter(failed).sort(highest) };
    });
    const row = (one) => ({
      key: `${one.application} ${one.name}`, name: named(one), value: figures.errorRate(one.sum),
      text: percent(figures.errorRate(one.sum)), facts: [`${number(one.sum.errors)} of ${several(one.sum.runs, "run")}`], parts: [],
    });
    drawBars(failing, found, row, "error", ["Command", "Error rate", "Failed", "Runs"], (one) => [
      named(one), percent(figures.errorRate(one.sum)), number(one.sum.errors), number(one.sum.runs),
    ]);
    if (!found.length) failing.body.replaceChildren(element("p", { class: "nothing" }, "No run failed in this selection."));
  }

  function drawAdoption(groups) {
    const of = new Map();
    const share = (one) => {
      if (!of.has(one)) of.set(one, figures.adoption(data, filter, one));
      return of.get(one);
    };
    const isCounted = groups.length > 0 && share(groups[0]).isCounted;
    const unit = isCounted ? "installation" : "day of activity";
    const units = isCounted ? "installations" : "days of activity";
    adopted.remark.textContent = isCounted
      ? "The share of the installations that were active then which ran the command."
      : "For dates of one's own: of all days on which an installation was active, the share on which it ran the command.";
    const mostFirst = (one, other) => share(other).share - share(one).share || other.sum.runs - one.sum.runs;
    const sorted = [...groups].sort(mostFirst).map((group) => ({ ...group, commands: [...group.commands].sort(mostFirst) }));
    const row = (one) => ({
      key: `${one.application} ${one.name}`, name: named(one), value: share(one).share, text: percent(share(one).share),
      facts: [`${number(share(one).count)} of ${number(share(one).of)} ${share(one).of === 1 ? unit : units}`], parts: [],
    });
    drawBars(adopted, sorted, row, "", ["Command", "Share", `Used (${units})`, `Active (${units})`], (one) => [
      named(one), percent(share(one).share), number(share(one).count), number(share(one).of),
    ]);
  }

  function drawOverTime() {
    const { length, points } = figures.overTime(data, filter);
    const labelled = points.map((point) => ({
      ...point, iso: iso(point.to), label: point.from === point.to ? iso(point.from) : `${iso(point.from)} to ${iso(point.to)}`,
    }));
    const unit = length === 1 ? "day" : `${length} days`;
    const head = length === 1 ? "Day" : "Days";
    const each = (into, title, series, rest) => {
      const width = Math.max(240, into.body.clientWidth || 600);
      const tell = (point, at) => {
        const values = series.map(([name, , values]) => `${name} ${values[at] === null ? "–" : rest.format(values[at])}`);
        return `${point.label}: ${values.join(", ")}`;
      };
      const columns = [head, ...series.map(([name]) => name.replace(/^./, (letter) => letter.toUpperCase()))];
      into.body.replaceChildren(
        ...(rest.isColumns ? [] : [charts.legend(series.map(([name, kind]) => [name, kind]))]),
        charts.overTime({ title, points: labelled, series, tell, width, head: columns, ...rest }));
    };
    const percentiles = (share) => labelled.map((point) => figures.percentileMs(point.sum, share));
    runs.remark.textContent = `How often commands were run, in each ${unit}.`;
    each(runs, `Runs in each ${unit}`, [["runs", "", labelled.map((point) => point.sum.runs)]],
      { format: few, isColumns: true, isWhole: true });
    active.remark.textContent = length === 1
      ? "How many installations ran a command on the day." : `How many installations ran a command on a day, on the average of ${unit}.`;
    each(active, "Active installations a day", [["installations", "", labelled.map((point) => point.usersADay)]],
      { format: few, isColumns: true, isWhole: length === 1 });
    latency.remark.textContent = "Half of the runs took up to p50, 95 of 100 up to p95.";
    each(latency, `Latency in each ${unit}`, [["p50", "", percentiles(0.5)], ["p95", "second", percentiles(0.95)]],
      { format: duration, isLog: true });
    errors.remark.textContent = `Runs that failed, of all runs, in each ${unit}.`;
    each(errors, `Error rate in each ${unit}`, [["failed", "error", labelled.map((point) => figures.errorRate(point.sum))]],
      { format: percent });
  }

  function drawNobody() {
    const lists = figures.unused(data, filter).flatMap(({ application: of, words, never, seen }) => {
      const parts = data.applications.length > 1 ? [element("h3", {}, of.name)] : [];
      const list = (text, names) => {
        if (names.length) parts.push(element("p", {}, text), element("ul", { class: "names" }, ...names.map((name) => element("li", {}, name))));
      };
      if (!of.vocabulary) {
        parts.push(element("p", { class: "nothing" }, "The vocabulary of this application is not known here; name it with --vocabulary."));
      } else if (!never.length && !seen.length) {
        parts.push(element("p", { class: "nothing" }, words.length ? "Every command was run." : "No command of the vocabulary is in this selection."));
      }
      list(`${never.length} of ${words.length} commands, on no date in this report:`, never);
      list(`${seen.length} of ${words.length} commands, run on other dates only:`, seen);
      return parts;
    });
    nobody.body.replaceChildren(...lists);
  }

  /* Draw anew; a table that was open stays open. */
  function keepingOpen(act) {
    const keys = new Set([...main.querySelectorAll("details[open]")].map((one) => one.dataset.key.split(" in each")[0]));
    act();
    for (const one of main.querySelectorAll("details")) one.open = keys.has(one.dataset.key.split(" in each")[0]);
  }

  function draw() {
    sync();
    keepingOpen(() => {
      const groups = figures.byCommand(data, filter);
      drawTiles(figures.total(figures.cellsOf(data, filter)));
      drawCommands(groups);
      drawOverTime();
      drawFailing(groups);
      drawAdoption(groups);
      drawNobody();
    });
  }

  draw();
  let width = main.clientWidth;
  new ResizeObserver(() => {
    if (main.clientWidth === width) return;
    width = main.clientWidth;
    keepingOpen(drawOverTime);
  }).observe(main);
})();
