// The last step: what will happen, a name, a note; then the plan is approved, or the decisions are
// saved as a file.

function signOff(source, page) {
  const dialog = byId("sign-off"), name = byId("sign-name"), note = byId("sign-note"), alert = byId("sign-alert");
  let shownDigest = null;

  function consequences(head) {
    const dropped = counted(head.dropped_values, "value"), lost = counted(head.opt_outs_lost, "opt-out");
    return `${counted(head.records, "record")} will disappear, ${dropped} will be dropped, ${lost} will be lost.`;
  }

  async function open() {
    await page.refreshHead();
    const head = page.state.head;
    shownDigest = head.digest;
    // On the live page one name stands under the decisions and the approval.
    if (source.isLive || !name.value) name.value = source.by;
    name.readOnly = source.isLive && Boolean(source.by);
    byId("sign-sum").textContent = consequences(head);
    const told = [
      head.done && `${counted(head.done, "group is", "groups are")} decided.`,
      head.safe && `${counted(head.safe, "safe group")} that nobody decided will be merged as shown under “Safe”.`,
      head.decide && `${counted(head.decide, "group")} under “Decide” will be left alone: nobody decided, or the decision cannot be carried out.`,
      head.blocked && `${counted(head.blocked, "blocked group")} will be left alone.`,
    ];
    byId("sign-list").replaceChildren(...told.filter(Boolean).map((text) => el("li", {}, text)));
    alert.hidden = true;
    dialog.showModal();
    (name.value ? note : name).focus();
  }

  function refuse(words) {
    alert.hidden = false;
    alert.textContent = words;
    name.setAttribute("aria-invalid", String(!name.value.trim()));
  }

  async function sign(approve) {
    const by = name.value.trim();
    if (!by) { refuse("Write your name first: it stands under the decisions."); name.focus(); return; }
    try {
      if (source.isLive) await source.approve(shownDigest, note.value.trim());
      else {
        const file = source.save(by, note.value.trim(), approve);
        byId("saved").textContent = `Saved as ${file}. Hand it to whoever runs mkto-audit: “mkto-audit plan import ${file}”.`;
        byId("saved").hidden = false;
      }
    } catch (error) { refuse(error.message); return; }
    dialog.close();
    await page.refreshHead();
    tell(source.isLive ? `Approved by ${by}. The plan can be carried out now.` : byId("saved").textContent);
  }

  byId("sign").addEventListener("click", () => page.run(open));
  byId("sign-form").addEventListener("submit", (event) => { event.preventDefault(); page.run(() => sign(true)); });
  byId("sign-cancel").addEventListener("click", () => dialog.close());
  byId("sign-save")?.addEventListener("click", () => page.run(() => sign(false)));
}
