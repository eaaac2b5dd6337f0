"""Replay of a session's transcript by somebody who has the model.

`replaying.replay_transcript` does it and returns a `report.ReplayReport`. `modes` says what a
host's settings allow, `calibration` what honest hosts look like, `verdict` what follows, `checks`
compares tokens with text. Only `replaying` needs the engine, and imports it when it is called.
"""
