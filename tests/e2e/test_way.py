"""The way out: what the DNS may say (OUT-13 to OUT-15), loops (REL-06), whose postmaster, and from
which address we call."""
import os
import resource
import struct
import subprocess
import time
import unittest

from dns_server import TRUNCATED, TYPES, name_bytes, reply
from harness import Client, Gateway, demo_policy, program, simple_mail, wait_until
from test_out import SENDER, Case


def rr(kind, data, length=None, ttl=60):
    """A record of the question's name; its length field may lie."""
    return b"\xc0\x0c" + struct.pack(">HHIH", TYPES[kind], 1, ttl,
                                     len(data) if length is None else length) + data


def mx_data(preference, name):
    return struct.pack(">H", preference) + name


def answer(*records, count=None):
    """The same answer by UDP and TCP."""
    return lambda query, tcp: reply(query, b"".join(records),
                                    len(records) if count is None else count)


def large(*records):
    """By TCP, as an honest server would send it; UDP says that it is cut."""
    return lambda query, tcp: reply(query, b"".join(records), len(records)) if tcp else \
        reply(query, flags=TRUNCATED)


class Names(Case):
    """What becomes of a mail, by what the DNS says."""

    def last(self, mail):
        return self.gate.show(mail)["recipients"][0]["last"]

    def test_OUT_13_null_mx(self):
        sink = self.host("null.example")  # an address that must not be called
        self.dns.zones["null.example"]["MX"] = [(0, "")]
        began = time.monotonic()
        mail = self.send("x@null.example")
        self.ends(mail, "bounced", 5)
        self.assertLess(time.monotonic() - began, 5)
        report, _ = self.dsn_of("x@null.example")
        self.assertEqual(list(report.iter_parts())[1].get_payload()[1]["Status"], "5.1.10")
        self.assertEqual(sink.transcript, [])

    def test_OUT_13_null_mx_among_others_is_none(self):
        sink = self.mx("nullish.example")
        self.dns.zones["nullish.example"]["MX"].append((0, ""))
        self.ends(self.send("x@nullish.example"), "delivered")
        self.assertEqual(len(sink.got()), 1)

    def test_OUT_14_what_is_permanent_and_what_is_not(self):
        a = self.hosts + 50  # nobody listens there
        zones = {
            "none.example": (None, "bounced", "5.1.2"),
            "neither.example": ({"TXT": ["no mail here"]}, "bounced", "5.1.2"),
            "servfail.example": ("SERVFAIL", "retry", None),
            "refused.example": ("REFUSED", "retry", None),
            "mute.example": ("DROP", "retry", None),
            "gone.example": ({"MX": [(10, "gone.nowhere.test")], "A": [f"127.0.2.{a}"]},
                             "bounced", "5.4.4"),
            "empty.example": ({"MX": [(10, "neither.example")], "A": [f"127.0.2.{a}"]},
                              "bounced", "5.4.4"),
            "later.example": ({"MX": [(10, "servfail.example")], "A": [f"127.0.2.{a}"]},
                              "retry", None),
            "name.example": ({"MX": [(10, "a b.example")], "A": [f"127.0.2.{a}"]},
                             "bounced", "5.4.4"),
        }
        mails = {}
        for domain, (zone, state, status) in zones.items():
            if zone:
                self.dns.zones[domain] = zone
        for domain, (zone, state, status) in zones.items():
            mails[domain] = self.send(f"x@{domain}")
        for domain, (zone, state, status) in zones.items():
            with self.subTest(domain=domain):
                self.ends(mails[domain], state, 45)
                if status:
                    report, _ = self.dsn_of(f"x@{domain}")
                    one = list(report.iter_parts())[1].get_payload()[1]
                    self.assertEqual(one["Status"], status)

    def test_OUT_14_an_address_beside_unusable_exchangers_is_never_called(self):
        sink = self.host("beside.example")
        self.dns.zones["beside.example"]["MX"] = [(10, "nowhere.beside.example")]
        self.ends(self.send("x@beside.example"), "bounced")
        self.assertEqual(sink.transcript, [])

    def test_OUT_14_aliases(self):
        sink = self.host("real.alias.example")
        self.dns.zones["mx.alias.example"] = {"CNAME": ["real.alias.example"]}
        self.dns.zones["alias.example"] = {"MX": [(10, "mx.alias.example")]}
        self.dns.zones["also.example"] = {"CNAME": ["alias.example"]}
        self.dns.zones["round.example"] = {"CNAME": ["round.example"]}
        for domain in ("alias.example", "also.example"):
            self.ends(self.send(f"x@{domain}"), "delivered")
        self.assertEqual([m.recipients for m in sink.got()],
                         [["x@alias.example"], ["x@also.example"]])
        mail = self.send("x@round.example")
        wait_until(lambda: self.gate.states(mail)["x@round.example"] in ("retry", "bounced"), 45)

    def test_OUT_14_a_thousand_exchangers(self):
        sinks = [self.host(f"m{n}.many.example") for n in range(2)]
        self.dns.zones["many.example"] = {"MX": [(1000 + n, f"far{n}.many.example")
                                                 for n in range(998)] +
                                          [(20, "m1.many.example"), (10, "m0.many.example")]}
        asked = len(self.dns.asked)
        self.ends(self.send("x@many.example"), "delivered")
        self.assertEqual([len(s.got()) for s in sinks], [1, 0])
        self.assertLess(len(self.dns.asked) - asked, 300, "only the preferred ones are looked up")

    def test_OUT_14_only_an_address(self):
        sink = self.host("implicit.way.example")
        self.ends(self.send("x@implicit.way.example"), "delivered")
        self.assertEqual(len(sink.got()), 1)

    def test_OUT_15_broken_answers(self):
        """None is believed, none ends the gateway, and others' mail goes on meanwhile."""
        bait = self.host("mx.bait.example")
        name = name_bytes("mx.bait.example")
        full = b"\x3f" + b"a" * 63
        rows = {
            "mx without a preference": answer(rr("MX", b"\0")),
            "mx of nothing": answer(rr("MX", b"")),
            "mx without a name": answer(rr("MX", b"\0\x0a")),
            "mx whose name is cut": answer(rr("MX", b"\0\x0a\x3fabc")),
            "mx shorter than its name": answer(rr("MX", mx_data(10, name), 5)),
            "mx longer than the packet": answer(rr("MX", mx_data(10, name), 4000)),
            "a name without an end": answer(rr("MX", mx_data(10, full * 4))),
            "a name of 300": answer(rr("MX", mx_data(10, full * 5 + b"\0"))),
            "a pointer to itself": answer(rr("MX", b"\0\x0a\xc0" + bytes([0x0c + 17 + 14 + 2]))),
            "pointers in a ring": answer(b"\xc0\x0e" + rr("MX", b"\0\x0a\xc0\x0c")[2:]),
            "a pointer ahead": answer(rr("MX", b"\0\x0a\xc3\xff")),
            "a label of kind 01": answer(rr("MX", b"\0\x0a\x41abc\0")),
            "more records than there are": answer(rr("MX", b"\0\x0a"), count=9),
            "nothing but a head": lambda query, tcp: query[:12],
            "half a head": lambda query, tcp: query[:7],
            "one byte": lambda query, tcp: b"\0",
            "the query again": lambda query, tcp: query,
            "another question": lambda query, tcp: reply(
                query, rr("MX", mx_data(10, name)), 1).replace(b"broken", b"spoken"),
            "txt whose text is longer than it": answer(rr("TXT", b"\xffabc"),
                                                       rr("MX", b"\0")),
            "64 kB of txt": large(*[rr("TXT", b"\xff" + b"t" * 255)] * 238),
            "64 kB of txt and a broken mx": large(*[rr("TXT", b"\xff" + b"t" * 255)] * 238,
                                                  rr("MX", b"\0")),
            "a txt of 64 kB": large(rr("TXT", b"\xff" + b"t" * 65000)),
            "4,000 mx of nothing": large(*[rr("MX", b"\0")] * 4000),
            "zeros": lambda query, tcp: query[:2] + b"\x84\x80" + bytes(500),
            "bytes of one kind": lambda query, tcp: query[:2] + b"\x84\x80" + b"\xc0" * 500,
            "cut, and by tcp nothing": lambda query, tcp: None if tcp else
            reply(query, flags=TRUNCATED),
        }
        mails = {}
        for n, (row, zone) in enumerate(rows.items()):
            self.dns.zones[f"broken{n}.example"] = zone
            mails[row] = self.send(f"x@broken{n}.example")
        good = self.mx("good.example")
        self.ends(self.send("x@good.example"), "delivered", 20)
        for row, mail in mails.items():
            with self.subTest(row=row):
                wait_until(lambda m=mail: set(self.gate.states(m).values()) <=
                           {"retry", "bounced"}, 45, "an end")
        self.assertEqual((len(good.got()), bait.transcript), (1, []))
        self.assertTrue(self.gate.is_running())

    def test_OUT_15_broken_addresses(self):
        rows = {"three bytes": answer(rr("A", b"\x7f\0\x02")),
                "five bytes": answer(rr("A", b"\x7f\0\x02\x01\x01")),
                "sixteen for A": answer(rr("A", bytes(16))),
                "none": answer(rr("A", b"")),
                "64 kB of them": large(*[rr("A", b"\x7f\0\x02\xfe")] * 4000)}
        for n, zone in enumerate(rows.values()):
            self.dns.zones[f"host{n}.bad.example"] = zone
            self.dns.zones[f"d{n}.bad.example"] = {"MX": [(10, f"host{n}.bad.example")]}
        mails = {row: self.send(f"x@d{n}.bad.example") for n, row in enumerate(rows)}
        for row, mail in mails.items():
            with self.subTest(row=row):
                wait_until(lambda m=mail: set(self.gate.states(m).values()) <=
                           {"retry", "bounced"}, 45, "an end")
        self.assertTrue(self.gate.is_running())

    def test_postmaster_alone_is_the_organisations(self):
        self.ends(self.send("postmaster", "PostMaster", "x@good2.example"),
                  {"postmaster@int.example": "delivered", "PostMaster@int.example": "delivered",
                   "x@good2.example": "bounced"})
        self.assertEqual([x for x in self.home.commands("RCPT") if b"ostmaster" in x.lower()],
                         [b"RCPT TO:<postmaster@int.example>", b"RCPT TO:<PostMaster@int.example>"])
        mail = self.gate.list("--all", "to:postmaster@int.example")[0]
        self.assertEqual(self.gate.show(mail["id"])["recipients"][0]["class"], "internal")


