"use strict";

/* The figures of a selection, computed from the aggregates of days and commands; nothing here knows the page. */
const figures = (() => {
  const DAY_MS = 86400000;
  const EXACT_BELOW_MS = 32;
  const STEPS = 16; // of each doubling of the latency

  /* The least and the greatest whole latency that a step of the histogram holds. */
  function stepBounds(step) {
    if (step < EXACT_BELOW_MS) return [step, step];
    const doubling = Math.floor(step / STEPS) - 1;
    const low = (STEPS + (step % STEPS)) * 2 ** doubling;
    return [low, low + 2 ** doubling - 1];
  }

  function emptySum() {
    return { runs: 0, errors: 0, latencyMs: 0, steps: new Map() };
  }

  function add(sum, cell) {
    sum.runs += cell.runs;
    sum.errors += cell.errors;
    sum.latencyMs += cell.latencyMs;
    for (let at = 0; at < cell.steps.length; at += 2) {
      sum.steps.set(cell.steps[at], (sum.steps.get(cell.steps[at]) || 0) + cell.steps[at + 1]);
    }
    return sum;
  }

  /* The latency that this share of the runs stays within: the middle of the step that holds it; null without runs. */
  function percentileMs(sum, share) {
    if (!sum.runs) return null;
    let left = Math.max(1, Math.ceil(share * sum.runs));
    for (const step of [...sum.steps.keys()].sort((one, other) => one - other)) {
      left -= sum.steps.get(step);
      if (left <= 0) return stepBounds(step).reduce((low, high) => low + high) / 2;
    }
    return null;
  }

  function meanMs(sum) {
    return sum.runs ? sum.latencyMs / sum.runs : null;
  }

  function errorRate(sum) {
    return sum.runs ? sum.errors / sum.runs : null;
  }

  function isoOfDay(data, day) {
    return new Date(Date.parse(data.first) + day * DAY_MS).toISOString().slice(0, 10);
  }

  function dayOfIso(data, text) {
    const at = Date.parse(text);
    return Number.isNaN(at) ? null : Math.round((at - Date.parse(data.first)) / DAY_MS);
  }

  /* The aggregates as objects, each with the scope that it belongs to. */
  function unpack(data) {
    const scopes = data.scopes.map(([application, kind, name, group], at) => ({ at, application, kind, name, group }));
    const cells = data.cells.map(([scope, day, runs, errors, latencyMs, steps]) => {
      return { scope: scopes[scope], day, runs, errors, latencyMs, steps };
    });
    for (const scope of scopes) Object.assign(scope, { usersOnDay: new Map(), usersInPeriod: new Map() });
    for (const [scope, day, users] of data.daily) scopes[scope].usersOnDay.set(day, users);
    for (const [scope, period, users] of data.in_period) scopes[scope].usersInPeriod.set(period, users);
    return { ...data, scopes, cells };
  }

  function isMeant(scope, filter) {
    const { application, command } = filter;
    if (application !== null && scope.application !== application) return false;
    if (!command) return true;
    return command.kind === "group" ? scope.group === command.name : scope.name === command.name;
  }

  function cellsOf(data, filter) {
    return data.cells.filter((cell) => {
      return cell.day >= filter.from && cell.day <= filter.to && isMeant(cell.scope, filter);
    });
  }

  /* The scopes whose installations are those of the filter. No UUID is in two of them, so that they can be added. */
  function scopesOf(data, { application, command }) {
    return data.scopes.filter((scope) => {
      if (application !== null && scope.application !== application) return false;
      return command ? scope.kind === command.kind && scope.name === command.name : scope.kind === "application";
    });
  }

  function userDays(scopes, from, to) {
    let users = 0;
    for (const scope of scopes) {
      for (const [day, count] of scope.usersOnDay) if (day >= from && day <= to) users += count;
    }
    return users;
  }

  /*
   * How many installations, where that was counted: for one day, and for the periods that the page offers. Days cannot
   * be added up to it, because one installation is active on many; for other dates it is days on which one was active.
   */
  function usersIn(data, scopes, from, to) {
    const period = data.periods.findIndex((one) => one.from === from && one.to === to);
    if (period >= 0) {
      return { isCounted: true, count: scopes.reduce((sum, scope) => sum + (scope.usersInPeriod.get(period) || 0), 0) };
    }
    return { isCounted: from === to, count: userDays(scopes, from, to) };
  }

  /* The dates as points of a chart: days, or as many days together as keep it readable. */
  function spansOf(from, to) {
    const days = to - from + 1;
    const length = days <= 100 ? 1 : days <= 700 ? 7 : 28;
    const spans = [];
    // Whole spans end at the last day, so that the newest is never a part of one.
    for (let end = to; end >= from; end -= length) spans.unshift({ from: Math.max(from, end - length + 1), to: end });
    return { length, spans };
  }

  /* For each span: what was run in it, and on the mean of its days how many installations were active. */
  function overTime(data, filter) {
    const { length, spans } = spansOf(filter.from, filter.to);
    const sums = spans.map(emptySum);
    const last = spans.length - 1;
    for (const cell of cellsOf(data, filter)) {
      add(sums[Math.max(0, last - Math.floor((filter.to - cell.day) / length))], cell);
    }
    const scopes = scopesOf(data, filter);
    const points = spans.map((span, at) => {
      const days = span.to - span.from + 1;
      return { ...span, days, sum: sums[at], usersADay: userDays(scopes, span.from, span.to) / days };
    });
    return { length, points };
  }

  function total(cells) {
    return cells.reduce(add, emptySum());
  }

  /* Subcommands with their commands; of several applications each by itself. The most used first. */
  function byCommand(data, filter) {
    const groups = new Map();
    for (const cell of cellsOf(data, filter)) {
      const key = `${cell.scope.application} ${cell.scope.group}`;
      if (!groups.has(key)) {
        const { application, group: name } = cell.scope;
        groups.set(key, { application, name, kind: "group", sum: emptySum(), commands: new Map() });
      }
      const group = groups.get(key);
      add(group.sum, cell);
      if (!group.commands.has(cell.scope.at)) {
        group.commands.set(cell.scope.at, { ...cell.scope, sum: emptySum() });
      }
      add(group.commands.get(cell.scope.at).sum, cell);
    }
    const mostFirst = (one, other) => other.sum.runs - one.sum.runs || (one.name < other.name ? -1 : 1);
    return [...groups.values()].sort(mostFirst).map((group) => {
      return { ...group, commands: [...group.commands.values()].sort(mostFirst) };
    });
  }

  /* The share of the installations that were active then which used this command or subcommand. */
  function adoption(data, filter, { application, kind, name }) {
    const own = { ...filter, application };
    const used = usersIn(data, scopesOf(data, { ...own, command: { kind, name } }), filter.from, filter.to);
    const active = usersIn(data, scopesOf(data, { ...own, command: null }), filter.from, filter.to);
    return { ...used, of: active.count, share: active.count ? used.count / active.count : 0 };
  }

  /* What of each application's vocabulary nobody used within the dates; `seen` was used on others. */
  function unused(data, filter) {
    return data.applications.flatMap((application, at) => {
      if (filter.application !== null && filter.application !== at) return [];
      const ever = new Set();
      const then = new Set();
      for (const cell of data.cells) {
        if (cell.scope.application !== at) continue;
        ever.add(cell.scope.name);
        if (cell.day >= filter.from && cell.day <= filter.to) then.add(cell.scope.name);
      }
      const words = (application.vocabulary || []).filter((name) => {
        return isMeant({ application: at, name, group: name.split(" ")[0] }, filter);
      });
      const never = words.filter((name) => !ever.has(name));
      const seen = words.filter((name) => ever.has(name) && !then.has(name));
      return [{ application, words, never, seen }];
    });
  }

  return {
    adoption, byCommand, cellsOf, dayOfIso, errorRate, isoOfDay, meanMs, overTime, percentileMs, scopesOf, stepBounds,
    total, unpack, unused, usersIn,
  };
})();
