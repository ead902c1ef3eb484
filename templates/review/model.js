// What decisions make of a card. Pure: cards and decisions in, cards out.
//
// The live page asks the program; the page in a file has only this. It says what it knows: a field
// that another record to keep may change is marked as worked out anew on import.

const isEmpty = (decisions) => !decisions.decision && decisions.keep === undefined && !(decisions.left_out || []).length && !Object.keys(decisions.values || {}).length;

// A group is done when somebody said what becomes of it, or changed a part of one that merges anyway.
// What a run of the plan merged is past deciding.
const isPast = (card) => Boolean(card.past?.is_fixed);
const isDone = (card) => isPast(card) || !card.refused && (Boolean(card.decisions.decision) || (card.merges && !isEmpty(card.decisions)));
const tabOf = (card) => (isDone(card) ? "done" : card.refused || card.risk === "red" || card.objection ? "decide" : "safe");

// Decisions with what says nothing left out, so that equal ones are equal as JSON.
function tidy(decisions) {
  const kept = {};
  if (decisions.decision) kept.decision = decisions.decision;
  if (decisions.keep !== undefined && decisions.keep !== null) kept.keep = decisions.keep;
  if ((decisions.left_out || []).length) kept.left_out = [...new Set(decisions.left_out)].sort((a, b) => a - b);
  const values = Object.entries(decisions.values || {}).sort(([a], [b]) => (a < b ? -1 : 1));
  if (values.length) kept.values = Object.fromEntries(values);
  if (decisions.note) kept.note = decisions.note;
  return kept;
}

const equalDecisions = (one, other) => JSON.stringify(tidy(one)) === JSON.stringify(tidy(other));
const plannedWinner = (card) => (card.leads.find((lead) => lead.role === "winner") || card.leads[0]).id;

// The record to keep, where decisions leave it out; none where they do not, or the card does not tell
// which one the plan keeps.
function keptLeftOut(card, decisions) {
  const kept = decisions.keep ?? (card.decisions.keep === undefined ? plannedWinner(card) : undefined);
  return (decisions.left_out || []).includes(kept) ? kept : null;
}

function withRecord(card, id) {
  const decisions = { ...card.decisions };
  if (decisions.keep === id) delete decisions.keep;
  else if (decisions.keep !== undefined || id !== plannedWinner(card)) decisions.keep = id;
  // Whoever is kept takes part.
  if (decisions.keep === id) decisions.left_out = (decisions.left_out || []).filter((out) => out !== id);
  return tidy(decisions);
}

function withLeftOut(card, id, isOut) {
  const others = (card.decisions.left_out || []).filter((out) => out !== id);
  return tidy({ ...card.decisions, left_out: isOut ? [...others, id] : others });
}

// Choosing what is chosen already takes the choice back.
function withValue(card, field, chosen) {
  const values = { ...(card.decisions.values || {}) };
  if (chosen === null || JSON.stringify(values[field]) === JSON.stringify(chosen)) delete values[field];
  else values[field] = chosen;
  return tidy({ ...card.decisions, values });
}

function withChoice(card, choice) {
  return tidy({ ...card.decisions, decision: choice });
}

// The card of a plan in a file with other decisions than it was written with.
function decidedCard(base, decisions) {
  const planned = base.decisions;
  const winner = decisions.keep ?? plannedWinner(base);
  const leftOut = new Set(decisions.left_out || []);
  const isSameWinner = (decisions.keep ?? null) === (planned.keep ?? null) || (decisions.keep ?? null) === plannedWinner(base);
  const isAsPlanned = isSameWinner && JSON.stringify([...leftOut].sort()) === JSON.stringify([...(planned.left_out || [])].sort());
  const role = (id) => (leftOut.has(id) ? "left_out" : id === winner ? "winner" : "loser");
  const leads = base.leads.map((lead) => ({ ...lead, role: role(lead.id) }));
  const fields = base.fields.map((field) => decidedField(base, field, { planned, decisions, leads, winner, isAsPlanned }));
  const refused = refusal(leads, winner, leftOut);
  const isChanged = !equalDecisions({ ...decisions, decision: null, note: null }, { ...planned, decision: null, note: null });
  const stays = ["skip", "hold", "not_same"].includes(decisions.decision);
  const isRisky = base.risk === "red" || Boolean(base.objection);
  return {
    ...base, leads, fields, refused, decisions: tidy(decisions), isRecalculated: isChanged && !isAsPlanned,
    why: decisions.keep === undefined ? base.why : "The record to keep is your choice.",
    dropped: isChanged ? countDropped(leads, fields) : base.dropped,
    said_before: equalDecisions(decisions, planned) ? base.said_before : null,
    merges: !isPast(base) && !refused && !stays && (decisions.decision === "merge" || !isRisky),
  };
}