class Loops(Case):
    def circled(self, times):
        head = b"".join(b"Received: from a%d.example by b.example; Tue, 24 Nov 2026 10:00:00 +0900"
                        b"\r\n" % n for n in range(times))
        return head + simple_mail(SENDER, "x@loop.example", f"circle {times}")

    def test_REL_06_a_hundred_received_fields(self):
        sink = self.mx("loop.example")
        for times, code in ((0, 250), (99, 250), (100, 554), (500, 554)):
            with self.subTest(times=times), self.gate.client() as c:
                answered = c.mail(SENDER, "x@loop.example", self.circled(times))
                self.assertEqual(answered.code, code, answered)
                if code == 554:
                    self.assertIn("5.4.6", answered.text)
        wait_until(lambda: len(sink.got()) == 2, 10, "the two that go")
        self.assertEqual(max(m.content.count(b"\r\nReceived:") for m in sink.got()), 99)

    def test_REL_06_our_own_mail_returning(self):
        """A hop gives each mail back to us, whole: it ends at the hundredth, and is not lost."""
        hop = self.mx("returns.example")
        ends = []

        def give_back(mail):
            with self.gate.client() as c:
                ends.append(c.mail(mail.sender, mail.recipients[0], mail.content).code)
        self.gate.send("x@returns.example", "returns", content=simple_mail(
            SENDER, "x@returns.example", "returns"))
        seen = 0
        for _ in range(200):
            wait_until(lambda n=seen: len(hop.got()) > n, 10, "the next round")
            give_back(hop.got()[seen])
            seen += 1
            if ends[-1] != 250:
                break
        self.assertEqual((ends[-1], len(ends)), (554, 100))


    def test_REL_06_exchangers_that_are_us(self):
        """By name, and by address and port; a loopback sink at the same port of another address is
        another host's."""
        relay, port = self.gate.relay.split(":")
        self.assertEqual(relay, "127.0.0.1")
        with Gateway(resolver=self.dns.address, policy=demo_policy("0s"), shards=1,
                     settings={"outbound_port": port}) as gate:
            listen = gate.relay.split(":")[1]
        sink = self.mx("unused.example")
        with Gateway(resolver=self.dns.address, policy=demo_policy("0s"), shards=1,
                     settings={"relay_listen": f"0.0.0.0:{listen}",
                               "outbound_port": listen}) as gate:
            zones = {
                "named.example": [(10, "sandbox.example")],
                "addressed.example": [(10, "one.us.example")],
                "any.example": [(10, "other.us.example")],
                "backup.example": [(10, "nowhere.us.example"), (20, "one.us.example"),
                                   (30, "mx.unused.example")],
            }
            self.dns.zones.update({
                "one.us.example": {"A": ["127.0.0.1"]}, "other.us.example": {"A": ["127.77.0.1"]},
                "sandbox.example": {"A": ["127.0.0.1"]},
                **{domain: {"MX": mx} for domain, mx in zones.items()}})
            for domain in zones:
                with self.subTest(domain=domain), Client(f"127.0.0.1:{listen}", ehlo="src") as c:
                    content = simple_mail(SENDER, f"x@{domain}", domain)
                    self.assertEqual(c.mail(SENDER, f"x@{domain}", content).code, 250)
                    mail = gate.mail_with(domain)["id"]
                    gate.wait_states(mail, "bounced")
                    row = [r for r in gate.log("bounced") if r["to"] == f"x@{domain}"][0]
                    self.assertIn("exchanger", row["reply"])
                    self.assertIn("ours", row["reply"])
        self.assertEqual(sink.transcript, [])

    def test_REL_06_a_smarthost_that_is_us(self):
        """Ours to put right: told, and nothing bounces."""
        self.dns.zones["smart.us.example"] = {"A": ["127.0.0.1"]}
        with Gateway(resolver=self.dns.address, policy=demo_policy("0s"), shards=1) as gate:
            relay = gate.relay
            port = relay.split(":")[1]
            check = subprocess.run(
                [program("sekimori"), "--config", f"{gate.dir}/sekimori.yaml", "--check",
                 "--set", f"route={relay}"], capture_output=True, text=True)
            self.assertEqual(check.returncode, 78)
            self.assertIn("leads back to us", check.stderr)
            for n, route in enumerate((f"[::ffff:127.0.0.1]:{port}", f"smart.us.example:{port}")):
                with self.subTest(route=route):
                    gate.settings["route"] = route
                    gate.restart()
                    gate.send("x@anywhere.example", f"smart {n}")
                    mail = gate.mail_with(f"smart {n}")["id"]
                    gate.wait_states(mail, "retry")
                    self.assertEqual({t["route"] for t in gate.log("route_unusable")} & {route},
                                     {route})
            self.assertEqual(len(gate.log("accepted")), 2)

    def test_a_smarthost_by_name(self):
        sink = self.host("hub.example")
        self.dns.zones["hub.example"]["MX"] = [(10, "nowhere.example")]
        with Gateway(resolver=self.dns.address, policy=demo_policy("0s"), shards=1,
                     route=f"hub.example:{self.home.port}") as gate:
            gate.send("x@anywhere.example", "by name")
            wait_until(lambda: len(sink.got()) == 1, 10, "delivery to the host, not its exchanger")


