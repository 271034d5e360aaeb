"""Whose turn it is: floods, dead, slow and sticky destinations beside mail for others. Rows OUT-18,
DOS-06 and DOS-09 of the list of attacks."""
import concurrent.futures
import time
import unittest

from harness import Dns, Gateway, demo_policy, load, sanitized, simple_mail, wait_until
from hops import Busy, Hang, Hops, Shut, Slow, Tarpit

SENDER, OTHER = "alice@int.example", "bob@int.example"
QUICK = 5  # seconds; alone on a machine it is well below one


class PaceCase(unittest.TestCase):
    settings = {}
    policy = demo_policy("0s")

    def setUp(self):
        self.numbers = 0
        self.hops = self.enterContext(Hops())
        self.dns = self.enterContext(Dns(ttl=60))
        self.gate = self.enterContext(Gateway(
            resolver=self.dns.address, policy=self.policy, shards=1,
            settings={"outbound_port": self.hops.port, "notices": "off", **self.settings}))

    def domain(self, name, kind=None):
        """A domain with an exchanger of this kind; its address."""
        self.numbers += 1
        address = f"127.9.{self.numbers // 250}.{self.numbers % 250 + 1}"
        self.dns.zones[name] = {"A": [address]}
        if kind:
            self.hops.kinds[address] = kind
        return address

    def flood(self, count, recipient, sender=SENDER):
        self.assertEqual(load("--to", self.gate.relay, "--messages", count, "--connections", 20,
                              "--size", 500, "--from", sender, "--rcpt", recipient)["acked"], count)

    def arrives(self, recipient, seconds, sender=SENDER):
        """Seconds that a new mail takes."""
        began = time.time()
        self.gate.send(recipient, "lone", sender=sender)
        wait_until(lambda: self.hops.to(recipient), seconds, f"a mail for {recipient}")
        return self.hops.to(recipient)[0][2] - began

    def status(self):
        return self.gate.ctl("status")[0][0]


class Floods(PaceCase):
    COUNT = 2000 if sanitized() else 8000  # at 20 connections and 0.1 s: 40 s

    def test_a_flood_for_a_slow_destination(self):
        slow = self.domain("slow.example", Slow(0.1))
        self.domain("brisk.example")
        self.flood(self.COUNT, "x%d@slow.example")
        self.arrives("a@brisk.example", QUICK)
        self.arrives("b@brisk.example", QUICK, OTHER)
        self.arrives("y@slow.example", QUICK, OTHER)  # in front of the others at the slow one, too
        self.assertLessEqual(self.hops.most[slow], 20)
        self.assertLess(len(self.hops.mails), self.COUNT / 2, "it is not over yet")

    def test_a_flood_for_a_dead_destination(self):
        dead = self.domain("shut.example", Shut())
        self.domain("brisk.example")
        self.flood(self.COUNT, "x%d@shut.example")
        self.arrives("a@brisk.example", QUICK)
        began = time.time()
        wait_until(lambda: self.status()["counters"]["deferred"] >= self.COUNT, 60, "all deferred")
        self.assertLess(self.hops.opened[dead], 8 + (time.time() - began) / 2, "dials")


class Concurrency(PaceCase):
    def test_it_grows_with_success(self):
        hop = self.domain("grows.example", Slow(0.02))
        self.flood(600, "x%d@grows.example")
        wait_until(lambda: len(self.hops.mails) == 600, 30)
        self.assertGreater(self.hops.most[hop], 10)
        self.assertLessEqual(self.hops.most[hop], 20)

    def test_it_shrinks_with_too_many(self):
        hop = self.domain("busy.example", Busy(4, 0.02))
        self.flood(600, "x%d@busy.example")
        wait_until(lambda: len(self.hops.mails) == 600, 30)
        self.assertLess(self.hops.refused[hop], 60)
        self.assertGreater(self.status()["counters"]["outbound_slowed"], 0)


class Down(PaceCase):
    settings = {"retry_first": "60s"}

    def test_a_flush_ends_a_pause(self):
        address = self.domain("mended.example", Shut())
        self.gate.send("a@mended.example", "waits")
        mail = self.gate.mail_with("waits")["id"]
        for dials in range(1, 6):  # the next pause would be 16 s and more
            wait_until(lambda n=dials: self.hops.opened[address] >= n, QUICK, f"dial {dials}")
            self.gate.wait_states(mail, "retry", QUICK)
            self.gate.ctl("flush")
        self.hops.kinds.pop(address)
        wait_until(lambda: self.gate.ctl("flush") is not None and
                   self.hops.to("a@mended.example"), QUICK, "the mail, when a person says now", 0.5)


