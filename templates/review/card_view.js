// A group as a card: its heading, and below it, when it is open, all that a decision needs.

// `act` holds what a click asks for: keep, leaveOut, value, typed, choose, note, toggle.
function cardView(card, { isOpen, isActive, act }) {
  const id = `card-${card.place}`;
  const article = el("article", { id, class: `card risk-${card.risk}${isActive ? " active" : ""}${isOpen ? " open" : ""}`, "aria-labelledby": `${id}-title`, "data-place": card.place, "data-key": card.stored_key });
  article.append(heading(card, id, isOpen, act));
  if (isOpen) article.append(body(card, id, act));
  return article;
}

function heading(card, id, isOpen, act) {
  const names = [...new Set(card.leads.map(nameOf).filter(Boolean))];
  const isCertain = isDone(card);
  const choice = card.decisions.decision && CHOICES[card.decisions.decision];
  const outcome = isPast(card) ? (card.past.outcome === "unknown" ? "Not known yet" : "Merged") : card.refused ? "Cannot be done as chosen" : choice ? choice.done : isCertain ? "Changed by you" : null;
  return el("h2", {},
    el("button", { type: "button", id: `${id}-title`, class: "title", "data-focus": "title", "aria-expanded": String(isOpen), "aria-controls": `${id}-body`, onclick: () => act.toggle() },
      el("span", { class: "who" }, el("span", { class: "key" }, isolated(card.key)), names.length > 0 && el("span", { class: "names" }, isolated(names.slice(0, 3).join(" / ")))),
      el("span", { class: "chips" },
        outcome && el("span", { class: `chip outcome ${card.refused ? "refused" : card.decisions.decision || "merge"}` }, outcome),
        el("span", { class: `chip risk ${card.risk}`, title: RISKS[card.risk].hint }, RISKS[card.risk].word),
        el("span", { class: "chip plain" }, counted(card.leads.length, "record")))));
}