class Ranges(Case):
    """An exchanger on the Internet is at none of these addresses."""
    settings = {"outbound_loopback": "off"}

    def test_OUT_14_exchangers_at_addresses_that_are_none(self):
        sink = self.host("trap.example")  # at 127.0.2.N
        trap = self.dns.zones["trap.example"]["A"][0]
        rows = {"loopback": [trap], "private": ["10.0.0.1", "172.16.0.1", "192.168.0.1"],
                "carrier": ["100.64.0.1"], "metadata": ["169.254.169.254"], "none": ["0.0.0.0"],
                "multicast": ["224.0.0.1"]}
        for name, at in rows.items():
            self.dns.zones[f"host.{name}.example"] = {"A": at}
            self.dns.zones[f"{name}.example"] = {"MX": [(10, f"host.{name}.example")], "A": [trap]}
            self.dns.zones[f"implicit-{name}.example"] = {"A": at}
        for name in rows:
            for domain in (f"{name}.example", f"implicit-{name}.example"):
                with self.subTest(domain=domain):
                    self.ends(self.send(f"x@{domain}"), "bounced")
        literals = [f"x@[{at[0]}]" for at in rows.values()] + ["x@[IPv6:::1]", "x@[IPv6:fd00::1]"]
        with self.gate.client() as c:
            for literal in literals:  # ADDR-13
                with self.subTest(literal=literal):
                    reply = c.mail(SENDER, literal, simple_mail(SENDER, literal, literal))
                    if reply.code == 250:
                        self.ends(self.gate.mail_with(literal)["id"], "bounced")
                    else:
                        self.assertEqual(reply.code // 100, 5)
        self.assertEqual(sink.transcript, [])
        self.assertNotIn("exchanger_failed", [row.get("event") for row in self.gate.log()])


class Cached(Case):
    def test_many_mails_to_dead_domains_are_few_questions(self):
        self.dns.ttl = 60
        self.addCleanup(setattr, self.dns, "ttl", 1)
        self.dns.zones["fails.dead.example"] = "SERVFAIL"
        self.dns.zones["void.dead.example"] = {"MX": [(10, "gone.dead.example")]}
        for domain, most in (("none.dead.example", 4), ("fails.dead.example", 40),
                             ("void.dead.example", 4)):
            with self.subTest(domain=domain), self.gate.client() as c:
                for n in range(100):
                    to = f"x{n}@{domain}"
                    self.assertEqual(c.mail(SENDER, to, simple_mail(SENDER, to, "dead")).code, 250)
                wait_until(lambda d=domain: not self.gate.list(f"to:@{d}", "state:waiting"), 30)
                asked = sum(name == domain for name, _ in self.dns.asked)
                self.assertLessEqual(asked, most)
                self.assertGreater(asked, 0)


class Sources(Case):
    settings = {"outbound_addresses": "127.0.3.1=mx1.out.example,127.0.3.2=mx2.out.example,"
                                      "127.0.3.3,::1=six.out.example",
                "outbound_mails": "1", "outbound_connections": "1"}
    NAMES = {"127.0.3.1": b"mx1.out.example", "127.0.3.2": b"mx2.out.example",
             "127.0.3.3": b"sandbox.example"}

    def test_each_in_turn_with_its_name(self):
        sink = self.mx("turns.example")
        for _ in range(12):
            self.ends(self.send("x@turns.example"), "delivered")
        hello = {peer: {line for number, line in sink.transcript
                        if line.startswith(b"EHLO") and sink.peers[number - 1] == peer}
                 for peer in sink.peers}
        self.assertEqual(hello, {a: {b"EHLO " + name} for a, name in self.NAMES.items()})
        counts = [sink.peers.count(a) for a in self.NAMES]
        self.assertLessEqual(max(counts) - min(counts), 2, "each worker goes round by itself")
        rows = [row for row in self.gate.log("delivered") if row["to"] == "x@turns.example"]
        self.assertEqual(sorted(row["source"] for row in rows), sorted(sink.peers))
        self.assertEqual({row["hop"] for row in rows}, {"mx.turns.example"})

    def test_a_kept_connection_is_used_again_whatever_its_source(self):
        with Gateway(resolver=self.dns.address, policy=demo_policy("0s"), shards=1,
                     settings={**self.settings, "outbound_port": self.home.port,
                               "outbound_mails": "100"}) as gate:
            sink = self.mx("kept.example")
            for n in range(6):
                gate.send("x@kept.example", f"kept {n}")
                wait_until(lambda k=n: len(sink.got()) == k + 1, 10, "delivery")
            self.assertLess(len(sink.peers), 3)

    def test_one_that_is_not_here(self):
        """It is told once and left out, and no mail waits for it."""
        with Gateway(resolver=self.dns.address, policy=demo_policy("0s"), shards=1,
                     settings={**self.settings, "outbound_port": self.home.port,
                               "outbound_addresses": "192.0.2.77=no.example,127.0.3.9"}) as gate:
            sink = self.mx("absent.example")
            for n in range(8):
                gate.send("x@absent.example", f"absent {n}")
            wait_until(lambda: len(sink.got()) == 8, 10, "delivery")
            self.assertEqual(set(sink.peers), {"127.0.3.9"})
            told = gate.log("source_failed")
            self.assertEqual([(t["address"], t["why"]) for t in told],
                             [("192.0.2.77", "EADDRNOTAVAIL")])
            self.assertEqual(gate.ctl("status")[0][0]["counters"]["outbound_source_failed"], 1)

    def test_none_that_is_here(self):
        """Never from an address that nobody named: the mail waits."""
        with Gateway(resolver=self.dns.address, policy=demo_policy("0s"), shards=1,
                     settings={**self.settings, "outbound_port": self.home.port,
                               "outbound_addresses": "192.0.2.77,192.0.2.78"}) as gate:
            sink = self.mx("nobody.example")
            gate.send("x@nobody.example", "waits")
            mail = gate.mail_with("waits")["id"]
            gate.wait_states(mail, "retry")
            self.assertEqual(sink.peers, [])


class Descriptors(Case):
    settings = {"outbound_connections": "1", "shards": "1", "retry_first": "1s"}

    def test_DOS_10_a_burst_of_calls_leaves_some_to_the_disk(self):
        """Before none is left, calls are put off: mail waits, the control socket answers, and mail
        is taken."""
        sinks = [self.mx(f"burst{n}.example", {"banner": 3}) for n in range(40)]
        c = self.gate.client()  # new ones are refused before calls are put off
        self.addCleanup(c.close)
        used = len(os.listdir(f"/proc/{self.gate.pid}/fd"))
        before = resource.prlimit(self.gate.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.gate.pid, resource.RLIMIT_NOFILE, (used + 32 + 8, before[1]))
        time.sleep(1.2)  # a worker looks each second
        try:
            for n in range(40):
                to = f"x@burst{n}.example"
                self.assertEqual(c.mail(SENDER, to, simple_mail(SENDER, to, "burst")).code, 250)
            wait_until(lambda: len(self.gate.list("state:retry")) >= 25, 10, "mail put off")
            self.assertLessEqual(sum(len(s.peers) for s in sinks), 9)
            to = "y@burst0.example"
            self.assertEqual(c.mail(SENDER, to, simple_mail(SENDER, to, "one more")).code, 250)
        finally:
            resource.prlimit(self.gate.pid, resource.RLIMIT_NOFILE, before)
        wait_until(lambda: sum(len(s.got()) for s in sinks) == 41, 60, "all of it, once")


if __name__ == "__main__":
    unittest.main()
