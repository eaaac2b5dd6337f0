"""Opens the broker that a URL names: Redis and its likes, or RabbitMQ.

None of Dramatiq's middleware is used: retries, ages and time limits are the ledger's and the
worker's business. A message is a doorbell; a lost or doubled one does no harm.
"""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from redis import Redis

from .errors import BrokerUrlRefused

NAMESPACE = "platformless"
_SCHEMES = ("redis", "rediss", "unix", "amqp", "amqps")
_EVERY_COMMAND = 1_000_000
_HEARTBEAT_MS = 60_000
_DEAD_MESSAGE_MS = 3_600_000
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 10.0


def open_broker(url: str) -> dramatiq.Broker:
    """The broker; nothing is connected yet.

    Raises:
        BrokerUrlRefused: when it is no URL of a broker.
    """
    logging.getLogger("pika").setLevel(logging.WARNING)
    try:
        scheme = urlsplit(url).scheme
        if scheme in ("amqp", "amqps"):
            return RabbitmqBroker(url=url, middleware=[], confirm_delivery=True)
        if scheme in _SCHEMES:
            client = Redis.from_url(
                url,
                socket_connect_timeout=_CONNECT_SECONDS,
                socket_timeout=_ANSWER_SECONDS,
            )
            return RedisBroker(  # type: ignore[no-untyped-call]
                client=client,
                middleware=[],
                namespace=NAMESPACE,
                # A message that a dead worker had taken comes back within a heartbeat and a poll,
                # not after a thousand commands.
                maintenance_chance=_EVERY_COMMAND,
                heartbeat_timeout=_HEARTBEAT_MS,
                dead_message_ttl=_DEAD_MESSAGE_MS,
            )
    except ValueError as error:
        raise BrokerUrlRefused("not a broker's URL", got=error) from error
    raise BrokerUrlRefused(
        "not a broker's URL", expected=", ".join(f"{one}:" for one in _SCHEMES), got=f"{scheme}:"
    )
