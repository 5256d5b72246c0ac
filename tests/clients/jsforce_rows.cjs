// jsforce: CSV, in streams of its own.
const assert = require("node:assert");
const jsforce = require("jsforce");

async function main() {
  const { SF_ORG_INSTANCE_URL: instanceUrl, SF_ACCESS_TOKEN: accessToken } = process.env;
  const connection = new jsforce.Connection({ instanceUrl, accessToken, version: "59.0" });
  connection.bulk.pollInterval = 100;

  const sent = Array.from({ length: 1000 }, (_, n) => ({
    Name: `jsforce ${String(n).padStart(4, "0")} "quoted", 100% \u{1f600} ü`,
    Description: `line 1 of ${n}\nline "2", with \u{1f30d}`,
  }));
  const results = await connection.bulk.load("Account", "insert", sent);
  assert.equal(results.length, sent.length);
  assert.ok(results.every((result) => result.success), JSON.stringify(results[0]));

  const soql = "SELECT Id, Name, Description FROM Account WHERE Name LIKE 'jsforce %'";
  const stream = await connection.bulk.query(soql);
  const found = await stream.toArray();
  const byName = (a, b) => (a.Name < b.Name ? -1 : 1);
  found.sort(byName);
  assert.deepEqual(
    found.map(({ Name, Description }) => ({ Name, Description })),
    sent.sort(byName),
  );
  const ids = (rows, name) => new Set(rows.map((row) => row[name]));
  assert.deepEqual(ids(found, "Id"), ids(results, "id"));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
