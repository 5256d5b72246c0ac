"""The rows that the Python clients load."""


def rows(client):
    return [
        {
            "Name": f'{client} {n:04} "quoted", 100% \U0001f600 ü',
            "Description": f'line 1 of {n}\nline "2", with \U0001f30d',
        }
        for n in range(1000)
    ]


def same(sent, found):
    """Compares value for value; the order does not matter."""
    key = lambda row: row["Name"]
    sent = sorted(sent, key=key)
    found = sorted(({name: row[name] for name in sent[0]} for row in found), key=key)
    assert len(found) == len(sent), f"{len(found)} rows came back"
    for one, other in zip(sent, found):
        assert one == other, f"sent {one}, found {other}"
