"""Makes a repository, commits to it, and prints its history: what a script does with git."""

import subprocess
import tempfile
from pathlib import Path


def git(directory: Path, *words: str) -> str:
    identity = ["-c", "user.name=script", "-c", "user.email=script@example.org"]
    command = ["git", "-C", str(directory), *identity, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        git(directory, "init", "--quiet")
        for number, line in enumerate(("first", "second", "third"), 1):
            (directory / "file.txt").write_text(f"{line}\n")
            git(directory, "add", "file.txt")
            git(directory, "commit", "--quiet", "--message", f"{number}: {line}")
        print(git(directory, "log", "--reverse", "--format=%s"), end="", flush=True)


main()
