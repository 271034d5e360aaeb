"""What one client, one user, one organisation may do, and how slowly (attacks.md 14). Limits count
at each worker by itself, so these gateways have one."""
import os
import resource
import socket
import ssl
import struct
import threading
import time
import unittest

from harness import PASSWORD, Client, Closed, Gateway, simple_mail, wait_until

SENDER, RECIPIENT = "alice@int.example", "bob@int.example"


class Case(unittest.TestCase):
    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.gate = cls.enterClassContext(Gateway(route="127.0.0.1:1", settings=cls.settings,
                                                 shards=1))

    def counter(self, name):
        return self.gate.ctl("status")[0][0]["counters"][name]

    def greeting(self, address=None):
        """(code of the first reply, client); 0: closed without one."""
        c = Client(address or self.gate.relay, greet=False)
        try:
            return c.reply().code, c
        except Closed:
            return 0, c


class Connections(Case):
    settings = {"connections_per_relay": "5", "connections_per_client": "3"}

    def test_DOS_01_an_address_has_its_share(self):
        for address, most in ((self.gate.relay, 5), (self.gate.submission, 3)):
            with self.subTest(most=most):
                held = [self.greeting(address) for _ in range(most)]
                self.assertEqual([code for code, _ in held], [220] * most)
                for _ in range(20):
                    code, c = self.greeting(address)
                    self.assertEqual(code, 421)
                    c.close()
                held.pop()[1].close()
                wait_until(lambda: self.taken(address), 5, "the place that was given back")
                for _, c in held:
                    c.close()

    def taken(self, address):
        code, c = self.greeting(address)
        c.close()
        return code == 220


class Floods(Case):
    settings = {"connects_per_relay_minute": "50"}

    def test_DOS_02_connect_and_close(self):
        codes = []
        for _ in range(100):
            code, c = self.greeting()
            c.close()
            codes.append(code)
        self.assertEqual(codes, [220] * 50 + [421] * 50)
        self.assertEqual(len(self.gate.log("client_refused")), 1, "one line, not one a connection")


class Errors(Case):
    settings = {"errors_per_relay_minute": "100"}

    def test_DOS_02_errors_over_many_connections(self):
        refused = 0
        for _ in range(20):
            code, c = self.greeting()
            refused += code == 421
            if code == 220:
                c.send(b"WHAT\r\n" * 19)
                self.assertEqual([c.reply().code for _ in range(19)], [500] * 19)
            c.close()
        self.assertEqual(refused, 14)

    def test_DOS_02_a_hundred_thousand_EHLOs(self):
        with Gateway(route="127.0.0.1:1", shards=1) as gate:
            for line in (b"EHLO x.example\r\n", b"NOOP\r\n", b"RSET\r\n", b"nonsense\r\n"):
                with self.subTest(line=line), Client(gate.relay) as c:
                    answered = 0
                    try:
                        while answered < 100000:
                            answered += c.command(line).code != 421
                    except Closed:
                        pass
                    self.assertLess(answered, 200)

    def test_SMUG_18_DOS_02_talks_before_the_greeting(self):
        """Not all are caught, for it is a race; none is let through out of order."""
        with Gateway(route="127.0.0.1:1", shards=1) as gate:
            caught = 0
            for _ in range(50):
                with Client(gate.relay, greet=False) as c:
                    c.send(b"EHLO x.example\r\nMAIL FROM:<alice@int.example>\r\n")
                    codes = [r.code for r in c.replies_until_close(5)]
                    self.assertIn(codes, ([], [554], [220, 503], [220]))
                    caught += codes[:1] != [220]
            self.assertEqual(gate.ctl("status")[0][0]["counters"]["smtpd_early"] >= caught, True)


