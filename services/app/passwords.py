"""A password is kept as scrypt$N$r$p$salt$hash (RFC 7914), so a stolen table is not a list of passwords.

The cost is a classroom's: N = 1024 takes about 3 ms, so that a login is no way to exhaust a server of half
a core. A real site takes N = 2**17 (OWASP Password Storage Cheat Sheet) and limits attempts.
"""

from __future__ import annotations

import hashlib
import hmac

N, R, P = 1024, 8, 1

#: What is compared when there is no such user: no password has this hash, and finding out costs the same.
NOBODY = f"scrypt${N}${R}${P}${'00' * 16}${'00' * 32}"


def hash_password(password: str, salt: bytes) -> str:
    """What the users table keeps; `salt` is 16 random bytes, another for each user."""
    digest = hashlib.scrypt(password.encode(), salt=salt, n=N, r=R, p=P, dklen=32)
    return f"scrypt${N}${R}${P}${salt.hex()}${digest.hex()}"


def password_matches(password: str, stored: str) -> bool:
    """Compare in constant time, with the cost that `stored` was made with."""
    _, n, r, p, salt, digest = stored.split("$")
    wanted = bytes.fromhex(digest)
    found = hashlib.scrypt(
        password.encode(), salt=bytes.fromhex(salt), n=int(n), r=int(r), p=int(p), dklen=len(wanted)
    )
    return hmac.compare_digest(found, wanted)
