"""salesforce-bulk: jobs of CSV, with XML about them."""

import os

import unicodecsv
from rows import rows, same
from salesforce_bulk import CsvDictsAdapter, SalesforceBulk

bulk = SalesforceBulk(
    sessionId=os.environ["SF_ACCESS_TOKEN"],
    host=os.environ["SF_ORG_INSTANCE_URL"],
    API_version="59.0",
)

sent = rows("heroku")
job = bulk.create_insert_job("Account", contentType="CSV")
batch = bulk.post_batch(job, CsvDictsAdapter(iter(sent)))
bulk.wait_for_batch(job, batch, sleep_interval=0.1)
bulk.close_job(job)
results = bulk.get_batch_results(batch)
assert len(results) == len(sent) and all(r.success == "true" for r in results), results[:3]

job = bulk.create_query_job("Account", contentType="CSV")
batch = bulk.query(job, "SELECT Id, Name, Description FROM Account WHERE Name LIKE 'heroku %'")
bulk.wait_for_batch(job, batch, sleep_interval=0.1)
bulk.close_job(job)
found = []
for result in bulk.get_all_results_for_query_batch(batch):
    found += unicodecsv.DictReader(result, encoding="utf-8")
same(sent, found)
assert {row["Id"] for row in found} == {r.id for r in results}
