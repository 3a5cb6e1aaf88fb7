-- The tables of the site, for MariaDB 10.11 and later and for MySQL 8. May run any number of times.
-- No statement names a database: whoever runs this file chooses it.

-- What the catalogue shows. Money is counted in whole cents: FLOAT cannot say 0.10.
CREATE TABLE IF NOT EXISTS items (
    id          INT           NOT NULL PRIMARY KEY,
    name        VARCHAR(80)   NOT NULL,
    description VARCHAR(255)  NOT NULL,
    price_cents INT           NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Written once, under an id that the client chose. CHAR(36) costs 20 bytes more than BINARY(16) and can be
-- read in a dump. Letters of a UUID are ASCII, and its canonical form is lower case: no collation needed.
CREATE TABLE IF NOT EXISTS orders (
    id          CHAR(36)      CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    item_id     INT           NOT NULL,
    quantity    INT           NOT NULL,
    created_at  DATETIME(6)   NOT NULL,
    node        VARCHAR(64)   NOT NULL,
    FOREIGN KEY (item_id) REFERENCES items (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Hashes as services/app/passwords.py makes them, never a password.
CREATE TABLE IF NOT EXISTS users (
    name          VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    password_hash VARCHAR(255) CHARACTER SET ascii   COLLATE ascii_bin   NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