class Pipelined(Case):
    settings = {"recipients": "10000"}

    def test_more_replies_than_we_keep(self):
        """RFC 2920: what is pipelined is answered in order, however much it is."""
        lines = b"".join(b"RCPT TO:<user%05d@int.example>\r\n" % n for n in range(10000))
        with self.gate.client() as c:
            c.expect(f"MAIL FROM:<{SENDER}>", 250)
            sender = threading.Thread(target=c.send, args=(lines + b"DATA\r\n",))
            sender.start()
            time.sleep(0.5)
            self.assertEqual({c.reply().code for _ in range(10000)}, {250})
            self.assertEqual(c.reply().code, 354)
            sender.join()
            c.send(b"Subject: all\r\n\r\n.\r\n")
            self.assertEqual(c.reply().code, 250)

    def test_DOS_02_one_that_never_reads(self):
        with Gateway(route="127.0.0.1:1", shards=1, settings={
                "errors": "1000000", "errors_per_relay_minute": "1000000000",
                "command_timeout": "2s", "handshake_timeout": "1s"}) as gate:
            with gate.client() as c:
                c.socket.settimeout(8)
                start = time.monotonic()
                with self.assertRaises((Closed, OSError)):
                    for _ in range(1000):
                        c.socket.sendall(b"nonsense\r\n" * 10000)
                self.assertLess(time.monotonic() - start, 7)
            with gate.client() as c:
                c.expect("NOOP", 250)
            self.assertLess(gate.memory_peak(), 400 << 20)


class Rates(Case):
    settings = {"messages_per_user_minute": "5", "recipients_per_user_minute": "30",
                "connections_per_user": "3"}

    def test_mails_of_a_user(self):
        """DOS-04: the user's, over connections and whatever the address; others go on."""
        codes = []
        for _ in range(2):
            with self.gate.client("submission") as c:
                for _ in range(4):
                    reply = c.command(f"MAIL FROM:<{SENDER}>")
                    codes.append(reply.code)
                    if reply.code == 250:
                        c.expect("RSET", 250)
        self.assertEqual(codes, [250] * 5 + [450] * 3)
        with self.gate.client("submissions", user="bob@int.example") as c:
            c.expect("MAIL FROM:<bob@int.example>", 250)
        self.assertGreaterEqual(self.counter("smtpd_limited"), 3)

    def test_recipients_of_a_user(self):
        with self.gate.client("submission", user="carol@int.example") as c:
            c.expect("MAIL FROM:<carol@int.example>", 250)
            codes = [c.command(f"RCPT TO:<u{n}@int.example>").code for n in range(60)]
            self.assertEqual(codes, [250] * 30 + [450] * 30)
            c.expect("DATA", 354)  # those taken go on
            c.send(b"Subject: thirty\r\n\r\n.\r\n")
            self.assertEqual(c.reply().code, 250)
        self.assertEqual(len(self.gate.mail_with("thirty")["recipients"]), 30)

    def test_connections_of_a_user(self):
        held = [self.gate.client("submission", user="admin@int.example") for _ in range(3)]
        with self.gate.client("submission", user=None) as c:
            self.assertEqual(c.auth("admin@int.example", PASSWORD).code, 421)
        for c in held:
            c.close()


class Logins(Case):
    settings = {"auth_failures_per_client": "10", "auth_lockout": "6s", "auth_window": "5m"}

    def test_TLSIN_09_an_address_with_many_failures(self):
        with self.gate.client("submission") as c:  # alice is known here
            c.quit()
        codes, times = [], []
        for n in range(20):
            with self.gate.client("submission", user=None) as c:
                start = time.monotonic()
                codes.append(c.auth(f"user{n}@int.example", "wrong").code)
                times.append(time.monotonic() - start)
        self.assertEqual(codes, [535] * 10 + [454] * 10)
        self.assertLess(max(times[10:]), 1)
        with self.gate.client("submission", user=None) as c:
            self.assertEqual(c.auth("bob@int.example", PASSWORD).code, 454)
        with self.gate.client("submission") as c:  # AUTH of alice succeeds
            c.quit()
        self.assertEqual(len(self.gate.log("client_locked")), 1)
        self.assertGreaterEqual(self.counter("smtpd_auth_locked"), 11)

        def again():
            with self.gate.client("submission", user=None) as c:
                return c.auth("bob@int.example", PASSWORD).code == 235
        wait_until(again, 20, "the end of the lock-out", every=0.3)


