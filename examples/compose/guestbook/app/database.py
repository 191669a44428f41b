"""The way to the database: libpq takes host, user and name from the environment."""

import os
from pathlib import Path

import psycopg


def connect() -> psycopg.Connection:
    password = Path(os.environ["PASSWORD_FILE"]).read_text().strip()
    return psycopg.connect(password=password, connect_timeout=5)
