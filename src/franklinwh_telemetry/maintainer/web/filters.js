/* The filters: what they have chosen, as `filter`, and the form in which it is chosen. */
const filters = (data, changed) => {
  const { element } = charts;
  const LAST = data.days - 1;
  const filter = { application: null, command: null, from: 0, to: LAST };
  const iso = (day) => figures.isoOfDay(data, day);

  function labelled(text, field) {
    field.id = `filter-${text.toLowerCase()}`;
    return element("div", {}, element("label", { for: field.id }, text), field);
  }

  function select(label, options, choose) {
    const field = element("select", {}, ...options);
    field.addEventListener("change", () => choose(field.value));
    return { whole: labelled(label, field), field };
  }

  const option = (value, text) => element("option", { value }, text);

  const application = select("Application",
    [option("", "All applications"), ...data.applications.map((one, at) => option(at, one.name))],
    (value) => {
      filter.application = value === "" ? null : Number(value);
      offerCommands();
      changed();
    });

  const command = select("Command", [], (value) => {
    const [kind, ...name] = value.split(" ");
    filter.command = value ? { kind, name: name.join(" ") } : null;
    changed();
  });

  /* The commands of the application; a choice that it does not have is given up. */
  function offerCommands() {
    const groups = new Map();
    for (const scope of data.scopes) {
      if (scope.kind !== "command" || (filter.application !== null && scope.application !== filter.application)) continue;
      if (!groups.has(scope.group)) groups.set(scope.group, new Set());
      groups.get(scope.group).add(scope.name);
    }
    const options = [option("", "All commands")];
    for (const [group, names] of [...groups].sort(([one], [other]) => (one < other ? -1 : 1))) {
      if (names.size === 1) options.push(option(`command ${[...names][0]}`, [...names][0]));
      else {
        options.push(element("optgroup", { label: group }, option(`group ${group}`, `${group}, all of it`),
          ...[...names].sort().map((name) => option(`command ${name}`, name))));
      }
    }
    const before = command.field.value;
    command.field.replaceChildren(...options);
    command.field.value = before;
    if (command.field.selectedIndex < 0) {
      command.field.value = "";
      filter.command = null;
    }
  }

  const period = select("Dates",
    [...data.periods.map((one, at) => option(at, one.label)), option("own", "From … to …")],
    (value) => {
      if (value === "own") {
        from.field.focus();
        return;
      }
      Object.assign(filter, { from: data.periods[value].from, to: data.periods[value].to });
      changed();
    });

  function dateField(label, side) {
    const field = element("input", { type: "date", min: iso(0), max: iso(LAST) });
    field.addEventListener("change", () => {
      const day = figures.dayOfIso(data, field.value);
      filter[side] = day === null ? { from: 0, to: LAST }[side] : Math.max(0, Math.min(LAST, day));
      if (filter.from > filter.to) [filter.from, filter.to] = [filter.to, filter.from];
      changed();
    });
    return { whole: labelled(label, field), field };
  }

  const from = dateField("From", "from");
  const to = dateField("To", "to");
  const reset = element("button", { type: "button" }, "Show all");
  reset.addEventListener("click", () => {
    Object.assign(filter, { application: null, command: null, from: 0, to: LAST });
    application.field.value = "";
    offerCommands();
    command.field.value = "";
    changed();
  });

  const form = element("form", { class: "filters", "aria-label": "Filters" },
    ...(data.applications.length > 1 ? [application.whole] : []),
    command.whole, period.whole, from.whole, to.whole, reset);
  form.addEventListener("submit", (event) => event.preventDefault());

  /* Show what is chosen: a choice of dates changes the period, and the other way round. */
  function sync() {
    const chosen = data.periods.findIndex((one) => one.from === filter.from && one.to === filter.to);
    period.field.value = chosen >= 0 ? String(chosen) : "own";
    from.field.value = iso(filter.from);
    to.field.value = iso(filter.to);
  }

  offerCommands();
  return { filter, form, sync };
};