class Slow(Case):
    settings = {"data_rate_min": "1000", "data_grace": "2s", "command_timeout": "4s",
                "handshake_timeout": "2s"}

    def drip(self, c, data, every, seconds):
        """Send byte by byte until the peer ends it; the replies, and how long that took."""
        start, replies = time.monotonic(), []
        def read():
            try:
                replies.extend(c.replies_until_close(seconds))
            except (OSError, AssertionError):
                pass
        reader = threading.Thread(target=read)
        reader.start()
        try:
            for byte in data:
                c.send(bytes([byte]))
                time.sleep(every)
                if not reader.is_alive():
                    break
        except (Closed, OSError):
            pass
        reader.join()
        return [r.code for r in replies], time.monotonic() - start

    def test_DOS_01_content_byte_by_byte(self):
        with self.gate.client() as c:
            c.envelope(SENDER, RECIPIENT)
            c.expect("DATA", 354)
            codes, seconds = self.drip(c, b"x" * 200, 0.05, 15)
        self.assertEqual(codes, [421])
        self.assertLess(seconds, 6)
        self.assertNotIn("", [m["subject"] for m in self.gate.list("--all")])

    def test_DOS_01_a_command_byte_by_byte(self):
        with self.gate.client() as c:
            codes, seconds = self.drip(c, b"NOOP " + b"x" * 200, 0.1, 15)
        self.assertEqual(codes, [421])
        self.assertLess(seconds, 8)

    def test_TLSIN_11_a_handshake_byte_by_byte(self):
        with Client(self.gate.submissions, greet=False) as c:
            codes, seconds = self.drip(c, b"\x16\x03\x01\x02\x00\x01" + b"x" * 200, 0.1, 15)
        self.assertEqual(codes, [])
        self.assertLess(seconds, 5)

    def test_DOS_01_a_slow_but_honest_line(self):
        """At twice the least rate, longer than all graces and timeouts together."""
        line = b"x" * 98 + b"\r\n"
        with self.gate.client() as c:
            c.envelope(SENDER, RECIPIENT)
            c.expect("DATA", 354)
            c.send(b"Subject: honest\r\n\r\n")
            for _ in range(70):
                c.send(line * 2)
                time.sleep(0.1)
            c.send(b".\r\n")
            self.assertEqual(c.reply().code, 250)


class Exempt(Case):
    settings = {"connections_per_client": "2", "limit_exempt": "127.0.0.0/8"}

    def test_an_exempt_network_has_no_limits_of_an_address(self):
        held = [self.greeting(self.gate.submission) for _ in range(10)]
        self.assertEqual([code for code, _ in held], [220] * 10)
        for _, c in held:
            c.close()


def proxy_header(client, command=0x21, tlv=b""):
    """As HAProxy's send-proxy-v2 writes it; to 192.0.2.99:25."""
    six = ":" in client
    family = socket.AF_INET6 if six else socket.AF_INET
    address = (socket.inet_pton(family, client) +
               socket.inet_pton(family, "2001:db8::99" if six else "192.0.2.99") +
               struct.pack("!HH", 40000, 25))
    return (b"\r\n\r\n\0\r\nQUIT\n" + bytes([command, 0x21 if six else 0x11]) +
            struct.pack("!H", len(address) + len(tlv)) + address + tlv)


