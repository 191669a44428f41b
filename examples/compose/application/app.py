"""A small web application: it greets whom it is told to."""

import os

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def greet() -> str:
    name = request.args.get("name", os.environ.get("NAME", "world"))
    return f"Hello, {name}!\n"


@app.get("/health")
def health() -> str:
    return "ok\n"
