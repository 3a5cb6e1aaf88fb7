-- One hundred items, ten kinds in ten colours, the same on every server: item 1 is always the grey patch cable.
-- May run any number of times; what is there already stays as it is.
INSERT IGNORE INTO items (id, name, description, price_cents)
SELECT kinds.number * 10 + colours.number + 1,
       CONCAT(colours.name, ' ', kinds.name),
       CONCAT(kinds.description, ' Colour: ', LOWER(colours.name), '.'),
       kinds.price_cents + colours.number * 10
FROM (
    SELECT 0 AS number, 'patch cable' AS name, 'Cat 6, two metres, booted plugs.' AS description, 390 AS price_cents
    UNION ALL SELECT 1, 'fibre module', 'SFP+, 10 Gbit/s, 300 metres over OM3.', 1990
    UNION ALL SELECT 2, 'switch', 'Eight ports, managed, no fan.', 8900
    UNION ALL SELECT 3, 'rack shelf', 'One unit, carries 20 kg.', 2450
    UNION ALL SELECT 4, 'server fan', '40 mm, quieter than the one it replaces.', 1290
    UNION ALL SELECT 5, 'power strip', 'Eight outlets, switched and metered.', 6400
    UNION ALL SELECT 6, 'hard disk', '4 TB, five years of warranty, buy two.', 11900
    UNION ALL SELECT 7, 'memory module', '32 GB, ECC, registered.', 9800
    UNION ALL SELECT 8, 'console cable', 'The one that is never there when the network is down.', 850
    UNION ALL SELECT 9, 'label printer', 'A cable without a label is an outage with a date.', 3900
) AS kinds
CROSS JOIN (
    SELECT 0 AS number, 'Grey' AS name
    UNION ALL SELECT 1, 'Blue'
    UNION ALL SELECT 2, 'Red'
    UNION ALL SELECT 3, 'Green'
    UNION ALL SELECT 4, 'Yellow'
    UNION ALL SELECT 5, 'Black'
    UNION ALL SELECT 6, 'White'
    UNION ALL SELECT 7, 'Orange'
    UNION ALL SELECT 8, 'Violet'
    UNION ALL SELECT 9, 'Brown'
) AS colours;

-- The one who logs in when passwords are searched for on the wire: student, blue-elephant-42. It opens nothing.
INSERT IGNORE INTO users (name, password_hash) VALUES
    ('student', 'scrypt$1024$8$1$5a1e9c0d7b3f48261d0e9a8b7c6f5e4d$45dc392771d6a2425c0dfc7ec3125366cdadd37a140e7dd235c183f4748774b8');
