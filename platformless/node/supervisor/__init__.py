"""One command for one machine: the node, its workers and embedded services under one supervisor."""
