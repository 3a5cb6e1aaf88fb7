-- Runs at every start, before the first connection is accepted; every statement may run twice.
{% if service.replica_of %}
-- What a replica does for itself gets no transaction id: its history is its primary's, and nothing else.
SET SESSION sql_log_bin = 0;
{% endif %}
{% if service.exporter %}
CREATE USER IF NOT EXISTS 'exporter'@'localhost' IDENTIFIED BY '{{ exporter_password }}' WITH MAX_USER_CONNECTIONS 3;
GRANT PROCESS, REPLICATION CLIENT{{ ", SLAVE MONITOR" if mariadb }} ON *.* TO 'exporter'@'localhost';
GRANT SELECT ON performance_schema.* TO 'exporter'@'localhost';
{% endif %}
{% if service.replica_of %}
-- Schema, users and rows all come through replication, from the first transaction on. A restart throws away what was
-- received and not yet applied, and asks again.
{% if mariadb %}
CHANGE MASTER TO MASTER_HOST = '{{ service.replica_of }}', MASTER_PORT = 3306, MASTER_USER = 'replicator',
    MASTER_PASSWORD = '{{ replicator_password }}', MASTER_CONNECT_RETRY = 1, MASTER_USE_GTID = slave_pos{{ "," if service.tls else ";" }}
{% if service.tls %}
    MASTER_SSL = 1, MASTER_SSL_CA = '{{ authority }}', MASTER_SSL_VERIFY_SERVER_CERT = 1;
{% endif %}
START SLAVE;
{% else %}
CHANGE REPLICATION SOURCE TO SOURCE_HOST = '{{ service.replica_of }}', SOURCE_PORT = 3306, SOURCE_USER = 'replicator',
    SOURCE_PASSWORD = '{{ replicator_password }}', SOURCE_CONNECT_RETRY = 1, SOURCE_AUTO_POSITION = 1,
{% if service.tls %}
    SOURCE_SSL = 1, SOURCE_SSL_CA = '{{ authority }}', SOURCE_SSL_VERIFY_SERVER_CERT = 1;
{% else %}
    GET_SOURCE_PUBLIC_KEY = 1;
{% endif %}
START REPLICA;
{% endif %}
{% else %}
CREATE DATABASE IF NOT EXISTS foobar CHARACTER SET utf8mb4;
{% for client in service.clients %}
CREATE USER IF NOT EXISTS 'site'@'{{ client }}' IDENTIFIED BY '{{ password }}';
GRANT SELECT, INSERT ON foobar.* TO 'site'@'{{ client }}';
{% endfor %}
{% for replica in service.replicas %}
CREATE USER IF NOT EXISTS 'replicator'@'{{ replica }}' IDENTIFIED BY '{{ replicator_password }}'{{ " REQUIRE SSL" if service.tls }};
GRANT REPLICATION SLAVE ON *.* TO 'replicator'@'{{ replica }}';
{% endfor %}
USE foobar;
{{ schema }}
{% endif %}
