// The list of a tab, the card that is open in it, and what a key or a click does to it.

function app(source) {
  const PAGE = 25, OPENED_BEFORE_ALL = 3;
  const list = byId("list");
  const orders = new Map(), openedSafe = new Set(), undoable = [];
  const state = { tab: "safe", filter: {}, starts: [null], page: 0, cards: [], blocked: [], total: 0, active: -1, isOpen: false, head: null };
  let queue = Promise.resolve(), changes = 0;

  // One thing after the other, so that keys that are pressed fast each act on what the one before
  // has left. A failure is told, and the next key still works.
  function run(step) {
    queue = queue.then(step).then(() => warn(null), (error) => { warn(error.message); if (error instanceof Refused) lock(error.message); });
    document.documentElement.dataset.busy = String(changes += 1);
    const mine = changes;
    queue.then(() => { if (mine === changes) delete document.documentElement.dataset.busy; });
    return queue;
  }

  function lock(why) {
    byId("review").hidden = true;
    byId("locked").hidden = false;
    byId("locked-why").textContent = why;
  }

  const arranged = (card) => {
    if (!orders.has(card.stored_key)) orders.set(card.stored_key, card.leads.map((lead) => lead.id));
    return inOrder(card, orders.get(card.stored_key));
  };
  const active = () => state.cards[state.active];

  // The head.

  async function refreshHead() {
    const head = (state.head = await source.head());
    const decidable = head.safe + head.decide + head.done;
    byId("progress").max = Math.max(decidable, 1);
    byId("progress").value = head.done;
    byId("progress-words").textContent = `${number(head.done)} of ${number(decidable)} decided`;
    for (const tab of Object.keys(TABS)) {
      byId(`tab-${tab}`).querySelector(".count").textContent = number(head[tab]);
    }
    byId("approved").hidden = !head.approval;
    if (head.approval) byId("approved").textContent = `Approved by ${head.approval.by}${head.approval.at ? ` on ${day(head.approval.at)}` : ""}. Any further decision takes the approval back.`;
    const unsaved = source.unsaved();
    byId("unsaved").textContent = unsaved ? "There are decisions that are not saved yet." : "";
    drawAll();
  }

  function drawAll() {
    const { undecided, ...filter } = state.filter;
    const isFiltered = Object.values(filter).some(Boolean);
    // What is decided meanwhile still stands in the list.
    const safe = isFiltered ? state.total - state.cards.filter((card) => tabOf(card) !== "safe").length : state.head?.safe ?? 0;
    byId("all").hidden = state.tab !== "safe" || safe <= 0;
    const needed = Math.min(OPENED_BEFORE_ALL, safe + openedSafe.size), missing = needed - openedSafe.size;
    byId("all-safe").disabled = missing > 0;
    byId("all-safe").textContent = `Approve all ${number(safe)} safe ones${isFiltered ? " of this filter" : ""}`;
    byId("all-why").textContent = missing > 0 ? `Open ${missing === needed ? counted(missing, "group") : counted(missing, "more group")} first, to see what you approve.` : "Marks each of them to be merged. Undo takes it back.";
  }

  // The list.

  async function load({ last = false, open = state.isOpen } = {}) {
    if (state.tab === "blocked") {
      state.cards = [];
      state.blocked = await source.blocked(state.page * PAGE, PAGE);
      state.total = state.head.blocked;
    } else {
      const { undecided, ...filter } = state.filter;
      const told = await source.cards({ ...filter, tab: state.tab }, state.starts[state.page], PAGE);
      state.cards = told.cards.map(arranged);
      state.total = told.total;
      state.blocked = [];
      // The last of the earlier ones were decided meanwhile.
      if (!state.cards.length && state.page > 0) { state.page -= 1; return load({ last: true, open }); }
    }
    state.active = state.cards.length ? (last ? state.cards.length - 1 : 0) : -1;
    state.isOpen = open && state.active >= 0;
    noteOpened();
    drawList();
  }

  const actionsOf = (place) => {
    const on = (make) => (...told) => run(async () => { goTo(place); await make(...told); });
    return {
      toggle: () => run(async () => { const isSame = state.active === place; goTo(place, isSame ? !state.isOpen : true); focusTitle(false); }),
      keep: on((id) => decideActive(withRecord(active(), id), "Record kept")),
      leaveOut: on((id, isOut) => decideActive(withLeftOut(active(), id, isOut), isOut ? "Record left out" : "Record takes part")),
      value: on((field, chosen) => decideActive(withValue(active(), field, chosen), "Value chosen")),
      typed: on((field, value) => decideActive(withValue(active(), field, { typed: value }), "Value taken")),
      note: on((text) => decideActive(tidy({ ...active().decisions, note: text.trim() }), "Note kept")),
      choose: on((choice) => choose(choice)),
      clear: on(() => decideActive(tidy({ note: active().decisions.note }), "As planned again")),
      redraw: () => drawCard(place),
    };
  };
  const view = (place) => cardView(state.cards[place], { isOpen: state.isOpen && state.active === place, isActive: state.active === place, act: actionsOf(place) });

  function drawList() {
    byId("about-tab").textContent = TABS[state.tab].about;
    list.replaceChildren(...(state.tab === "blocked" ? state.blocked.map(blockedView) : state.cards.map((_, place) => view(place))));
    const shownHere = state.tab === "blocked" ? state.blocked.length : state.cards.length;
    if (!shownHere) list.append(el("p", { class: "empty" }, Object.values(state.filter).some(Boolean) ? "No group here matches the filter." : TABS[state.tab].empty, whereNext()));
    const isMore = state.tab === "blocked" ? (state.page + 1) * PAGE < state.total : state.page * PAGE + shownHere < state.total;
    byId("pages").hidden = state.page === 0 && !isMore;
    byId("page-back").disabled = state.page === 0;
    byId("page-on").disabled = !isMore;
    byId("page-words").textContent = shownHere ? `Page ${number(state.page + 1)}; ${counted(state.total, "group")} in this list` : "";
    drawAll();
  }

  function whereNext() {
    const head = state.head;
    if (!head || state.tab === "done" || state.tab === "blocked") return null;
    const other = state.tab === "safe" ? "decide" : "safe";
    if (head[other]) return el("button", { type: "button", onclick: () => show(other) }, `Go on with ${counted(head[other], "group")} under “${TABS[other].word}”`);
    return head.done ? el("button", { type: "button", class: "primary", onclick: () => byId("sign").click() }, "Sign off…") : null;
  }

  function drawCard(place) {
    const old = byId(`card-${state.cards[place]?.place}`);
    if (old) replaceKeepingFocus(old, view(place));
  }

  function noteOpened() {
    if (state.isOpen && state.tab === "safe" && active()) openedSafe.add(active().stored_key);
    drawAll();
  }

  function goTo(place, open = state.isOpen) {
    const before = state.active;
    state.active = place;
    state.isOpen = open;
    noteOpened();
    if (before >= 0 && before !== place) drawCard(before);
    drawCard(place);
  }

  function focusTitle(scroll = true) {
    const title = list.querySelector(".card.active .title");
    title?.focus({ preventScroll: true });
    if (scroll) title?.closest("article").scrollIntoView({ block: "start" });
  }

  async function step(by) {
    if (state.tab === "blocked" || !state.cards.length) return;
    // The first key opens the group that one is at.
    const next = state.isOpen || by < 0 ? state.active + by : state.active;
    if (next >= 0 && next < state.cards.length) goTo(next, true);
    else if (by > 0) { if (!(await turn(1, false))) return atEnd(); }
    else if (state.page > 0) await turn(-1, true);
    else return tell("This is the first one.");
    focusTitle();
  }

  function atEnd() {
    const { safe, decide } = state.head;
    const left = safe + decide;
    tell(left ? `This is the last one here. ${counted(left, "group is", "groups are")} undecided: ${number(safe)} under Safe, ${number(decide)} under Decide.` : "This is the last one, and all are decided. Sign off next.");
    byId("ended").hidden = false;
    byId("ended").replaceChildren(left ? "You are at the end of this list. " : "All groups are decided. ", whereNext() || el("button", { type: "button", class: "primary", onclick: () => byId("sign").click() }, "Sign off…"));
    byId("ended").querySelector("button").focus();
  }

  // The next or previous part of the list; false where there is none.
  async function turn(by, last) {
    if (by > 0 && state.tab !== "blocked") {
      const after = state.cards.at(-1)?.place ?? null;
      const { undecided, ...filter } = state.filter;
      const told = await source.cards({ ...filter, tab: state.tab }, after, 1);
      if (!told.cards.length) return false;
      state.starts = [...state.starts.slice(0, state.page + 1), after];
    } else if (by > 0 && (state.page + 1) * PAGE >= state.total) return false;
    state.page += by;
    await load({ last, open: true });
    return true;
  }

  // Decisions.

  function takeIn(told) {
    for (const card of told.map(arranged)) {
      const place = state.cards.findIndex((shownCard) => shownCard.stored_key === card.stored_key);
      if (place < 0) continue;
      state.cards[place] = card;
      drawCard(place);
    }
  }

  // Where somebody else decided meanwhile nothing is taken: what they decided is shown instead.
  async function decide(entries) {
    try { return await source.decide(entries); } catch (error) {
      if (error.cards?.length) { takeIn(error.cards); await refreshHead(); } else drawCard(state.active);
      throw error;
    }
  }

  async function decideActive(decisions, words) {
    const card = active();
    if (!card || equalDecisions(card.decisions, decisions)) return;
    if (isPast(card)) return tell(`${card.key} cannot be decided about any more: ${card.past.words}.`);
    const kept = keptLeftOut(card, decisions);
    if (kept !== null) {
      drawCard(state.active);
      const ordinal = card.leads.findIndex((lead) => lead.id === kept) + 1;
      throw new Error(`Record ${ordinal} is the one to keep and cannot be left out. Choose another record to keep first.`);
    }
    const told = await decide([{ key: card.stored_key, decisions, seen: card.decision_number }]);
    undoable.push({ before: [{ key: card.stored_key, decisions: card.decisions }], words: `${words}: ${card.key}` });
    takeIn(told.cards);
    await refreshHead();
    const now = told.cards[0];
    tell(now?.refused ? `This cannot be carried out: ${now.refused}` : `${words}: ${card.key}. ${byId("progress-words").textContent}.`);
  }

  // A decision goes on to the next group by itself; nothing else does.
  async function choose(choice) {
    const card = active();
    if (!card) return;
    state.isOpen = true;
    await decideActive(withChoice(card, choice), CHOICES[choice].done);
    if (active()?.refused) return;
    if (state.filter.undecided && state.tab !== "done") {
      const place = state.active;
      state.cards.splice(place, 1);
      state.total = Math.max(0, state.total - 1);
      if (state.cards.length) { state.active = Math.min(place, state.cards.length - 1); drawList(); focusTitle(); return; }
      state.starts = [null]; state.page = 0;
      await load({ open: true });
      return state.cards.length ? focusTitle() : atEnd();
    }
    await step(1);
  }

  async function undo() {
    const last = undoable.pop();
    if (!last) return tell("There is nothing to undo.");
    for (let from = 0; from < last.before.length; from += 500) {
      takeIn((await decide(last.before.slice(from, from + 500))).cards);
    }
    await refreshHead();
    const place = state.cards.findIndex((card) => card.stored_key === last.before[0].key);
    if (last.before.length > 1 || place < 0) { await load(); }
    if (place >= 0 && last.before.length === 1) { goTo(place, true); focusTitle(); }
    tell(`Undone. ${last.words}`);
  }

  async function approveAllSafe() {
    const { undecided, ...filter } = state.filter;
    const before = await source.decideSafe({ ...filter, tab: "safe" }, (count) => tell(`${counted(count, "group")} so far…`));
    if (before.length) undoable.push({ before, words: `${counted(before.length, "safe group")}` });
    state.starts = [null];
    state.page = 0;
    await refreshHead();
    await load({ open: false });
    tell(`${counted(before.length, "safe group")} will be merged. ${byId("progress-words").textContent}.`);
  }

  function show(tab, filter = state.filter) {
    return run(async () => {
      Object.assign(state, { tab, filter, starts: [null], page: 0, isOpen: false });
      byId("ended").hidden = true;
      for (const name of Object.keys(TABS)) {
        const button = byId(`tab-${name}`);
        button.setAttribute("aria-selected", String(name === tab));
        button.tabIndex = name === tab ? 0 : -1;
      }
      byId("panel").setAttribute("aria-labelledby", `tab-${tab}`);
      byId("filters").hidden = tab === "blocked";
      await load({ open: false });
      // A filter keeps the focus where somebody types; it says what came of it.
      say(`${TABS[tab].word}: ${counted(state.total, "group")}.`);
    });
  }

  // By its place in the columns, as the keys 1 to 9 have it.
  async function keepNumber(ordinal) {
    const lead = active()?.leads[ordinal - 1];
    if (!lead) return tell(`There is no record ${ordinal} here.`);
    state.isOpen = true;
    if (lead.role === "winner") { goTo(state.active, true); return tell(`Record ${ordinal} stays already.`); }
    await decideActive(withRecord(active(), lead.id), `Record ${ordinal} stays`);
    goTo(state.active, true);
  }

  return {
    state, run, lock, show, refreshHead, load, undo, atEnd,
    step: (by) => run(() => step(by)),
    choose: (choice) => run(() => choose(choice)),
    keepNumber: (ordinal) => run(() => keepNumber(ordinal)),
    turn: (by) => run(async () => { await turn(by, false); scrollTo(0, 0); focusTitle(); }),
    approveAllSafe: () => run(approveAllSafe),
    remember: (before, words) => undoable.push({ before, words }),
    // For paper: everything that is loaded is open.
    openAll: () => list.replaceChildren(...(state.tab === "blocked" ? state.blocked.map(blockedView) : state.cards.map((card, place) => cardView(card, { isOpen: true, isActive: false, act: actionsOf(place) })))),
    closeAll: drawList,
  };
}
