"use strict";
(() => {
  // The columns of a row, in the order in which the program writes them.
  const KEY = 0, NAME = 1, SIZE = 2, CAUSE = 3, CONFIDENCE = 4, NEWEST = 5, INTEGRATIONS = 6, WINNER = 7, OTHERS = 8, REASON = 9;
  const PAGE = 100;
  const section = document.getElementById("all-groups");
  if (!section) return;
  const COLUMNS = [
    ["key", section.dataset.key, KEY], ["name", "Name", NAME], ["size", "Records", SIZE], ["cause", "Cause", CAUSE],
    ["newest", "Newest record (UTC)", NEWEST], ["integration", "Integrations", INTEGRATIONS], ["winner", "Record to keep", WINNER],
  ];
  const rows = JSON.parse(document.getElementById("rows").textContent);
  const filter = document.getElementById("filter"), cause = document.getElementById("cause"), decision = document.getElementById("decision");
  const causeNames = new Map([...cause.options].map((option) => [option.value, option.text]));
  const head = section.querySelector("thead tr"), body = section.querySelector("tbody");
  const status = document.getElementById("status");
  const searched = rows.map((row) => [row[KEY], row[NAME], row[INTEGRATIONS], row[WINNER] ?? row[REASON], ...row[OTHERS]].join("\n").toLowerCase());
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  let state, found;

  const lastPage = () => Math.max(1, Math.ceil(found.length / PAGE));

  // Rows that are equal in a column stay in the order in which the program wrote them: largest first, then by key.
  function select() {
    const wanted = state.filter.trim().toLowerCase();
    found = [];
    for (let place = 0; place < rows.length; place += 1) {
      const row = rows[place], decided = row[WINNER] === null ? "decide" : "now";
      if ((!state.cause || row[CAUSE] === state.cause) && (!state.decision || decided === state.decision) && searched[place].includes(wanted)) found.push(row);
    }
    const column = COLUMNS.find(([name]) => name === state.sort)[2];
    // Where nobody has decided there is no record to keep: those come last.
    const number = (id) => id ?? Number.MAX_SAFE_INTEGER;
    const order = column === SIZE || column === WINNER ? (a, b) => number(a) - number(b) : column === NEWEST ? (a, b) => (a < b ? -1 : a > b ? 1 : 0) : compare;
    const sign = state.descending ? -1 : 1;
    found.sort((a, b) => sign * order(a[column], b[column]));
  }

  function cell(kind, text, number) {
    const made = document.createElement(kind);
    const value = document.createElement("bdi");
    value.textContent = text;
    made.append(value);
    if (number) made.className = "number";
    return made;
  }

  function draw() {
    state.page = Math.min(Math.max(1, state.page), lastPage());
    const start = (state.page - 1) * PAGE;
    body.replaceChildren(...found.slice(start, start + PAGE).map((row) => {
      const line = document.createElement("tr");
      const key = cell("th", row[KEY]);
      key.scope = "row";
      line.append(key, cell("td", row[NAME]), cell("td", row[SIZE], true), cell("td", `${causeNames.get(row[CAUSE])} (${row[CONFIDENCE]})`),
        cell("td", row[NEWEST].slice(0, 16).replace("T", " ")), cell("td", row[INTEGRATIONS]), cell("td", row[WINNER] ?? `to decide: ${row[REASON]}`));
      return line;
    }));
    const end = Math.min(start + PAGE, found.length);
    status.textContent = found.length ? `${start + 1} to ${end} of ${found.length.toLocaleString("en")} groups, page ${state.page} of ${lastPage()}` : "No group matches.";
    for (const heading of head.children) {
      const sorted = heading.dataset.column === state.sort;
      if (sorted) heading.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    }
    for (const button of section.querySelectorAll("nav button")) {
      const backwards = button.dataset.go === "first" || button.dataset.go === "previous";
      button.disabled = backwards ? state.page === 1 : state.page === lastPage();
    }
  }

  // What is seen stands in the address, so that it can be kept as a bookmark and comes back on reloading.
  function remember() {
    const told = new URLSearchParams({ sort: state.sort, dir: state.descending ? "desc" : "asc", filter: state.filter, cause: state.cause, decision: state.decision, page: state.page });
    history.replaceState(null, "", `#${told}`);
  }

  function recall() {
    const told = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
    const sort = COLUMNS.some(([name]) => name === told.get("sort")) ? told.get("sort") : "size";
    const direction = told.get("dir") || (sort === "size" || sort === "newest" ? "desc" : "asc");
    state = { sort, descending: direction === "desc", filter: told.get("filter") || "", cause: told.get("cause") || "", decision: told.get("decision") || "", page: Number.parseInt(told.get("page"), 10) || 1 };
    filter.value = state.filter;
    cause.value = state.cause;
    state.cause = cause.value;
    decision.value = state.decision;
    state.decision = decision.value;
    select();
    draw();
  }

  function change(changes) {
    Object.assign(state, { page: 1 }, changes);
    select();
    draw();
    remember();
  }

  for (const [name, title] of COLUMNS) {
    const heading = document.createElement("th"), button = document.createElement("button");
    heading.scope = "col";
    heading.dataset.column = name;
    if (name === "size") heading.className = "number";
    button.type = "button";
    button.textContent = title;
    button.addEventListener("click", () => change({ sort: name, descending: state.sort === name ? !state.descending : name === "size" || name === "newest" }));
    heading.append(button);
    head.append(heading);
  }
  let typing;
  filter.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => change({ filter: filter.value }), 150); });
  cause.addEventListener("change", () => change({ cause: cause.value }));
  decision.addEventListener("change", () => change({ decision: decision.value }));
  document.getElementById("controls").addEventListener("submit", (event) => { event.preventDefault(); change({ filter: filter.value }); });
  for (const button of section.querySelectorAll("nav button")) {
    button.addEventListener("click", () => {
      state.page = { first: 1, previous: state.page - 1, next: state.page + 1, last: lastPage() }[button.dataset.go];
      draw();
      remember();
    });
  }
  addEventListener("hashchange", () => { if (location.hash.includes("=")) recall(); });
  section.hidden = false;
  recall();
})();
