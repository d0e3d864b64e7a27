"""A guard in another language: docs/feed.md and docs/revocation.md in Python, out of its standard library alone.

    python3 examples/feed-reader/reader.py test/vectors/protocol/feed.json

plays the story of the vectors and compares what follows. It is made to be read, not to be fast.
"""

import hashlib
import hmac
import json
import struct
import sys

# Ed25519 (RFC 8032 section 5.1): verifying alone.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def add(p, q):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = p, q
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, point):
    total = (0, 1, 1, 0)
    while n:
        if n & 1:
            total = add(total, point)
        point, n = add(point, point), n >> 1
    return total


def decode_point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P != u:
        x = x * ROOT_OF_MINUS_1 % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = decode_point(bytes([0x58] + [0x66] * 31))


def verify(key, message, signature):
    a, r = decode_point(key), decode_point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L or len(signature) != 64:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    (x1, y1, z1, _), (x2, y2, z2, _) = times(s, BASE), add(r, times(k, a))
    return (x1 * z2 - x2 * z1) % P == 0 and (y1 * z2 - y2 * z1) % P == 0


class Rejected(Exception):
    """A message that is of no use; the code says why."""


def lp(text):
    data = text.encode()
    return struct.pack(">I", len(data)) + data


class Reader:
    """Fields of a message, one after the other."""

    def __init__(self, message, magic):
        self.message, self.at = message, 0
        if self.take(4) != magic:
            raise Rejected("malformed_message")

    def take(self, count):
        if self.at + count > len(self.message):
            raise Rejected("malformed_message")
        self.at += count
        return self.message[self.at - count : self.at]

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(">" + form)))[0]

    def end(self):
        if self.at != len(self.message):
            raise Rejected("malformed_message")


def check_signature(ledger, keys, what, message):
    signed = lp("keelson/%s/v1" % what) + lp(ledger) + message[:-64]
    if not any(verify(key, signed, message[-64:]) for key in keys):
        raise Rejected("bad_signature")


SHA = lambda data: hashlib.sha256(data).digest()
FACT = 25
BLOCKED, CUTOFF, STALENESS = 1, 2, 4
NOTHING = (0, 0, 0)  # flags, value, seq


class Table:
    def __init__(self):
        self.facts, self.seq, self.chain, self.sum = {}, 0, bytes(32), 0

    def put(self, fact):
        key, flags, value = fact[:16], fact[16], struct.unpack(">q", fact[17:])[0]
        old_flags, old_value, _ = self.facts.get(key, NOTHING)
        if old_flags:
            self.sum -= int.from_bytes(SHA(key + bytes([old_flags]) + struct.pack(">q", old_value)), "big")
        self.facts.pop(key, None)
        self.seq += 1
        self.chain = SHA(self.chain + fact)
        if flags:
            self.facts[key] = (flags, value, self.seq)
            self.sum += int.from_bytes(SHA(fact), "big")

    @property
    def state_hash(self):
        return (self.sum % 2**256).to_bytes(32, "big")

    @property
    def head(self):
        return self.seq, self.chain, self.state_hash


