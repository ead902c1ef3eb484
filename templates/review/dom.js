// The document: elements are made of texts, never of markup, so that no value is more than a text.

function el(kind, attributes, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const byId = (id) => document.getElementById(id);
const isolated = (text) => el("bdi", {}, text);

// Puts a new element in the place of an old one; the focus stays on what it was on.
function replaceKeepingFocus(old, made) {
  const focused = old.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  old.replaceWith(made);
  if (focused) made.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

// Said by a screen reader.
function say(text) {
  byId("status").textContent = text;
  byId("status").classList.remove("fresh");
}

// Said by a screen reader, and shown for a moment.
function tell(text) {
  const status = byId("status");
  say(text);
  status.classList.add("fresh");
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => status.classList.remove("fresh"), 4_000);
}

function warn(text) {
  const alert = byId("alert");
  alert.hidden = !text;
  alert.textContent = text || "";
}