function body(card, id, act) {
  const dropped = card.dropped ? `${counted(card.dropped, "value")} will be dropped.` : "No value will be dropped.";
  // What the red band says is not said again.
  const warnings = card.warnings.filter((warning) => warning !== card.objection);
  const equal = card.equal ? `${counted(card.equal, "field is", "fields are")} equal or blank on the others, and not shown.` : "";
  return el("div", { id: `${id}-body`, class: "body" },
    el("p", { class: "cause" }, el("strong", {}, "How it came about: "), sentence(card.cause_in_words)),
    card.past && el("p", { class: "band past", role: "note" }, el("strong", {}, isPast(card) ? "Nobody can decide about it any more. " : "In the last run. "), sentence(card.past.words)),
    card.refused && el("p", { class: "band refused", role: "note" }, el("strong", {}, "This cannot be carried out. "), sentence(card.refused)),
    card.said_before && el("p", { class: "band said", role: "note" }, el("strong", {}, "Decided in an earlier plan. "), `${sentence(card.said_before)}. You can decide otherwise here.`),
    card.objection && el("p", { class: "band objection", role: "note" }, el("strong", {}, "Look closely. "), sentence(card.objection)),
    card.consent && el("p", { class: "band consent", role: "note" }, el("strong", {}, "Consent. "), sentence(card.consent)),
    warnings.length > 0 && el("ul", { class: "warnings" }, warnings.map((warning) => el("li", {}, sentence(warning)))),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Records of ${card.key}` }, table(card, act)),
    el("p", { class: "small" }, `${card.why ? `${card.why} ` : ""}${dropped} ${equal}`.trim(), card.isRecalculated && el("span", {}, " Values marked ≈ are worked out anew when the decisions are imported.")),
    el("p", { class: "notes" }, el("label", {}, "Note, for whoever asks later ", el("input", { type: "text", value: card.decisions.note || "", maxlength: 500, "data-focus": "note", onchange: (event) => act.note(event.target.value) }))),
    actions(card, act));
}

function actions(card, act) {
  if (isPast(card)) return "";
  const chosen = card.decisions.decision;
  const button = ([name, choice]) => el("button", {
    type: "button", class: `choice ${name}`, "aria-pressed": String(chosen === name), "aria-keyshortcuts": choice.key,
    title: choice.hint, "data-focus": `choice:${name}`, onclick: () => act.choose(name),
  }, choice.word, " ", el("kbd", { "aria-hidden": "true" }, choice.key));
  return el("div", { class: "actions", role: "group", "aria-label": `Decide about ${card.key}` },
    Object.entries(CHOICES).map(button),
    !isEmpty(card.decisions) && el("button", { type: "button", class: "quiet", "data-focus": "clear", onclick: () => act.clear() }, "As planned"));
}

// The roles are spelt out, since a narrow window lays the cells out as blocks, which takes the
// table away from a screen reader otherwise.
function table(card, act) {
  return el("table", { role: "table" },
    el("caption", { class: "unseen" }, `The fields of ${card.key} that differ`),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
      el("th", { role: "columnheader", scope: "col", class: "field" }, "Field"),
      card.leads.map((lead, place) => recordHead(lead, place, act)),
      el("th", { role: "columnheader", scope: "col", class: "after" }, "After the merge"))),
    el("tbody", { role: "rowgroup" }, card.fields.map((field) => fieldRow(card, field, act))));
}

function recordHead(lead, place, act) {
  const isKept = lead.role === "winner";
  const isSafeLink = /^https:\/\//.test(lead.link || "");
  const label = `Record ${place + 1}`;
  return el("th", { role: "columnheader", scope: "col", class: `record ${lead.role}` },
    el("button", {
      type: "button", class: "keep", "aria-pressed": String(isKept), "data-focus": `keep:${lead.id}`, "aria-label": `Keep record ${place + 1}, id ${lead.id}`,
      title: isKept ? "This record stays" : "Keep this record", onclick: () => act.keep(lead.id),
    }, el("span", { class: "place" }, el("span", { class: "ordinal" }, label), el("span", { class: `role ${lead.role}` }, ROLES[lead.role]))),
    el("span", { class: "about" },
      isSafeLink ? el("a", { href: lead.link, target: "_blank", rel: "noopener noreferrer", "aria-label": `Record ${lead.id} in Marketo` }, `id ${lead.id}`) : `id ${lead.id}`,
      lead.created_at && `, since ${day(lead.created_at)}`),
    el("label", { class: "out" }, el("input", { type: "checkbox", checked: lead.role === "left_out", "data-focus": `out:${lead.id}`, onchange: (event) => act.leaveOut(lead.id, event.target.checked) }), " leave out"));
}

function fieldRow(card, field, act) {
  const drops = field.values.some((value, place) => card.leads[place].role !== "left_out" && !isBlank(value) && !same(value, field.after));
  return el("tr", { role: "row", class: field.conflict || drops ? "conflict" : "" },
    el("th", { role: "rowheader", scope: "row", class: "field" }, isolated(field.label || field.name)),
    card.leads.map((lead, place) => valueCell(card, field, lead, place, act)),
    afterCell(card, field, act));
}

function valueCell(card, field, lead, place, act) {
  const value = field.values[place] ?? null;
  const chosen = (card.decisions.values || {})[field.name];
  const isChosen = chosen !== undefined && chosen.from === lead.id;
  const takesPart = lead.role !== "left_out";
  const isKept = takesPart && !field.isUnknown && !isBlank(value) && same(value, field.after);
  const isDropped = takesPart && !field.isUnknown && !isBlank(value) && !isKept;
  const state = !takesPart ? "out" : isKept ? "kept" : isDropped ? "dropped" : "";
  const spoken = `Record ${place + 1}, ${field.label || field.name}: ${shown(value)}${isChosen ? ", chosen" : isKept ? ", is kept" : isDropped ? ", is dropped" : ""}`;
  const content = [el("span", { class: isBlank(value) ? "blank" : "value" }, isolated(shown(value)))];
  const attributes = { role: "cell", class: `value ${state}${isChosen ? " chosen" : ""}`, "data-label": `Record ${place + 1}` };
  if (!field.may_choose || !takesPart) return el("td", attributes, el("span", { class: "fixed" }, content));
  return el("td", attributes, el("button", {
    type: "button", class: "pick", "aria-pressed": String(isChosen), "aria-label": spoken, "data-focus": `value:${field.name}:${lead.id}`,
    title: isChosen ? "Chosen; click again to take it back" : "Take this value", onclick: () => act.value(field.name, { from: lead.id }),
  }, content));
}

function afterCell(card, field, act) {
  const cell = el("td", { role: "cell", class: "after", "data-label": "After" });
  const chosen = (card.decisions.values || {})[field.name];
  const isTyped = chosen !== undefined && "typed" in chosen;
  const value = field.isUnknown ? el("em", {}, "worked out on import") : el("span", { class: isBlank(field.after) ? "blank" : "value" }, field.isRecalculated && el("span", { title: "Worked out anew on import" }, "≈ "), isolated(shown(field.after)));
  const type = field.may_choose && el("button", {
    type: "button", class: "type", "aria-label": `Type another value for ${field.label || field.name}`, title: "Type another value", "data-focus": `type:${field.name}`,
    onclick: () => { cell.replaceChildren(typing(field, isTyped ? chosen.typed : field.after, act, cell)); cell.querySelector("input, select").focus(); },
  }, "Type…");
  cell.append(value,
    el("span", { class: "rule" }, isTyped ? "typed by you" : reason(card, field)), type || "");
  return cell;
}

// Where the record that stays has no value, one of the others fills it.
function reason(card, field) {
  const kept = field.values[card.leads.findIndex((lead) => lead.role === "winner")];
  return field.rule === "winner" && isBlank(kept) && !isBlank(field.after) ? "fills a blank" : ruleInWords(field.rule);
}

function typing(field, value, act, cell) {
  const label = `A value for ${field.label || field.name}; empty for none`;
  const isYesNo = (field.data_type || "").toLowerCase() === "boolean";
  const text = isBlank(value) ? "" : shown(value);
  const input = isYesNo
    ? el("select", { "aria-label": label }, ["", "yes", "no"].map((word) => el("option", { value: word, selected: word === text }, word || "blank")))
    : el("input", { type: "text", value: text, "aria-label": label, maxlength: 2000 });
  const typed = () => act.typed(field.name, typedValue(input.value, field.data_type));
  const form = el("form", { class: "typing", onsubmit: (event) => { event.preventDefault(); typed(); } },
    input, el("button", { type: "submit" }, "Take"), el("button", { type: "button", class: "quiet", onclick: () => act.redraw() }, "Cancel"));
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.stopPropagation(); act.redraw(); cell.closest("article")?.querySelector(".title")?.focus(); } });
  return form;
}

function blockedView(blocked) {
  return el("article", { class: "card blocked" },
    el("h2", {}, el("span", { class: "title" }, el("span", { class: "who" }, el("span", { class: "key" }, isolated(blocked.key))), el("span", { class: "chips" }, el("span", { class: "chip plain" }, counted(blocked.leads.length, "record"))))),
    el("p", { class: "reason" }, blocked.reason), el("p", { class: "small" }, `Ids ${blocked.leads.join(", ")}`));
}
