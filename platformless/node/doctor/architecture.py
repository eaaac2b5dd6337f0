"""Whether the llama.cpp here can run a model file, by loading its vocabulary alone.

`python -m platformless.node.doctor.architecture FILE` prints what llama.cpp says against it. It is
a process of its own: llama.cpp ends the process at some damages of a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

_GGML_ERROR = 4


async def complaint(path: Path) -> str | None:
    """What llama.cpp has against the file; None when it has nothing."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, str(path)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        said, _ = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode == 0:
        return None
    return said.decode("utf-8", "replace").strip() or f"it ended with {process.returncode}"


def main(path: str) -> int:
    """0 when llama.cpp takes the file; else 1, with its last complaint printed."""
    import llama_cpp

    complaints: list[str] = []

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
    def note(level: int, text: bytes, _user_data: object) -> None:
        if level == _GGML_ERROR:
            complaints.append(text.decode("utf-8", "replace").strip())

    llama_cpp.llama_log_set(note, None)
    llama_cpp.llama_backend_init()
    parameters = llama_cpp.llama_model_default_params()
    parameters.vocab_only = True
    parameters.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(path.encode(), parameters)
    if model:
        llama_cpp.llama_model_free(model)
        return 0
    sys.stdout.write(complaints[0] if complaints else "it does not load")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