class Proxied(Case):
    settings = {"proxy_clients": "127.0.0.0/8", "connections_per_client": "3",
                "handshake_timeout": "2s"}

    def behind(self, address, header, tls=False):
        """A client whose first bytes are a header."""
        c = Client(address, greet=False)
        c.send(header)
        if tls:
            c._wrap()
        return c

    def test_REL_05_the_client_is_whom_the_header_names(self):
        for client in ("127.9.9.9", "::ffff:127.9.9.9"):
            with self.subTest(client=client), \
                    self.behind(self.gate.relay, proxy_header(client, tlv=b"\4\0\3abc")) as c:
                self.assertEqual(c.reply().code, 220)
                c.ehlo()
                c.mail(SENDER, RECIPIENT, simple_mail(SENDER, RECIPIENT, client))
                mail = self.gate.show(self.gate.mail_with(client)["id"])
                self.assertEqual(mail["client"].split()[0], "127.9.9.9")
        for client in ("192.0.2.7", "2001:db8::7"):  # nobody's network
            with self.subTest(client=client), \
                    self.behind(self.gate.relay, proxy_header(client)) as c:
                self.assertEqual(c.reply().code, 220)
                c.ehlo()
                c.expect(f"MAIL FROM:<{SENDER}>", 550)

    def test_REL_05_before_tls_in_one_segment_and_in_pieces(self):
        header = proxy_header("192.0.2.8")
        with self.behind(self.gate.submissions, header, tls=True) as c:
            self.assertEqual(c.reply().code, 220)
            c.ehlo()
            self.assertEqual(c.auth(SENDER, PASSWORD).code, 235)
        with Client(self.gate.submissions, greet=False) as c:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = c.context.wrap_bio(incoming, outgoing, server_hostname="localhost")
            with self.assertRaises(ssl.SSLWantReadError):
                tls.do_handshake()
            c.send(header + outgoing.read())  # with the client hello
            while True:
                incoming.write(c.socket.recv(65536))
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    c.send(outgoing.read())
            c.send(outgoing.read())
            while not incoming.pending or not (said := self.read(tls)):
                incoming.write(c.socket.recv(65536))
            self.assertTrue(said.startswith(b"220 "), said)
        with Client(self.gate.submission, greet=False) as c:
            for byte in header:
                c.send(bytes([byte]))
            self.assertEqual(c.reply().code, 220)
            c.ehlo()
            c.starttls()
            self.assertEqual(c.auth(SENDER, PASSWORD).code, 235)

    @staticmethod
    def read(tls):
        try:
            return tls.read(65536)
        except ssl.SSLWantReadError:
            return b""

    def test_REL_05_a_wrong_header_gets_no_word(self):
        good = proxy_header("192.0.2.9")
        for header in (b"EHLO x.example\r\n", b"PROXY TCP4 192.0.2.9 192.0.2.99 1 25\r\n",
                       good.replace(b"\x21\x11", b"\x21\x12"), b"\x16\x03\x01\x00\x05hello",
                       good.replace(b"\x21\x11\x00\x0c", b"\x21\x11\xff\xff")):
            with self.subTest(header=header), self.behind(self.gate.relay, header) as c:
                self.assertEqual(c.replies_until_close(5), [])
        with self.subTest("half a header"), self.behind(self.gate.relay, good[:20]) as c:
            self.assertEqual(c.replies_until_close(5), [])
        self.assertGreaterEqual(self.counter("smtpd_proxy_refused"), 5)

    def test_REL_05_talk_behind_the_header(self):
        with self.behind(self.gate.relay, proxy_header("127.0.0.1") + b"EHLO x.example\r\n") as c:
            self.assertIn([r.code for r in c.replies_until_close(5)], ([], [554]))

    def test_REL_05_the_limits_are_the_clients(self):
        for client in ("192.0.2.10", "192.0.2.11"):
            held = [self.behind(self.gate.submission, proxy_header(client)) for _ in range(4)]
            self.assertEqual([c.reply().code for c in held], [220] * 3 + [421])
            for c in held:
                c.close()

    def test_a_health_check(self):
        with self.behind(self.gate.relay, proxy_header("192.0.2.12", command=0x20)) as c:
            self.assertEqual(c.reply().code, 220)
            c.quit()


class Unproxied(Case):
    def test_REL_05_others_may_not_say_who_they_are(self):
        v1 = b"PROXY TCP4 127.0.0.1 127.0.0.1 1 25\r\n"
        for header in (proxy_header("127.0.0.1"), v1, b"XCLIENT ADDR=127.0.0.1\r\n"):
            with self.subTest(header=header), Client(self.gate.relay, greet=False) as c:
                c.send(header)
                for reply in c.replies_until_close(2) if header[:1] == b"\r" else self.two(c):
                    self.assertIn(reply.code, (220, 421, 500, 502, 521, 554))

    @staticmethod
    def two(c):
        try:
            return [c.reply(), c.reply()]
        except Closed:
            return []