class Guard:
    DEFAULT_STALENESS_US = 60_000_000
    SKEW_US = 60_000_000

    def __init__(self, ledger, guard_key, instance, root_key):
        self.ledger, self.guard_key, self.instance, self.root_key = ledger, guard_key, instance, root_key
        self.feed_keys, self.key_set_version = (0, []), 0
        self.table, self.seq, self.lease, self.waiting = Table(), 0, None, None
        self.nonces = {}
        self.clocks = None

    # Time: two clocks, and the uptime where they fall apart.
    def read_clocks(self, monotonic, wall, uptime):
        if self.clocks is None:
            self.clocks = {"mono": monotonic, "wall": wall, "mono+": 0, "wall+": 0, "uptime": uptime, "sync": monotonic}
        c = self.clocks
        c["real wall"] = wall
        monotonic, wall = monotonic + c["mono+"], wall + c["wall+"]
        if abs((wall - c["wall"]) - (monotonic - c["mono"])) > 50_000:
            now = max(monotonic, c["sync"] + uptime - c["uptime"] + 10_000)
            c["mono+"] += now - monotonic
            wall_now = c["wall"] + now - c["mono"]
            c["wall+"] += wall_now - wall
            monotonic, wall, c["uptime"], c["sync"] = now, wall_now, uptime, now
        c["mono"], c["wall"] = monotonic, wall

    def since(self, moment):
        return max(self.clocks["mono"] - moment[0], self.clocks["wall"] - moment[1])

    def ask(self, nonce):
        self.nonces[nonce] = (self.clocks["mono"], self.clocks["wall"])
        return b"KLR1" + self.instance + nonce

    def keys_in_force(self):
        expires, keys = self.feed_keys
        return keys if self.clocks["real wall"] < expires else []

    # What it hears.
    def hear(self, message):
        kinds = {b"KKS1": self.hear_keys, b"KRF1": self.hear_frame, b"KLG1": self.hear_grant, b"KRS1": self.hear_snapshot}
        kind = kinds.get(bytes(message[:4]))
        if kind is None:
            raise Rejected("malformed_message")
        kind(message)

    def hear_keys(self, message):
        r = Reader(message, b"KKS1")
        version, expires = r.number("Q"), r.number("Q")
        keys = [r.take(32) for _ in range(r.number("B"))]
        r.take(64), r.end()
        check_signature(self.ledger, [self.root_key], "feed-keys", message)
        if version < self.key_set_version:
            raise Rejected("out_of_range")
        self.key_set_version, self.feed_keys = version, (expires, keys)

    def open_head(self, message):
        r = Reader(message, b"KRH1")
        head = self.read_head(r)
        r.take(64), r.end()
        check_signature(self.ledger, self.keys_in_force(), "head", message)
        return head

    def read_head(self, r):
        generation = r.number("I")
        return generation, (r.number("Q"), r.take(32), r.take(32))

    def hear_frame(self, message):
        r = Reader(message, b"KRF1")
        start, count = r.number("Q"), r.number("I")
        facts = [r.take(FACT) for _ in range(count)]
        generation, head = self.open_head(r.take(144))
        r.end()
        if head[0] != start + count:
            raise Rejected("malformed_message")
        if generation != 1:
            raise Rejected("out_of_range")
        if start > self.table.seq:
            raise Rejected("gap")
        if head[0] < self.table.seq:
            return
        fresh, chain = facts[self.table.seq - start :], self.table.chain
        for fact in fresh:
            chain = SHA(chain + fact)
        if chain != head[1]:
            raise Rejected("bad_proof")
        for fact in fresh:
            self.table.put(fact)
        if self.table.head != head:
            raise Rejected("fork")
        self.moved()

    def hear_snapshot(self, message):
        r = Reader(message, b"KRS1")
        generation, head = self.open_head(r.take(144))
        r = Reader(message[r.at :], b"KRT1")
        table = Table()
        seq, chain, state = r.number("Q"), r.take(32), r.take(32)
        for _ in range(r.number("Q")):
            table.put(r.take(FACT))
        r.end()
        table.seq, table.chain = seq, chain
        if table.head != (seq, chain, state) or table.head != head:
            raise Rejected("malformed_snapshot")
        if generation != 1 or seq < self.seq:
            raise Rejected("out_of_range")
        self.table = table
        self.moved()

    def moved(self):
        self.seq = max(self.seq, self.table.seq)
        if self.waiting and self.waiting[1][0] <= self.table.seq:
            lease, _ = self.waiting
            self.waiting = None
            self.extend(lease)

    def hear_grant(self, message):
        r = Reader(message, b"KLG1")
        instance, nonce, read_age = r.take(16), r.take(16), r.number("Q")
        generation, head = self.read_head(r)
        r.take(64), r.end()
        check_signature(self.ledger, self.keys_in_force(), "grant", message)
        if generation != 1:
            raise Rejected("out_of_range")
        if instance != self.instance:
            raise Rejected("forbidden")
        if nonce not in self.nonces:
            raise Rejected("replayed")
        lease = (self.nonces.pop(nonce), read_age)
        if head[0] > self.table.seq:
            self.waiting = (lease, head)
        elif head[0] == self.table.seq and head != self.table.head:
            raise Rejected("fork")
        else:
            self.extend(lease)

    def extend(self, lease):
        age = lambda one: self.since(one[0]) + one[1]
        if self.lease is None or age(lease) <= age(self.lease):
            self.lease = lease

    # What it is asked.
    def key(self, kind, issuer, *values):
        message = lp(kind) + lp(issuer) + b"".join(lp(value) for value in values)
        return hmac.new(self.guard_key, message, hashlib.sha256).digest()[:16]

    def keys_of(self, token):
        issuer = token.get("issuer", "")
        if "jti" in token:
            yield self.key("token", issuer, token["jti"])
        if "subject" in token:
            yield self.key("principal", issuer, token["subject"])

    def check(self, token, tool):
        if self.lease is None or self.table.seq < self.seq:
            return "starting"
        staleness = self.DEFAULT_STALENESS_US
        keys = list(self.keys_of(token))
        if tool is not None:
            flags, value, _ = self.table.facts.get(self.key("staleness", "", tool), NOTHING)
            staleness = min(staleness, value if flags & STALENESS else staleness)
            keys.append(self.key("tool", "", tool))
        moment, read_age = self.lease
        if self.since(moment) + read_age >= staleness:
            return "stale"
        issued = token.get("issuedAtUs")
        facts = [self.table.facts.get(key, NOTHING) for key in keys]
        if any(flags & BLOCKED for flags, _, _ in facts):
            return "blocked"
        cutoffs = [value for flags, value, _ in facts if flags & CUTOFF]
        if cutoffs and issued is None:
            return "no_issue_time"
        if any(issued <= cutoff + self.SKEW_US for cutoff in cutoffs):
            return "cutoff"
        if issued is not None and issued > self.clocks["real wall"] + self.SKEW_US:
            return "issued_in_future"
        return "allowed"


def play(guard, line):
    """What follows from a line of the story."""
    guard.read_clocks(line["monotonicUs"], line["wallUs"], line["uptimeUs"])
    if "token" in line:
        return {"verdict": guard.check(line["token"], line.get("tool"))}
    if "nonce" in line:
        unsigned = guard.ask(bytes.fromhex(line["nonce"]))
        return {"request": unsigned.hex() + line["request"][len(unsigned) * 2 :]}
    told = {}
    try:
        guard.hear(bytes.fromhex(line["hear"]))
    except Rejected as rejected:
        told["rejected"] = str(rejected)
    return {**told, "seq": guard.table.seq, "stateHash": guard.table.state_hash.hex()}


def main(path):
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)
    data = lambda name: bytes.fromhex(vectors[name])
    guard = Guard(vectors["ledger"], data("guardKey"), data("instance"), bytes.fromhex(vectors["publicKeys"]["root"]))
    for line in vectors["story"]:
        told = play(guard, line)
        expected = {name: line[name] for name in ("verdict", "request", "rejected", "seq", "stateHash") if name in line}
        if told != expected:
            sys.exit("%s: %s, not %s" % (line["what"], told, expected))
    print("%d lines as they should be" % len(vectors["story"]))


if __name__ == "__main__":
    main(sys.argv[1])
