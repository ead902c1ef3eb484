// What an integration does with a client library of Node's, unchanged, and what the library gives back for it.
//
//     node marketo.js LIBRARY BASE_URL CLIENT_ID CLIENT_SECRET
//
// LIBRARY is the name of the package: node-marketo-rest, or the fork of it that has its own HTTP layer. One JSON document on
// standard output: `steps`, a list of [name, what came back], and `race`, the ids of the leads that several writers of one new
// email were told. It expects the list 7, `Newsletter`, and the program `Webinar`, and nobody else who writes.
"use strict";

const [library, baseUrl, clientId, clientSecret] = process.argv.slice(2);
const Marketo = require(library);
const LIST = 7;
const steps = [];

function connect(secret = clientSecret) {
  const endpoint = `${baseUrl}/rest`;
  const identity = `${baseUrl}/identity`;
  return new Marketo({ endpoint, identity, clientId, clientSecret: secret, retry: { maxRetries: 1, initialDelay: 10 } });
}

/** Notes what a call of the library gives, or what it rejects with. */
async function step(name, call) {
  let value;
  try {
    value = await call();
  } catch (error) {
    const { name: raised, code, message, errors } = error;
    value = { raised, code, message, errors };
  }
  steps.push([name, value]);
  return value;
}

/** Asks for the status of a job until it is done; the jobs take a second or two here. */
async function waitFor(call, done) {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    const answer = await call();
    if (done.includes(answer.result[0].status)) return answer;
  }
  throw new Error(`no ${done} within a minute`);
}

