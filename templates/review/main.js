// Starts the page: with the plan in this file, or with the program that serves it.

(() => {
  const embedded = byId("plan-data");
  const source = embedded ? fileSource(JSON.parse(embedded.textContent)) : liveSource();
  const page = app(source);
  keyboard(page);
  signOff(source, page);

  for (const tab of Object.keys(TABS)) byId(`tab-${tab}`).addEventListener("click", () => page.show(tab));
  byId("all-safe").addEventListener("click", () => page.approveAllSafe());
  byId("undo").addEventListener("click", () => page.run(page.undo));
  byId("page-back").addEventListener("click", () => page.turn(-1));
  byId("page-on").addEventListener("click", () => page.turn(1));
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("help-close").addEventListener("click", () => byId("help").close());

  const filter = () => ({ search: byId("search").value, risk: byId("risk").value, cause: byId("cause").value, domain: byId("domain").value, undecided: byId("undecided").checked });
  const filtered = () => page.show(page.state.tab, filter());
  let typing;
  const soon = () => { clearTimeout(typing); typing = setTimeout(filtered, 200); };
  for (const id of ["search", "domain"]) byId(id).addEventListener("input", soon);
  for (const id of ["risk", "cause", "undecided"]) byId(id).addEventListener("change", filtered);
  byId("filters").addEventListener("submit", (event) => { event.preventDefault(); filtered(); });
  byId("filters").addEventListener("reset", () => setTimeout(filtered));

  addEventListener("beforeprint", page.openAll);
  addEventListener("afterprint", page.closeAll);
  addEventListener("beforeunload", (event) => { if (source.unsaved()) event.preventDefault(); });

  const load = byId("load");
  load?.addEventListener("change", () => page.run(async () => {
    const [file] = load.files;
    load.value = "";
    const before = source.load(await file.text());
    page.remember(before, `decisions of ${file.name}`);
    await page.refreshHead();
    await page.load({ open: false });
    tell(`${counted(before.length, "group")} decided as in ${file.name}.`);
  }));

  page.run(async () => {
    if (source.isLive) await source.enter();
    await page.refreshHead();
    const { head } = page.state;
    byId("about-plan").textContent = [head.instance, `plan ${head.name || head.plan}`, head.made_at && `made ${day(head.made_at)}`].filter(Boolean).join(", ") + ".";
    document.title = `Decide: ${head.name || head.plan}`;
    if (source.isLive) byId("deciding-as").textContent = source.by ? `You decide as ${source.by}.` : "";
    byId("review").hidden = false;
    byId("starting").hidden = true;
    page.show(head.safe || !head.decide ? "safe" : "decide");
  });
})();
