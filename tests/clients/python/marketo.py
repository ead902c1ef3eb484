"""What an integration does with marketorestpython, the library unchanged, and what the library gives back for it.

    python3 marketo.py BASE_URL CLIENT_ID CLIENT_SECRET

One JSON document on standard output: `steps`, a list of [name, what came back], and `race`, the ids of the leads that several
writers of one new email were told. It expects the list 7, `Newsletter`, and the program `Webinar`, and nobody else who writes.
"""

import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from marketorestpython.client import MarketoClient

BASE_URL, CLIENT_ID, CLIENT_SECRET = sys.argv[1:4]
LIST = 7
steps = []


def connect(secret=CLIENT_SECRET):
    client = MarketoClient("123-ABC-456", CLIENT_ID, secret)
    # The library's one setting of an address: it takes an instance's id, and keeps the host that it made of it here.
    client.host = BASE_URL
    return client


def step(title, call, *args, **named):
    """Notes what a call of the library gives, or what it raises."""
    try:
        value = call(*args, **named)
    except Exception as error:  # Whatever the library raises is what its user sees.
        value = {"raised": type(error).__name__, "code": getattr(error, "code", None), "message": str(error)}
    steps.append([title, value])
    return value


def wait_for(call, done):
    """Asks for the status of a job until it is done; the jobs take a second or two here."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = call()[0]
        if status["status"] in done:
            return status
    raise TimeoutError(f"no {done} within a minute")


client = connect()
client.authenticate()
steps.append(["token", [client.token_type, client.scope]])

# Writing.
ada, bob, eve = "ada@example.com", "bob@example.com", "eve@example.com"
created = step("create three", client.create_update_leads, [
    {"email": ada, "firstName": "Ada", "lastName": "Lovelace"},
    {"email": bob, "firstName": "Bob", "company": "Société Générale"},
    {"email": eve, "unsubscribed": True, "numberOfEmployees": 12},
])
ids = [row["id"] for row in created]
step("update and create", client.create_update_leads, [
    {"email": ada.upper(), "title": "Countess"},
    {"email": "new+tag@example.com", "firstName": "O'Brien, \"Pat\""},
], action="createOrUpdate", lookupField="email")
step("update by id", client.create_update_leads, [{"id": ids[1], "phone": "+1 555 0100", "company": None}],
     action="updateOnly", lookupField="id")
step("create only", client.create_update_leads, [{"email": bob}, {"email": "fay@example.com"}], action="createOnly")
step("update only", client.create_update_leads, [{"email": bob, "city": "Bern"}, {"email": "nobody@example.com"}],
     action="updateOnly")
step("records that are refused", client.create_update_leads, [
    {"email": "fine@example.com"},
    {"email": "no address"},
    {"email": eve, "numberOfEmployees": "many"},
    {"email": eve, "colourOfEyes": "blue"},
    {"firstName": "No key"},
])
for n in range(2):
    step(f"duplicate {n}", client.create_update_leads, [{"email": "dup@example.com"}], action="createDuplicate")
step("a key of two leads", client.create_update_leads, [{"email": "dup@example.com", "title": "?"}])
step("push", client.push_lead, [{"email": ada, "city": "London"}, {"email": "gus@example.com"}], "Webinar",
     lookupField="email", source="site", reason="signed up")
step("push into no program", client.push_lead, [{"email": ada}], "Nothing")
step("form", client.submit_form, 12, {"leadFormFields": {"email": "hal@example.com", "firstName": "Hal"}})
step("form of a known one", client.submit_form, 12, {"leadFormFields": {"email": bob, "lastName": "Form"}})

# Reading.
fields = ["id", "email", "firstName", "lastName", "title", "city", "company", "phone", "unsubscribed"]
step("by id", client.get_lead_by_id, ids[0], fields=",".join(fields))
step("by filter", client.get_multiple_leads_by_filter_type, "email", [ada, bob, "none@example.com"], fields=",".join(fields))
many = [f"a-rather-long-address-to-ask-for-{n:03}@example.com" for n in range(298)] + [ada, bob]
assert len(",".join(many)) > 8 * 1024
step("by more than 8 KB of filter values", client.get_multiple_leads_by_filter_type, "email", many)
step("in pages of two", client.get_multiple_leads_by_filter_type, "id", [str(n) for n in range(ids[0], ids[0] + 10)],
     fields="email", batchSize=2)
step("fields", lambda: [field["rest"]["name"] for field in client.describe()])
step("searchable fields", lambda: client.describe2()[0]["searchableFields"])
step("partitions", client.get_lead_partitions)

# Lists and programs.
step("lists", client.get_multiple_lists, name=["Newsletter"])
step("add to list", client.add_leads_to_list, LIST, [ids[0], ids[1], 99999])
step("member of list", client.member_of_list, LIST, ids)
step("on the list", client.get_multiple_leads_by_list_id, LIST, fields="email", batchSize=1)
step("remove from list", client.remove_leads_from_list, LIST, [ids[1], ids[2]])
step("status in a program", client.change_lead_program_status, 40, [ids[2]], "Attended")

# The log.
since = "2020-01-01T00:00:00Z"
time.sleep(0.3)  # An activity can be read some seconds of Marketo's after what it tells of: a tenth of a second here.
step("new leads", client.get_lead_activities, ["12"], sinceDatetime=since)
step("changes", client.get_lead_changes, ["title", "city"], sinceDatetime=since)

# Merging and deleting.
dup = client.get_multiple_leads_by_filter_type("email", ["dup@example.com"])
step("merge", client.merge_lead, dup[0]["id"], [dup[1]["id"]])
step("what is left of a merge", client.get_multiple_leads_by_filter_type, "email", ["dup@example.com"])
step("merge of nobody", client.merge_lead, dup[0]["id"], [99999])
step("delete", client.delete_lead, [dup[0]["id"], 99999])
step("deleted", lambda: [row["leadId"] for row in client.get_deleted_leads(sinceDatetime=since)])

# Files in and out.
with tempfile.TemporaryDirectory() as folder:
    file = os.path.join(folder, "people.csv")
    with open(file, "w", encoding="utf-8") as out:
        out.write(f"email,firstName,company\n{ada},Augusta,\"Engines, Ltd.\"\nivy@example.com,Ivy,Zoë & Co\nbad address,Nobody,\n")
    batch = step("import", client.import_lead, "csv", file, listId=LIST)[0]["batchId"]
step("import's end", wait_for, lambda: client.get_import_lead_status(batch), ["Complete", "Failed"])
step("import's failures", client.get_import_failure_file, batch)
step("import of no batch", client.get_import_lead_status, 1)
job = step("export", client.create_leads_export_job, ["id", "email", "firstName", "company"],
           {"createdAt": {"startAt": time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 86400)),
                          "endAt": time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() + 86400))}})[0]["exportId"]
step("export enqueued", client.enqueue_leads_export_job, job)
step("export's end", wait_for, lambda: client.get_leads_export_job_status(job), ["Completed", "Failed"])
step("export's file", lambda: client.get_leads_export_job_file(job).decode())
step("exports", client.get_leads_export_jobs_list)

# What is refused whole.
step("no such look-up field", client.create_update_leads, [{"email": ada}], lookupField="shoeSize")
step("no such action", client.create_update_leads, [{"email": ada}], action="createOrElse")
step("nothing to write", client.create_update_leads, [])
step("no such list", client.add_leads_to_list, 404, [ids[0]])
step("no such filter", client.get_multiple_leads_by_filter_type, "shoeSize", ["44"])
step("wrong secret", connect("wrong").authenticate)
stranger = connect()
stranger.authenticate()
stranger.token = "not-a-token"
step("wrong token, reading", stranger.get_lead_by_id, ids[0])
step("wrong token, writing", stranger.create_update_leads, [{"email": ada}])

# Several writers of one new email at once.
writers = [connect() for _ in range(4)]
for writer in writers:
    writer.authenticate()
with ThreadPoolExecutor(len(writers)) as pool:
    race = pool.map(lambda writer: writer.create_update_leads([{"email": "race@example.com"}])[0]["id"], writers)
    json.dump({"steps": steps, "race": list(race)}, sys.stdout)
