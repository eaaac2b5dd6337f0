"""deploy/logrotate: who writes a log goes on in the same file, and nothing of it is lost."""

from __future__ import annotations

import subprocess
from pathlib import Path

RULES = Path(__file__).parents[2] / "deploy" / "logrotate" / "fabstir-llm-node"
LOGROTATE = "/usr/sbin/logrotate"  # Debian's rabbitmq-server needs it: it is there with the tests'


def rotate(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """With the rules as they are, except for the folder and for whom it works."""
    text = RULES.read_text().replace("/var/log/fabstir-llm-node", str(folder))
    rules = folder.with_name("rules")
    rules.write_text(text.replace("    su root adm\n", ""))
    rules.chmod(0o600)
    state = str(folder.with_name("state"))
    return subprocess.run(
        [LOGROTATE, *options, "--state", state, str(rules)], capture_output=True, text=True
    )


def test_the_rules_are_understood(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    checked = rotate(tmp_path / "logs", "--debug")
    assert checked.returncode == 0
    assert "error" not in checked.stderr


def test_a_writer_goes_on_in_the_same_file(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir(mode=0o755)
    with (folder / "node.log").open("a") as log:
        print("before", file=log, flush=True)
        rotated = rotate(folder, "--force")
        assert rotated.returncode == 0, rotated.stderr
        print("after", file=log, flush=True)
    (old,) = folder.glob("node.log-*")
    assert old.read_text() == "before\n"
    assert (folder / "node.log").read_text() == "after\n"
