"""What an operator sees of the proof pipeline, and does about it: jobs, earnings."""
