// The plan behind `mkto-audit review`: asked a page at a time, and told each decision at once.

class Refused extends Error {}

function liveSource() {
  const HELD = "mkto-audit-session";
  let session = sessionStorage.getItem(HELD);
  // By group, the number of the last decision that this page made: undo takes back that one alone.
  const mine = new Map();

  async function call(method, path, body, headers) {
    let answer;
    try {
      answer = await fetch(path, {
        method, cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
        headers: { ...headers, ...(session && { "x-mkto-session": session }), ...(body && { "content-type": "application/json" }) },
        body: body && JSON.stringify(body),
      });
    } catch {
      throw new Error("mkto-audit does not answer: it was stopped, or ended after a long time without use. What you decided is kept. Start `mkto-audit review` again to go on.");
    }
    const told = await answer.json().catch(() => ({}));
    if (answer.status === 403) throw new Refused(told.error || "This page may not be used from here.");
    if (!answer.ok) throw Object.assign(new Error(told.error || `mkto-audit answered ${answer.status}.`), { cards: told.cards || [] });
    return told;
  }

  const get = (path, query) => {
    const told = Object.entries(query || {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
    return call("GET", told.length ? `${path}?${new URLSearchParams(told)}` : path);
  };

  const self = {
    isLive: true,
    by: "",
    unsaved: () => 0,
    // The word in the address is good once. It is exchanged for one that this tab alone has, and
    // taken out of the address.
    enter: async () => {
      const token = location.hash.slice(1);
      if (token) {
        history.replaceState(null, "", location.pathname);
        session = null;
        const told = await call("POST", "/api/session", undefined, { "x-mkto-token": token });
        session = told.session;
        sessionStorage.setItem(HELD, session);
      }
      if (!session) throw new Refused("Open the link that `mkto-audit review` printed in the terminal. It works once, in one browser.");
    },
    head: async () => {
      const told = await get("/api/plan");
      self.by = told.by;
      return told.head;
    },
    cards: (filter, after, count) => get("/api/cards", { ...filter, after, count }),
    blocked: async (after, count) => (await get("/api/blocked", { after, count })).blocked,
    // With each goes which decision was seen, so that a newer one of somebody else is not overwritten.
    decide: async (entries) => {
      const group = entries.map(({ key, decisions, seen }) => ({ key, seen: seen ?? mine.get(key) ?? 0, ...tidy(decisions) }));
      const told = await call("POST", "/api/decide", { group });
      for (const [key, number] of Object.entries(told.numbers)) mine.set(key, number);
      return told;
    },
    // A part at a time, so that each call is short and the progress can be told.
    decideSafe: async (filter, tell) => {
      const before = [];
      for (;;) {
        const asked = Object.entries(filter).filter(([name, value]) => name !== "tab" && value);
        const told = await call("POST", "/api/decide-safe", Object.fromEntries(asked));
        for (const { key, seen } of told.before) mine.set(key, seen);
        before.push(...told.before.map(({ key, decisions }) => ({ key, decisions })));
        if (!told.before.length || !told.left) return before;
        tell(before.length);
      }
    },
    approve: (digest, note) => call("POST", "/api/approve", { digest, note: note || null }),
  };
  return self;
}