class Dos06(PaceCase):
    COUNT = 1500

    def test_DOS_06_all_due_in_one_second(self):
        slow = self.domain("nine.example", Slow(0.1))
        self.domain("new.example")
        due = int(time.time()) + 20
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(due))
        content = simple_mail(SENDER, ["x@nine.example"])

        def deliver(n):
            with self.gate.client() as c:
                return [c.mail(SENDER, [f"x{n}.{k}@nine.example"], content,
                               f" HOLDUNTIL={until}").code for k in range(self.COUNT // 15)]
        with concurrent.futures.ThreadPoolExecutor(15) as crowd:
            for codes in crowd.map(deliver, range(15)):
                self.assertEqual(set(codes), {250})
        self.assertLess(time.time(), due, "all are in before the first is due")
        time.sleep(due + 0.5 - time.time())
        for n in range(5):
            self.arrives(f"a{n}@new.example", QUICK)
        self.assertLess(len(self.hops.mails), self.COUNT, "in the middle of it")
        wait_until(lambda: len(self.hops.mails) == self.COUNT + 5, 60, "all of them")
        self.assertGreaterEqual(min(m[2] for m in self.hops.mails), due, "never early")
        self.assertLessEqual(self.hops.most[slow], 20)


class Out18(PaceCase):
    COUNT = 1000
    settings = {"outbound_connections_first": "2"}

    def test_OUT_18_a_thousand_tarpits(self):
        self.domain("known.example")
        self.domain("unknown.example")
        for n in range(self.COUNT):
            self.domain(f"t{n}.tar.example", Tarpit())
        self.arrives("first@known.example", 10)
        self.flood(self.COUNT, f"x@t%{self.COUNT}m.tar.example")
        # an organisation gets a third of outbound_total for hops that took no mail of ours yet
        wait_until(lambda: self.status()["workers"][0]["outbound"] >= 330, 30, "sticking")
        self.arrives("a@known.example", QUICK)
        # stuck after 5 s, and three rounds of a third are in front of it at most
        self.arrives("a@unknown.example", 15 + QUICK)
        self.arrives("b@unknown.example", QUICK, OTHER)
        self.assertLessEqual(self.status()["workers"][0]["outbound"], 1000)
        wait_until(lambda: sum(self.hops.opened.values()) > self.COUNT, 60, "a try of each")


class Dos09(PaceCase):
    COUNT = 2000
    settings = {"connect_timeout": "5s"}

    def test_DOS_09_dead_domains(self):
        self.domain("live.example")
        for n in range(self.COUNT):
            if n % 40 == 2:
                self.dns.zones[f"d{n}.dead.example"] = "DROP"
            elif n % 3 == 0:
                continue  # NXDOMAIN
            elif n % 3 == 1:
                self.dns.zones[f"d{n}.dead.example"] = "SERVFAIL"
            else:
                self.domain(f"d{n}.dead.example", Hang() if n % 2 else Shut())
        before = self.gate.memory_peak()
        self.flood(2 * self.COUNT, f"x%d@d%{self.COUNT}m.dead.example")
        self.arrives("a@live.example", 6 + QUICK, OTHER)  # a question has 3 s where others wait
        self.arrives("b@live.example", 6 + QUICK)
        most = 0
        for _ in range(10):
            worker = self.status()["workers"][0]
            most = max(most, worker["lookups"])
            self.assertLessEqual(worker["destinations"], 10000)
            time.sleep(1)
        self.assertLessEqual(most, 200, "questions under way")
        if not sanitized():
            self.assertLess(self.gate.memory_peak() - before, 200 << 20)
        # negative answers are kept: a domain is not asked about for each of its mails
        asked = sum(name.endswith("d1.dead.example") for name, _ in self.dns.asked)
        self.flood(50, "y%d@d1.dead.example")
        time.sleep(1)
        again = sum(name.endswith("d1.dead.example") for name, _ in self.dns.asked)
        self.assertLess(again - asked, 40)


if __name__ == "__main__":
    unittest.main()
