from .fixtures import postgresql as postgresql
from .fixtures import postgresql_url as postgresql_url
from .fixtures import rabbitmq as rabbitmq
from .fixtures import rabbitmq_url as rabbitmq_url
from .fixtures import redis_server as redis_server
from .fixtures import redis_url as redis_url
