"""`login` and `logout`: who the user is at a registry, kept as Docker keeps it."""

from __future__ import annotations

import argparse
import sys

from orchestrator.cli.command import Command
from orchestrator.cli.image.registry import logins
from orchestrator.cli.session import Session
from orchestrator.errors import Denied, InvalidInput
from orchestrator.wire.credentials import HUB, Credentials, host_of, key_of


def _login_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-u", "--username", default="", metavar="NAME", help="who you are there")
    add("-p", "--password", default="", metavar="TEXT", help="seen by others; better from stdin")
    add("--password-stdin", action="store_true", help="read the password from stdin")
    add("server", nargs="?", default="", metavar="SERVER", help="the registry; Docker Hub if none")


def _logout_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("server", nargs="?", default="", metavar="SERVER", help="the registry; Docker Hub if none")


def _login(session: Session, args: argparse.Namespace) -> int:
    host = host_of(args.server)
    kept = logins(session)
    username, password = args.username, _password(session, args)
    if not (username or password) and (known := kept.find(host)):
        session.note("Authenticating with existing credentials...")
        try:
            _check(session, host, known)
        except Denied as problem:
            session.note(f"Login did not succeed: {problem.message}")
            username = known.username
        else:
            session.say("Login Succeeded")
            return 0
    given = _asked(session, host, username, password)
    token = _check(session, host, given)
    if kept.save(host, Credentials(given.username, given.password, identity_token=token)):
        session.note(
            f"WARNING: the password is kept unencrypted in {kept.path}; a credential helper"
            " (credsStore in that file) would encrypt it."
        )
    session.say("Login Succeeded")
    return 0


def _password(session: Session, args: argparse.Namespace) -> str:
    """The password that the command line gives, "" for none."""
    if not args.password_stdin:
        if args.password:
            session.note("WARNING: --password shows the password to other users of this machine.")
        return str(args.password)
    if args.password:
        raise _misused("--password and --password-stdin are mutually exclusive", "give one")
    if not args.username:
        raise _misused(
            "--password-stdin needs --username", "pystack login -u NAME --password-stdin"
        )
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")


def _asked(session: Session, host: str, username: str, password: str) -> Credentials:
    """What is missing, asked for on the terminal."""
    if not (username and password) and not sys.stdin.isatty():
        raise _misused(
            "a login without a terminal needs a user name and a password",
            "pystack login -u NAME --password-stdin < FILE",
        )
    if not (username and password) and host == HUB:
        session.note("Log in to Docker Hub with your Docker ID.")
    if not password:
        import getpass  # noqa: PLC0415  (here only)

        shown = f" ({username})" if username else ""
        username = username if password else input(f"Username{shown}: ").strip() or username
        password = getpass.getpass("Password: ")
    elif not username:
        username = input("Username: ").strip()
    return Credentials(username, password)


def _check(session: Session, host: str, credentials: Credentials) -> str:
    """The token to keep instead of the password, "" for none, once the registry has agreed."""
    answer = session.engine.post(
        "/auth",
        {
            "username": credentials.username,
            "password": credentials.password,
            "identitytoken": credentials.identity_token,
            "serveraddress": key_of(host),
        },
    )
    return str((answer or {}).get("IdentityToken") or "")


def _logout(session: Session, args: argparse.Namespace) -> int:
    host = host_of(args.server)
    shown = key_of(host)
    if logins(session).forget(host):
        session.say(f"Removing login credentials for {shown}")
    else:
        session.say(f"Not logged in to {shown}")
    return 0


def _misused(message: str, hint: str) -> InvalidInput:
    return InvalidInput(message, code="login-arguments", about="login", hint=hint)


COMMANDS = {
    "login": Command(_login_arguments, _login),
    "logout": Command(_logout_arguments, _logout),
}
