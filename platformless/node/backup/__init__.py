"""Backups of what a node keeps, made while it runs, and restored on a machine without one."""