function refusal(leads, winner, leftOut) {
  if (leftOut.has(winner)) return "The record to keep is left out. Keep another one, or let it take part.";
  if (leads.length - leftOut.size < 2) return "Fewer than two records take part, so there is nothing to merge.";
  return null;
}

function decidedField(base, field, { planned, decisions, leads, winner, isAsPlanned }) {
  const chosen = (decisions.values || {})[field.name], wasChosen = (planned.values || {})[field.name];
  const taking = field.values.filter((_, place) => leads[place].role !== "left_out" && !isBlank(field.values[place]));
  const conflict = taking.some((value) => !same(value, taking[0]));
  if (chosen) {
    const from = leads.findIndex((lead) => lead.id === chosen.from);
    const after = "typed" in chosen ? chosen.typed : field.values[from] ?? null;
    return { ...field, conflict, after, rule: "decided" };
  }
  if (isAsPlanned && !wasChosen) return field;
  const unsure = { ...field, conflict, isRecalculated: true };
  if (!taking.length) return { ...unsure, after: null };
  if (!conflict) return { ...unsure, after: taking[0] };
  const kept = field.values[leads.findIndex((lead) => lead.id === winner)];
  if (field.rule === "winner" && !isBlank(kept)) return { ...unsure, after: kept };
  if (field.rule === "any_true") return { ...unsure, after: taking.some((value) => value === true) };
  return { ...unsure, after: null, isUnknown: true };
}

function countDropped(leads, fields) {
  const drops = (field, place) => leads[place].role !== "left_out" && !field.isUnknown && !isBlank(field.values[place]) && !same(field.values[place], field.after);
  return fields.reduce((sum, field) => sum + field.values.filter((_, place) => drops(field, place)).length, 0);
}

// The records stay in the columns in which they were first seen, so that number 2 stays number 2
// when another record is kept.
function inOrder(card, ids) {
  const places = ids.map((id) => card.leads.findIndex((lead) => lead.id === id));
  if (places.length !== card.leads.length || places.includes(-1)) return card;
  const arranged = (list) => places.map((place) => list[place]);
  return { ...card, leads: arranged(card.leads), fields: card.fields.map((field) => ({ ...field, values: arranged(field.values) })) };
}

// What would happen if the plan were carried out now.
function totalsOf(cards) {
  const totals = { groups: cards.length, records: 0, dropped_values: 0, opt_outs_lost: 0, safe: 0, decide: 0, done: 0, merging: 0 };
  for (const card of cards) {
    totals[tabOf(card)] += 1;
    if (!card.merges) continue;
    totals.merging += 1;
    totals.records += card.leads.filter((lead) => lead.role === "loser").length;
    totals.dropped_values += card.dropped;
  }
  return totals;
}

function passes(card, filter) {
  const wanted = (filter.search || "").trim().toLowerCase();
  const domain = (filter.domain || "").trim().toLowerCase().replace(/^@/, "");
  const emails = card.leads.map((lead) => (lead.email || "").toLowerCase());
  return (!filter.tab || tabOf(card) === filter.tab) && (!filter.risk || card.risk === filter.risk) && (!filter.cause || card.cause === filter.cause)
    && (!domain || emails.concat(card.key.toLowerCase()).some((email) => email.endsWith(`@${domain}`)))
    && (!wanted || [card.key, ...card.leads.map(nameOf)].join("\n").toLowerCase().includes(wanted));
}
