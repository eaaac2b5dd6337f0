"""Running a model: llama.cpp behind one decoding thread, with sampling that can be checked.

Start at `engine.Engine`. Pure parts: `draw`, `text`, `waiting`, `slots`, `request`; the parts that
touch llama.cpp: `model`, `context`, `sampling`, `decoder`. `weights` names a model by its bytes.
"""

import os

# Before llama.cpp loads libgomp. Its threads wait for each other about a thousand times a token;
# by default they spin for milliseconds each time, so that two programs that use more threads than
# there are cores stop each other almost wholly (docs/decisions/0010-spinning-threads.md).
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
