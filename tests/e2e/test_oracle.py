"""What is classified is what is sent, over the wire: for addresses made of everything that has ever
been taken for another domain, the domain of RCPT at the next hop is the domain that sekictl shows
and that the class was decided by (ADDR-01 .. 18, 24)."""
import random
import re
import unittest
from collections import Counter

from harness import Client, Gateway, simple_mail, wait_until
from sink import Sink

SEED, COUNT, TRANSACTION = 20261124, 3000, 100
POLICY = """organisation: one
plan: self
domains: [int.example, '*.below.example', 例え.jp]
affiliates: [group.example]
networks: [127.0.0.0/8]
users: [{address: alice@int.example}]
rules:
  - {name: inside, when: {recipient: {class: internal}}, then: {hold: 0s}}
defaults: {hold: 0s}
"""

# as written: the A-labels that it means (UTS #46); None: no domain, to be refused
DOMAINS = {
    "int.example": "int.example",
    "iNT.eXAMPLE": "int.example",
    "ｉｎｔ.example": "int.example",
    "int。example": "int.example",
    "int．example": "int.example",
    "int｡example": "int.example",
    "a.below.example": "a.below.example",
    "below.example": "below.example",
    "xbelow.example": "xbelow.example",
    "例え.jp": "xn--r8jz45g.jp",
    "xn--r8jz45g.jp": "xn--r8jz45g.jp",
    "XN--R8JZ45G.JP": "xn--r8jz45g.jp",
    "group.example": "group.example",
    "GROUP.Example": "group.example",
    "ext.example": "ext.example",
    "int.example.ext.example": "int.example.ext.example",
    "xint.example": "xint.example",
    "int-example.com": "int-example.com",
    "1nt.example": "1nt.example",
    "іnt.example": "xn--nt-goc.example",  # a Cyrillic letter
    "straße.example": "xn--strae-oqa.example",
    "[192.0.2.1]": "[192.0.2.1]",
    "[127.0.0.1]": "[127.0.0.1]",
    "[IPv6:2001:db8::1]": "[IPv6:2001:db8::1]",
    "int..example": None,
    ".int.example": None,
    "int_example.com": None,
    "-int.example": None,
    "int.example@ext.example": None,
    "int.example%00": None,
    "int\u200b.example": None,
    "int\u202e.example": None,
    "localhost": "localhost",
    "127.0.0.1": None,
    "int.example(x)": None,
    "int.example ext.example": None,
    "=?utf-8?q?int?=.example": None,
}
LOCALS = ["a", "A.b", "a+tag", "o'hara", "a%b", "x!y", "ext.example!a", "a%int.example", '"a b"',
          '"a@int.example"', '"a\\"b"', '"a\\@b"', '"int.example"', "a=b", "=?utf-8?q?a?=", "{a}",
          "-a", "a-", "postmaster", "x" * 64, '"@"', '".."', "#1", "山", "ü.ö", '"山 川"']
BAD_LOCALS = ["", ".a", "a.", "a..b", "a b", 'a"b"', '"a', "x" * 65, "a\u202eb", "a,b", "a;b",
              "a:b"]
ROUTES = [""] * 7 + ["@r.example:", "@int.example,@r.example:", "@r.example,@int.example:"]
BAD_ROUTES = ["@[192.0.2.9]:", "@:", "r.example:", "@r.example,", "@r.example;"]  # RFC 5321 4.1.2


def domain_of(address):
    """Of an address without comments: behind the last at sign, however the local part looks."""
    return address.rpartition("@")[2]


def meaning(address):
    """RFC 5321 4.1.2: a quoted local part means what it says without quotes and backslashes."""
    local, _, domain = address.rpartition("@")
    if local.startswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return local, domain


def class_of(domain):
    """The policy above, read again."""
    if domain in ("int.example", "xn--r8jz45g.jp") or re.fullmatch(r".+\.below\.example", domain):
        return "internal"
    return "affiliate" if domain == "group.example" else "external"


class Oracle(unittest.TestCase):
    def setUp(self):
        self.sink = self.enterContext(Sink("--ehlo", "SMTPUTF8", content=True))
        self.gate = self.enterContext(Gateway(route=self.sink.address, policy=POLICY,
                                              settings={
            "recipients": str(TRANSACTION), "errors": "100000",
            "errors_per_relay_minute": "1000000"}))
        self.random = random.Random(SEED)

    def make(self, n):
        """(as written, the domain it means, or None)"""
        pick = self.random.choice
        local = pick(BAD_LOCALS) if self.random.random() < 0.05 else pick(LOCALS)
        if len(local) < 40 and local[:1] not in ('"', "") and local in LOCALS:
            local = f"{local}{n}"
        written, domain = pick(list(DOMAINS.items()))
        route = pick(BAD_ROUTES if self.random.random() < 0.03 else ROUTES)
        if local in BAD_LOCALS or route in BAD_ROUTES:
            domain = None
        return route + local + "@" + written, local, domain

    def offer(self, c, count):
        """One mail to what is taken of `count` addresses; those, as they should be sent."""
        c.expect("MAIL FROM:<alice@int.example> SMTPUTF8", 250)
        made = [self.make(n) for n in range(count)]
        c.send("".join(f"RCPT TO:<{written}>\r\n" for written, _, _ in made).encode())
        for written, _, domain in made:
            reply = c.reply()
            with self.subTest(address=written, reply=str(reply)):
                self.assertEqual(reply.code == 250, domain is not None)
        c.expect("DATA", 354)
        c.send(simple_mail("alice@int.example", ["x@ext.example"], "oracle") + b".\r\n")
        self.assertEqual(c.reply().code, 250)
        return [f"{local}@{domain}" for _, local, domain in made if domain]

    def sent(self):
        """The addresses of all RCPTs that the next hop saw."""
        return [line.partition("<")[2].rpartition(">")[0] for _, envelope in self.sink.content()
                for line in envelope.decode().splitlines() if line.startswith("RCPT ")]

    def test_ADDR_what_is_classified_is_what_is_sent(self):
        taken = []
        with Client(self.gate.relay, ehlo="src.example") as c:
            for _ in range(COUNT // TRANSACTION):
                taken += self.offer(c, TRANSACTION)
        self.assertGreater(len(taken), COUNT // 2)
        wait_until(lambda: len(self.sent()) >= len(taken), 30, "all recipients at the next hop")
        shown = {}
        for mail in self.gate.list("--all"):
            for r in self.gate.show(mail["id"])["recipients"]:
                shown.setdefault(r["address"], set()).add((r["class"], r["state"]))
        sent, meant = Counter(map(meaning, self.sent())), Counter(map(meaning, taken))
        self.assertEqual((sent - meant, meant - sent), (Counter(), Counter()), "sent, and not")
        self.assertEqual(set(shown), set(self.sent()), "what is shown is what was sent")
        for address, seen in shown.items():
            with self.subTest(address=address):
                self.assertEqual(seen, {(class_of(domain_of(address)), "delivered")})


if __name__ == "__main__":
    unittest.main()
