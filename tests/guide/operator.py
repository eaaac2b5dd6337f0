"""An operator at a shell: runs commands in a folder and keeps what was typed and answered."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

COMMAND_SECONDS = 240
_BIN = Path(sys.executable).parent
_LONGEST_OUTPUT_LINES = 60


@dataclass
class Transcript:
    """What was typed and answered, as Markdown. Nothing secret may be in what is typed."""

    hidden: dict[str, str] = field(default_factory=dict)
    """What differs at every walk, and what stands for it in the transcript."""
    _parts: list[str] = field(default_factory=list)

    def heading(self, text: str) -> None:
        self._parts.append(f"\n## {text}")

    def say(self, text: str) -> None:
        self._parts.append(f"\n{text}")

    def command(self, line: str, output: str, status: int) -> None:
        lines = output.rstrip().splitlines()
        if len(lines) > _LONGEST_OUTPUT_LINES:
            left_out = len(lines) - _LONGEST_OUTPUT_LINES
            lines = [*lines[:_LONGEST_OUTPUT_LINES], f"… {left_out} more lines"]
        ended = [] if status == 0 else [f"(exit status {status})"]
        self._parts.append("\n".join(["\n```", f"$ {line}", *lines, *ended, "```"]))

    def text(self) -> str:
        text = "\n".join(self._parts)
        for value, name in self.hidden.items():
            text = text.replace(value, name)
        return re.sub(r"[ \t]+\n", "\n", text).lstrip("\n") + "\n"


class Operator:
    """One operator on a machine of their own: a folder with `.env`, and no other settings.

    Args:
        where: What the folder is called in the transcript.
    """

    def __init__(self, folder: Path, transcript: Transcript) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._transcript = transcript
        kept = ("PATH", "HOME", "LANG", "PLATFORMLESS_CACHE", "XDG_CACHE_HOME", "TMPDIR")
        self.environment = {name: os.environ[name] for name in kept if name in os.environ}
        self.environment |= {
            "PATH": f"{_BIN}:{self.environment.get('PATH', '')}",
            "COLUMNS": "120",
            "NO_COLOR": "1",
        }

    def write(self, name: str, text: str, *, mode: int, shown: str | None = None) -> None:
        """A file, as `cat > NAME << 'EOF'` writes it, and its `chmod`."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        body = text if shown is None else shown
        self._transcript.command(f"cat > {name} << 'EOF'\n{body}EOF", "", 0)
        self._transcript.command(f"chmod {mode:o} {name}", "", 0)

    def run(self, line: str, *, status: int = 0, shown: Sequence[str] | None = None) -> str:
        """Runs a line of shell. Returns its standard output.

        Args:
            status: The exit status that it must have.
            shown: Which lines of the output the transcript keeps, by what they contain; None: all.
        """
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        output = done.stdout + done.stderr
        kept = output
        if shown is not None:
            kept = "\n".join(
                one for one in output.splitlines() if any(part in one for part in shown)
            )
        self._transcript.command(line, kept, done.returncode)
        assert done.returncode == status, f"{line}\n{output}"
        return done.stdout
