// The keyboard: a letter a decision, for whoever has hundreds of groups before them.

function keyboard(page) {
  const keys = {
    m: () => page.choose("merge"), s: () => page.choose("skip"), h: () => page.choose("hold"), x: () => page.choose("not_same"),
    j: () => page.step(1), k: () => page.step(-1), u: () => page.run(page.undo), "?": () => byId("help").showModal(),
  };
  const isTyping = (target) => target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName) || (target.tagName === "INPUT" && target.type !== "checkbox");

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !byId("single-keys").checked) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]") || byId("review").hidden) return;
    const act = /^[1-9]$/.test(event.key) ? () => page.keepNumber(Number(event.key)) : keys[event.key.length === 1 ? event.key.toLowerCase() : ""];
    if (!act) return;
    event.preventDefault();
    act();
  });

  // Arrows move between tabs, as screen readers say that they do.
  byId("tabs").addEventListener("keydown", (event) => {
    const tabs = [...byId("tabs").children], from = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: from + 1, ArrowLeft: from - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (from < 0 || to === undefined) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    tab.focus();
    tab.click();
  });
}