async function main() {
  const client = connect();
  await step("token", async () => {
    const { token_type, scope } = await client.getOAuthToken();
    return [token_type, scope];
  });

  // Writing.
  const [ada, bob, eve] = ["ada@example.com", "bob@example.com", "eve@example.com"];
  const created = await step("create three", () =>
    client.lead.createOrUpdate([
      { email: ada, firstName: "Ada", lastName: "Lovelace" },
      { email: bob, firstName: "Bob", company: "Société Générale" },
      { email: eve, unsubscribed: true, numberOfEmployees: 12 },
    ]));
  const ids = created.result.map((row) => row.id);
  await step("update and create", () =>
    client.lead.createOrUpdate(
      [{ email: ada.toUpperCase(), title: "Countess" }, { email: "new+tag@example.com", firstName: "O'Brien, \"Pat\"" }],
      { lookupField: "email", action: "createOrUpdate" }));
  await step("update by id", () =>
    client.lead.createOrUpdate([{ id: ids[1], phone: "+1 555 0100", company: null }],
      { lookupField: "id", action: "updateOnly" }));
  await step("create only", () =>
    client.lead.createOrUpdate([{ email: bob }, { email: "fay@example.com" }], { action: "createOnly" }));
  await step("update only", () =>
    client.lead.createOrUpdate([{ email: bob, city: "Bern" }, { email: "nobody@example.com" }], { action: "updateOnly" }));
  await step("records that are refused", () =>
    client.lead.createOrUpdate([
      { email: "fine@example.com" },
      { email: "no address" },
      { email: eve, numberOfEmployees: "many" },
      { email: eve, colourOfEyes: "blue" },
      { firstName: "No key" },
    ]));
  for (const n of [0, 1]) {
    await step(`duplicate ${n}`, () =>
      client.lead.createOrUpdate([{ email: "dup@example.com" }], { action: "createDuplicate" }));
  }
  await step("a key of two leads", () => client.lead.createOrUpdate([{ email: "dup@example.com", title: "?" }]));
  await step("push", () =>
    client.lead.push([{ email: ada, city: "London" }, { email: "gus@example.com" }],
      { programName: "Webinar", lookupField: "email", source: "site", reason: "signed up" }));
  await step("push into no program", () => client.lead.push([{ email: ada }], { programName: "Nothing" }));

  // Reading.
  const fields = ["id", "email", "firstName", "lastName", "title", "city", "company", "phone", "unsubscribed"];
  await step("by id", () => client.lead.byId(ids[0], { fields }));
  await step("by filter", () => client.lead.find("email", [ada, bob, "new+tag@example.com"], { fields }));
  const many = Array.from({ length: 300 }, (_, n) => `a-rather-long-address-to-ask-for-${n}@example.com`);
  await step("by more than 8 KB of filter values, in the URL", () => client.lead.find("email", many));
  await step("in pages of two", async () => {
    const pages = [];
    const wanted = Array.from({ length: 10 }, (_, n) => ids[0] + n);
    let page = await client.lead.find("id", wanted, { fields: ["email"], batchSize: 2 });
    for (;;) {
      pages.push(page.result);
      if (!page.nextPage) return pages;
      page = await page.nextPage();
    }
  });
  await step("fields", async () => (await client.lead.describe()).result.map((field) => field.rest.name));
  await step("partitions", () => client.lead.partitions());

  // Lists.
  await step("lists, by a form that says GET", () => client.list.find({ name: ["Newsletter", "Nothing"] }));
  await step("add to list", () => client.list.addLeadsToList(LIST, [ids[0], ids[1], 99999]));
  await step("add emails to list", () => client.list.addEmailsToList([eve, "kim@example.com"], LIST));
  await step("member of list", () => client.list.isMember(LIST, [ids[0]]));
  await step("on the list, by a form that says GET", () => client.list.getLeads(LIST));
  await step("remove from list", () => client.list.removeLeadsFromList(LIST, [ids[1]]));

  // The log. An activity can be read some seconds of Marketo's after what it tells of: a tenth of a second here.
  await new Promise((resolve) => setTimeout(resolve, 300));
  await step("activity types", () => client.activities.getActivityTypes());
  const { nextPageToken } = await client.lead.getPageToken("2020-01-01T00:00:00Z");
  await step("new leads", () => client.lead.getActivities(ids, [12], nextPageToken));
  await step("changes", () => client.lead.getChanges(nextPageToken, { fields: ["title", "city"] }));

  // Merging.
  const dup = await client.lead.find("email", ["dup@example.com"]);
  const [winner, loser] = dup.result.map((lead) => lead.id);
  await step("merge", () => client.lead.mergeLead(winner, [loser], { mergeInCRM: false }));
  await step("what is left of a merge", () => client.lead.find("email", ["dup@example.com"]));
  await step("merge of nobody", () => client.lead.mergeLead(winner, [99999], {}));

  // A file out. The library asks for /rest/../bulk/v1, and sends a body with its GETs.
  const day = (offset) => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10) + "T00:00:00Z";
  const filter = { createdAt: { startAt: day(-1), endAt: day(1) } };
  const job = await step("export", () => client.bulkLeadExtract.create(["id", "email", "firstName", "company"], filter));
  const { exportId } = job.result[0];
  await step("export enqueued", () => client.bulkLeadExtract.enqueue(exportId));
  await step("export's end", () => waitFor(() => client.bulkLeadExtract.status(exportId), ["Completed", "Failed"]));
  await step("export's file", () => client.bulkLeadExtract.file(exportId));
  const second = await client.bulkLeadExtract.create(["id"], filter);
  await step("export cancelled", () => client.bulkLeadExtract.cancel(second.result[0].exportId));

  // What is refused whole.
  await step("no such look-up field", () => client.lead.createOrUpdate([{ email: ada }], { lookupField: "shoeSize" }));
  await step("no such action", () => client.lead.createOrUpdate([{ email: ada }], { action: "createOrElse" }));
  await step("nothing to write", () => client.lead.createOrUpdate([]));
  await step("no such list", () => client.list.addLeadsToList(404, [ids[0]]));
  await step("no such filter", () => client.lead.find("shoeSize", ["44"]));
  await step("wrong secret", () => connect("wrong").lead.byId(ids[0]));

  // Several writers of one new email at once.
  const writers = Array.from({ length: 4 }, () => connect());
  await Promise.all(writers.map((writer) => writer.getOAuthToken()));
  const raced = await Promise.all(writers.map((writer) => writer.lead.createOrUpdate([{ email: "race@example.com" }])));
  process.stdout.write(JSON.stringify({ steps, race: raced.map((answer) => answer.result[0].id) }));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
