"""Brings the tables up to date: does the steps that this database has not seen, in order."""

from database import connect

STEPS = [
    "CREATE TABLE entry (id serial PRIMARY KEY, text text NOT NULL)",
    "ALTER TABLE entry ADD COLUMN written timestamptz NOT NULL DEFAULT now()",
]

with connect() as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS step (number int PRIMARY KEY)")
    (done,) = connection.execute("SELECT count(*) FROM step").fetchone()
    for number, step in enumerate(STEPS[done:], done + 1):
        connection.execute(step)
        connection.execute("INSERT INTO step VALUES (%s)", [number])
    print(f"{len(STEPS) - done} steps done, {done} were done before")
