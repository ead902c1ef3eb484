// The plan in this file: its cards, and what is decided about them until it is saved.

function fileSource(embedded) {
  const bases = embedded.cards;
  const decided = new Map();
  let unsaved = 0;
  const byPlace = new Map(bases.map((card) => [card.place, card]));
  const byKey = new Map(bases.map((card) => [card.stored_key, card]));
  const card = (base) => (decided.has(base.stored_key) ? decidedCard(base, decided.get(base.stored_key)) : base);
  const all = () => bases.map(card);

  function take(entries) {
    const before = entries.map(({ key }) => ({ key, decisions: card(byKey.get(key)).decisions }));
    for (const { key, decisions } of entries) decided.set(key, tidy(decisions));
    unsaved += entries.length;
    return before;
  }

  // An entry with its key alone takes back what was decided before the page was written.
  function saved(name, note, approve) {
    const changed = bases.filter((base) => !isEmpty(card(base).decisions) || card(base).decisions.note || !equalDecisions(card(base).decisions, base.decisions));
    return {
      schema: "mkto-audit/decisions/1", plan: embedded.head.plan, digest: embedded.head.digest, by: name, note: note || null, approve,
      group: changed.map((base) => ({ key: base.stored_key, ...tidy(card(base).decisions) })),
    };
  }

  return {
    isLive: false,
    by: "",
    unsaved: () => unsaved,
    head: async () => ({ ...embedded.head, ...totalsOf(all()), blocked: embedded.blocked.length, approval: null }),
    cards: async (filter, after, count) => {
      const found = all().filter((one) => passes(one, filter));
      return { cards: found.filter((one) => after === null || one.place > after).slice(0, count), total: found.length };
    },
    blocked: async (after, count) => embedded.blocked.slice(after, after + count),
    decide: async (entries) => {
      const before = take(entries);
      return { before, cards: entries.map(({ key }) => card(byKey.get(key))) };
    },
    decideSafe: async (filter) => {
      const found = all().filter((one) => passes(one, { ...filter, tab: "safe" }));
      return take(found.map((one) => ({ key: one.stored_key, decisions: withChoice(one, "merge") })));
    },
    save: (name, note, approve) => {
      const blob = new Blob([`${JSON.stringify(saved(name, note, approve), null, 1)}\n`], { type: "application/json" });
      const link = el("a", { href: URL.createObjectURL(blob), download: `${embedded.file}.decisions.json` });
      document.body.append(link);
      link.click();
      link.remove();
      // The browser reads it after this turn; once it has, the address is of no use.
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      unsaved = 0;
      return link.download;
    },
    // Decisions that were saved before, to go on with them. All of them, or none.
    load: (text) => {
      let file;
      try { file = JSON.parse(text); } catch { throw new Error("This is no file of decisions: it is not JSON."); }
      if (file.schema !== "mkto-audit/decisions/1") throw new Error("This is no file of decisions that this page saved.");
      if (file.plan !== embedded.head.plan) throw new Error(`These decisions are about plan ${file.plan}, not about this one.`);
      const unknown = file.group.find(({ key }) => !byKey.has(key));
      if (unknown) throw new Error(`There is no group ${unknown.key} in this plan; nothing was taken.`);
      return take(file.group.map(({ key, ...decisions }) => ({ key, decisions })));
    },
    card: async (place) => card(byPlace.get(place)),
  };
}
