"""The broker: where jobs wait for a worker, and the embedded one."""
