"""simple-salesforce: jobs of JSON."""

import os

from rows import rows, same
from simple_salesforce.bulk import SFBulkHandler

url, token = os.environ["SF_ORG_INSTANCE_URL"], os.environ["SF_ACCESS_TOKEN"]
bulk = SFBulkHandler(token, f"{url}/services/async/59.0/")

sent = rows("simple")
results = bulk.Account.insert(sent, batch_size=300)
assert len(results) == len(sent) and all(r["success"] and r["created"] for r in results), results[:3]

soql = "SELECT Id, Name, Description FROM Account WHERE Name LIKE 'simple %'"
found = bulk.Account.query(soql)
same(sent, found)
assert {row["Id"] for row in found} == {r["id"] for r in results}
