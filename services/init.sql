-- Runs at every start, before the first connection is accepted; every statement may run twice.
CREATE DATABASE IF NOT EXISTS foobar CHARACTER SET utf8mb4;
{% for client in service.clients %}
CREATE USER IF NOT EXISTS 'site'@'{{ client }}' IDENTIFIED BY '{{ password }}';
GRANT SELECT, INSERT ON foobar.* TO 'site'@'{{ client }}';
{% endfor %}
USE foobar;
{{ schema }}
