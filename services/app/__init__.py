"""The site under test: a small catalogue that every stage serves, written once and run unchanged.

    browser ──► … ──► gunicorn ──► create_app() ──┬─ /  /items/3  /login      pages.py   rows as HTML
                                                  ├─ /api/items  /api/orders  api.py     rows as JSON
                                                  ├─ /health  /health/deep    health.py  for load balancers
                                                  └─ /compute?ms=10           health.py  a known CPU cost
                                     shop.py: the SQL ──► db.py: bounded pool ──► MySQL primary, replica

It needs the standard library, Flask and PyMySQL, and imports nothing else of this repository: on a server
it lives alone in /var/www/foobar/app and is started as `gunicorn 'app:create_app()'`.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from flask import Flask

from . import answers, api, health, pages
from .config import SiteConfig, read_config
from .db import Connect, Database, connect_mysql

DEFAULT_CONFIG = "/etc/foobar/site.toml"

#: Longest request body. The longest honest one is an order of about 40 bytes or a login form.
MAX_BODY_BYTES = 16 * 1024


def create_app(config: SiteConfig | None = None, connect: Connect = connect_mysql) -> Flask:
    """The WSGI application. Opens no connection: a site whose database is down still starts.

    Without `config` the file named by $FOOBAR_CONFIG (else /etc/foobar/site.toml) is read; raises
    ConfigError when it is missing or wrong. `connect` is how the pool gets a connection: the one seam
    the tests need.
    """
    if config is None:
        config = read_config(Path(os.environ.get("FOOBAR_CONFIG", DEFAULT_CONFIG)))
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    # nginx serves /static/ in production, with the same lifetime; Flask does it for the comparison.
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600

    # Flask gives this logger its handler; the modules below it log through it, to stderr.
    app.logger.setLevel(logging.INFO)
    reads = config.replica or config.primary
    app.logger.info("%s writes to %s, reads from %s", config.host_name, config.primary.address, reads.address)

    database = Database(config, connect, answers.note_database)
    answers.install(app, config.host_name)
    if config.answer_delay_ms:
        app.logger.warning("every answer waits %d ms", config.answer_delay_ms)
        answers.delay(app, config.answer_delay_ms / 1000)
    app.register_blueprint(pages.blueprint(database))
    app.register_blueprint(api.blueprint(database, config.host_name))
    app.register_blueprint(health.blueprint(database))
    return app
