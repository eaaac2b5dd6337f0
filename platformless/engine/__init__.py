"""Running a model: llama.cpp behind one decoding thread, with sampling that can be checked.

Start at `engine.Engine`. Pure parts: `draw`, `text`, `waiting`, `slots`, `request`; the parts that
touch llama.cpp: `model`, `context`, `sampling`, `decoder`. `weights` names a model by its bytes.
"""