class Overload(Case):
    settings = {"connections": "10", "mail_memory": "1MiB"}

    def overload(self):
        return self.gate.ctl("status")[0][0]["workers"][0]["overload"]

    def test_connections_with_hysteresis(self):
        held = [self.greeting() for _ in range(11)]
        self.assertEqual([code for code, _ in held], [220] * 10 + [421])
        wait_until(lambda: self.overload() == ["connections"], 5, "the status says so")
        held.pop()[1].close()
        held.pop()[1].close()
        self.assertEqual(self.greeting()[0], 421, "one place is free, and it waits for more")
        held.pop()[1].close()
        wait_until(lambda: self.greeting()[0] == 220, 5, "places again")
        for _, c in held:
            c.close()
        wait_until(lambda: self.overload() == [], 5, "the status")

    def test_memory_of_mails(self):
        held, codes = [], []
        for _ in range(8):
            c = self.gate.client()
            codes.append(c.command(f"MAIL FROM:<{SENDER}>").code)
            held.append(c)
            if codes[-1] == 250:
                c.expect(f"RCPT TO:<{RECIPIENT}>", 250)
                c.expect("DATA", 354)
                c.send(b"Subject: never\r\n\r\n" + (b"x" * 98 + b"\r\n") * 2400)
                c.silent(0.1)
        self.assertEqual(codes[0], 250)
        self.assertEqual(codes[-1], 452, codes)
        for c in held:
            c.close()

        def again():
            with self.gate.client() as c:
                return c.mail(SENDER, RECIPIENT, simple_mail(SENDER, RECIPIENT, "after")).code
        wait_until(lambda: self.overload() == [], 5, "memory again")
        self.assertEqual(again(), 250)

    def test_memory_that_was_promised_at_once(self):
        """All began while there was some: what is too much is refused at its end."""
        held = [self.gate.client() for _ in range(8)]
        for c in held:
            c.envelope(SENDER, RECIPIENT)
            c.expect("DATA", 354)
        for c in held:
            c.send(b"Subject: many\r\n\r\n" + (b"x" * 98 + b"\r\n") * 2400)
        time.sleep(0.3)
        for c in held:
            c.send(b".\r\n")
        codes = sorted(c.reply().code for c in held)
        self.assertEqual(codes[0], 250)
        self.assertEqual(codes[-1], 452)
        for c in held:
            c.close()

    def test_DOS_10_descriptors(self):
        """Before none is left: 421, so that storage has some. When none is left: 421 too."""
        used = len(os.listdir(f"/proc/{self.gate.pid}/fd"))
        before = resource.prlimit(self.gate.pid, resource.RLIMIT_NOFILE)
        for limit, taken in ((used + 64 + 5, 5), (used, 0)):
            with self.subTest(limit=limit):
                resource.prlimit(self.gate.pid, resource.RLIMIT_NOFILE, (limit, before[1]))
                time.sleep(1.2)  # a worker looks each second
                cpu = self.cpu()
                held = [self.greeting() for _ in range(9)]
                codes = [code for code, _ in held]
                self.assertEqual(set(codes[-3:]), {421}, codes)
                self.assertLessEqual(codes.count(220), taken + 1)
                time.sleep(0.5)
                self.assertLess(self.cpu() - cpu, 0.4, "a busy loop")
                resource.prlimit(self.gate.pid, resource.RLIMIT_NOFILE, before)
                for _, c in held:
                    c.close()
                wait_until(lambda: self.greeting()[0] == 220, 5, "recovery")
        self.assertEqual(self.gate.send(RECIPIENT, "recovered").code, 250)

    def cpu(self):
        with open(f"/proc/{self.gate.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    unittest.main()
