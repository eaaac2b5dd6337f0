"""Servers of the tests' own: Debian's PostgreSQL, Redis and RabbitMQ, each with a folder and an
address of its own. They end with the process that started them, and leave nothing behind."""
