"""What is asked for, as literal tables: a mix is some kinds of request with their weights."""

from __future__ import annotations

from loadtests.generator_config import KindConfig

_ORDER = '{"item_id": {id}, "quantity": 1}'

STATIC = KindConfig("static", "/static/site.css")
READ = KindConfig("read", "/api/items/{id}", expect_text='"id":')
PAGE = KindConfig("page", "/items/{id}")
WRITE = KindConfig("write", "/api/orders/{uuid}", method="PUT", body=_ORDER, expect_status=(201,))
COMPUTE = KindConfig("compute", "/compute?ms=5")


def _weighing(kind: KindConfig, weight: int) -> KindConfig:
    return KindConfig(**{**vars(kind), "weight": weight})


#: Name → kinds. The sentence is what --help says.
MIXES: dict[str, tuple[str, tuple[KindConfig, ...]]] = {
    "static": ("one small file, which nginx answers itself", (STATIC,)),
    "dynamic": ("one row of the catalogue as JSON: nginx, gunicorn, MySQL", (READ,)),
    "mixed": (
        "six pages, six reads, two files and one write in fifteen",
        (_weighing(PAGE, 6), _weighing(READ, 6), _weighing(STATIC, 2), _weighing(WRITE, 1)),
    ),
    "write": ("idempotent orders", (WRITE,)),
    "compute": ("5 ms of the application server's CPU", (COMPUTE,)),
}
