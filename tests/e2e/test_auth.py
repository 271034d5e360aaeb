"""Who may send as whom, and how one says who one is (attacks.md 3)."""
import base64
import os
import socket
import ssl
import subprocess
import time
import unittest

from harness import (PASSWORD, BadReply, Client, Closed, Gateway, ScriptSink, endpoint,
                     simple_mail, wait_until)

SENDER, RECIPIENT = "alice@int.example", "bob@int.example"
NO_PROOF = "c=biws,r=a,p=WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="  # and another nonce


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


class Auth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = cls.enterClassContext(ScriptSink())
        cls.gate = cls.enterClassContext(Gateway(route=cls.sink.address))

    def secure(self, service="submission"):
        return self.gate.client(service, user=None)

    def test_both_mechanisms_on_both_services(self):
        for service in ("submission", "submissions"):
            for mechanism in ("PLAIN", "LOGIN"):
                with self.subTest(service=service, mechanism=mechanism), self.secure(service) as c:
                    self.assertIn(mechanism, c.features["AUTH"].split())
                    self.assertEqual(c.auth(SENDER, PASSWORD, mechanism).code, 235)
                    subject = f"{service} {mechanism}"
                    reply = c.mail(SENDER, RECIPIENT, simple_mail(SENDER, RECIPIENT, subject))
                    self.assertEqual(reply.code, 250)
                    c.quit()
                mail = self.gate.mail_with(subject)
                self.gate.wait_states(mail["id"], "delivered")
        self.assertIn(b" with ESMTPSA id ", self.sink.got()[-1].content)

    def test_wrong_password_and_unknown_user(self):
        replies = set()
        for user, password in ((SENDER, "wrong"), (SENDER, PASSWORD + " "), (SENDER, PASSWORD[:-1]),
                               (SENDER, PASSWORD.upper()), ("nobody@int.example", PASSWORD),
                               ("alice@ext.example", PASSWORD), ("alice", PASSWORD)):
            for mechanism in ("PLAIN", "LOGIN"):
                with self.subTest(user=user, password=password), self.secure() as c:
                    reply = c.auth(user, password, mechanism)
                    self.assertEqual(reply.code, 535)
                    replies.add(reply.text)
                    c.expect(f"MAIL FROM:<{SENDER}>", 530)
        self.assertEqual(len(replies), 1, "the reply tells which users there are")

    def test_a_user_sends_as_itself_only(self):
        rows = {SENDER: True, "Alice@INT.example": True, "bob@int.example": False,
                "alice@ext.example": False, "carol@int.example": False, "help@int.example": False,
                "alice+x@int.example": False, "": False}
        with self.gate.client("submission") as c:
            for sender, allowed in rows.items():
                reply = c.command(f"MAIL FROM:<{sender}>")
                self.assertEqual(reply.code, 250 if allowed else 550, (sender, reply))
                c.expect("RSET", 250)

    def test_a_group_grants_its_mailbox(self):
        with self.gate.client("submission", user="bob@int.example") as c:
            c.expect("MAIL FROM:<help@int.example>", 250)
            c.expect("RSET", 250)
            c.expect("MAIL FROM:<alice@int.example>", 550)

    def test_foreign_sender_on_relay(self):
        with self.gate.client() as c:
            for sender in ("x@ext.example", "alice@group.example", "alice@sub.int.example",
                           "alice@int.example.ext.example", "alice@xint.example"):
                reply = c.command(f"MAIL FROM:<{sender}>")
                self.assertEqual(reply.code, 550, (sender, reply))
            for sender in ("", "anybody@int.example", "x@INT.EXAMPLE"):
                c.expect(f"MAIL FROM:<{sender}>", 250)
                c.expect("RSET", 250)
            c.expect("AUTH PLAIN " + b64(f"\0{SENDER}\0{PASSWORD}"), 5)

    def test_a_changed_password_and_a_removed_user(self):
        done = self.gate.run_ctl("user", "password", "carol@int.example", json_output=False,
                                 stdin="a-new-password-2026\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        with self.secure() as c:
            self.assertEqual(c.auth("carol@int.example", PASSWORD).code, 535)
            self.assertEqual(c.auth("carol@int.example", "a-new-password-2026").code, 235)
        self.gate.ctl("user", "remove", "carol@int.example", "--yes", json=False)
        with self.secure() as c:
            self.assertEqual(c.auth("carol@int.example", "a-new-password-2026").code, 535)

    # --- TLSIN ---------------------------------------------------------------------------------
    def test_TLSIN_01_02_bytes_behind_starttls(self):
        for tail in (b"NOOP\r\n", b"MAIL FROM:<evil@int.example>\r\n", b"EHLO x\r\nRSET\r\n"):
            with self.subTest(tail=tail), Client(self.gate.submission, ehlo="a.example") as c:
                c.send(b"STARTTLS\r\n" + tail)
                try:
                    self.assertEqual(c.reply().code, 220)
                    self.assertEqual(c.pending, b"", "a reply too many")
                    c._wrap()
                    self.assertTrue(c.silent(0.2), "an injected command was answered inside TLS")
                    c.ehlo("b.example")
                    self.assertEqual(c.auth(SENDER, PASSWORD).code, 235)
                    c.expect("DATA", 503)
                except (Closed, ssl.SSLError, ConnectionError):
                    pass  # closing is right, too

    def test_TLSIN_02_an_attackers_prefix_before_a_victims_mail(self):
        """What came in clear text is no sender, no recipient and no user inside TLS, wherever its
        segments were cut."""
        prefix = b"STARTTLS\r\nMAIL FROM:<evil@int.example>\r\nRCPT TO:<evil@ext.example>\r\n"
        through = 0
        for service in ("submission", "relay"):
            for cut in (10, 30, len(prefix)):
                with self.subTest(service=service, cut=cut), \
                        Client(getattr(self.gate, service), ehlo="a.example") as c:
                    name = f"victim {service} {cut}"
                    c.send(prefix[:cut], prefix[cut:])
                    try:
                        self.assertEqual(c.reply().code, 220)
                        self.assertEqual(c.pending, b"", "a reply too many")
                        c._wrap()
                        c.ehlo("b.example")
                        if service == "submission":
                            self.assertEqual(c.auth(SENDER, PASSWORD).code, 235)
                    except (Closed, ssl.SSLError, ConnectionError):
                        continue  # closing is right, too
                    through += 1
                    c.expect(f"RCPT TO:<{RECIPIENT}>", 503)
                    reply = c.mail(SENDER, RECIPIENT, simple_mail(SENDER, RECIPIENT, name))
                    self.assertEqual(reply.code, 250, reply)
                    mail = self.gate.show(self.gate.mail_with(name)["id"])
                    self.assertEqual([r["address"] for r in mail["recipients"]], [RECIPIENT])
                    self.assertEqual(mail["sender"], SENDER)
        self.assertGreaterEqual(through, 2, "a prefix in one segment is dropped")

    def test_TLSIN_03_nothing_is_remembered(self):
        with Client(self.gate.submission, ehlo="a.example") as c:
            c.starttls(ehlo=None)
            c.expect(f"MAIL FROM:<{SENDER}>", 503)
            c.expect("AUTH PLAIN " + b64(f"\0{SENDER}\0{PASSWORD}"), 503)

    def test_TLSIN_04_starttls_in_the_wrong_place(self):
        with Client(self.gate.relay, ehlo="a.example") as c:
            c.expect("STARTTLS now", 501)
            c.expect(f"MAIL FROM:<{SENDER}>", 250)
            c.expect("STARTTLS", 503)
            c.expect("RSET", 250)
            c.starttls()
            self.assertNotIn("STARTTLS", c.features)
            c.expect("STARTTLS", 503)

    def test_TLSIN_05_auth_before_tls(self):
        for address in (self.gate.submission, self.gate.relay):
            with Client(address, ehlo="a.example") as c:
                self.assertNotIn("AUTH", c.features)
                c.expect("AUTH PLAIN " + b64(f"\0{SENDER}\0{PASSWORD}"), 5)
        with Client(self.gate.submission, ehlo="a.example") as c:
            c.expect(f"MAIL FROM:<{SENDER}>", 530)

    def test_TLSIN_06_order_of_auth(self):
        with self.gate.client("submissions") as c:
            c.expect("AUTH PLAIN " + b64(f"\0{SENDER}\0{PASSWORD}"), 503)
            c.expect(f"MAIL FROM:<{SENDER}>", 250)
            c.expect("AUTH PLAIN " + b64(f"\0{SENDER}\0{PASSWORD}"), 503)
        with self.secure("submissions") as c:
            c.expect(f"MAIL FROM:<{SENDER}>", 530)

    def test_TLSIN_07_bad_exchanges(self):
        rows = {
            "=AAA": 501, "!!!!": 501, "AGFsaWNl\tAA==": 501, b64("no nul at all"): 501,
            b64(f"\0{SENDER}"): 501, b64(f"bob@int.example\0{SENDER}\0{PASSWORD}"): 535,
            b64(f"\0alice\r\nINJECTED=1\0{PASSWORD}"): (501, 535),
            b64(f"\0alice@int.example\n\0{PASSWORD}"): (501, 535),
            b64(b"\0\xff\xfe\0x"): (501, 535), b64(f"\0{SENDER}\0{PASSWORD}") + "=": 501,
            b64("\0" + "u" * 2000 + "\0x"): (500, 501, 535),
        }
        for text, codes in rows.items():
            with self.subTest(text=text[:40]), self.secure() as c:
                first = c.command("AUTH PLAIN")
                self.assertEqual(first.code, 334)
                reply = c.command(text)
                self.assertIn(reply.code, codes if isinstance(codes, tuple) else (codes,))
                c.expect(f"MAIL FROM:<{SENDER}>", 530)
        with self.secure() as c:
            c.expect("AUTH PLAIN", 334)
            c.expect("*", 501)
            c.expect("AUTH PLAIN", 334)
            c.send(b"A" * 20000 + b"\r\n")
            self.assertEqual(c.reply().code // 100, 5)
            c.expect("AUTH X-UNKNOWN", 504)
        with open(f"{self.gate.dir}/sekimori.log", encoding="utf-8") as f:
            for line in f:
                self.assertTrue(line.startswith("time="), line)
                self.assertNotIn(PASSWORD, line)

    def test_TLSIN_07_authzid_of_oneself(self):
        with self.secure() as c:
            c.expect("AUTH PLAIN " + b64(f"{SENDER}\0{SENDER}\0{PASSWORD}"), 235)

    def test_TLSIN_11_http_at_the_tls_port(self):
        with self.secure("submissions") as c:
            c.send(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\n")
            replies = c.replies_until_close(10)
            self.assertLessEqual(len(replies), 2)
            self.assertFalse([r for r in replies if r.code < 400])

    def test_TLSIN_12_plain_text_at_the_tls_port(self):
        with Client(self.gate.submissions, greet=False) as c:
            self.assertTrue(c.silent(0.3), "a greeting without TLS")
            c.send(b"EHLO a.example\r\n")
            try:
                self.assertEqual(c.replies_until_close(10), [])
            except BadReply as e:  # a TLS alert is no reply
                self.assertIn("\\x15\\x03", str(e))

    def test_tls_versions_and_the_certificate(self):
        context = ssl.create_default_context(cafile=self.gate.ca)
        for service, implicit in (("submissions", True), ("submission", False)):
            address = getattr(self.gate, service)
            with Client(address, tls=implicit, context=context, ehlo="a.example") as c:
                if not implicit:
                    c.starttls()
                self.assertIn(c.socket.version(), ("TLSv1.3", "TLSv1.2"))
        old = ssl._create_unverified_context()
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, ConnectionError, socket.timeout)):
            Client(self.gate.submissions, tls=True, context=old)


class Scram(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = cls.enterClassContext(ScriptSink())
        cls.gate = cls.enterClassContext(Gateway(route=cls.sink.address))

    def secure(self, service="submissions"):
        return self.gate.client(service, user=None)

    def test_on_both_services(self):
        for service in ("submission", "submissions"):
            with self.subTest(service=service), self.secure(service) as c:
                self.assertEqual(c.features["AUTH"], "PLAIN LOGIN SCRAM-SHA-256")
                self.assertEqual(c.auth(SENDER, PASSWORD, "SCRAM-SHA-256").code, 235)
                c.expect(f"MAIL FROM:<{SENDER}>", 250)
                c.expect("AUTH SCRAM-SHA-256 biwsbj1hLHI9Yg==", 503)
        with self.secure() as c:
            self.assertEqual(c.auth("Alice@INT.example", PASSWORD, "SCRAM-SHA-256").code, 235)

    def test_TLSIN_05_not_before_tls_and_not_at_relay(self):
        for address in (self.gate.submission, self.gate.relay):
            with Client(address, ehlo="a.example") as c:
                self.assertNotIn("AUTH", c.features)
                c.expect("AUTH SCRAM-SHA-256 biwsbj1hLHI9Yg==", 5)

    def test_TLSIN_09_an_unknown_user_looks_like_a_known_one(self):
        replies, seen = set(), {}
        for user in (SENDER, "nobody@int.example", "NOBODY@int.example", "x@ext.example"):
            for _ in range(3):
                with self.secure() as c:
                    reply = c.auth(user, "wrong", "SCRAM-SHA-256")
                    self.assertEqual(reply.code, 535)
                    replies.add(reply.text)
                    first = c.scram_first
                    seen.setdefault(user.lower(), set()).add((first["s"], first["i"]))
                    c.expect(f"MAIL FROM:<{SENDER}>", 530)
        self.assertEqual(len(replies), 1, "the reply tells which users there are")
        self.assertEqual({len(one) for one in seen.values()}, {1}, "one salt for one name")
        salts = [salt for one in seen.values() for salt, _ in one]
        self.assertEqual(len(set(salts)), 3)
        self.assertEqual(len({len(salt) for salt in salts}), 1)
        self.assertEqual(len({count for one in seen.values() for _, count in one}), 1)

    def test_TLSIN_07_broken_messages(self):
        rows = {"n,,n=alice@int.example,r=a": 334, "n,,n=,r=a": 501, "x": 501, "": 501,
                "p=tls-exporter,,n=a,r=b": 501, "n,a=bob@int.example,n=alice@int.example,r=a": 535,
                "n,,n=a\nINJECTED=1,r=b": 501, "n,,n=a=,r=b": 501}
        for first, code in rows.items():
            with self.subTest(first=first), self.secure() as c:
                self.assertEqual(c.command("AUTH SCRAM-SHA-256 " + (b64(first) or "=")).code, code)
                if code == 334:
                    c.expect(b64(NO_PROOF), 535)
                c.expect(f"MAIL FROM:<{SENDER}>", 530)
        with self.secure() as c:
            c.expect("AUTH SCRAM-SHA-256 " + b64("n,,n=alice@int.example,r=a"), 334)
            c.expect("*", 501)
            c.expect("", 500)  # an empty line is no proof once the exchange is over
            c.expect("AUTH SCRAM-SHA-256 " + b64("n,,n=alice@int.example,r=a"), 334)
            c.expect("", 501)
            self.assertEqual(c.auth(SENDER, PASSWORD, "SCRAM-SHA-256").code, 235)

    def test_msmtp(self):
        host, port = endpoint(self.gate.submissions)
        config = os.path.join(self.gate.dir, "msmtprc")
        for mechanism in ("scram-sha-256", "on"):
            subject = f"msmtp {mechanism}"
            with open(config, "w", encoding="ascii") as f:
                os.chmod(config, 0o600)
                f.write(f"account default\nhost {host}\nport {port}\ntls on\ntls_starttls off\n"
                        f"tls_trust_file {self.gate.ca}\ntls_host_override localhost\n"
                        f"auth {mechanism}\nuser {SENDER}\npassword {PASSWORD}\nfrom {SENDER}\n")
            mail = simple_mail(SENDER, RECIPIENT, subject).replace(b"\r\n", b"\n")
            subprocess.run(["msmtp", "-C", config, RECIPIENT], input=mail, check=True, timeout=60)
            self.gate.wait_states(self.gate.mail_with(subject)["id"], "delivered")


class Stores(unittest.TestCase):
    """What is kept in place of passwords decides what is offered."""
    HASH = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"

    def make(self, *users):
        lines = "".join(f"  - {{address: {user}@other.example{more}}}\n" for user, more in users)
        return f"organisation: other\ndomains: [other.example]\nusers:\n{lines}"

    def mechanisms(self, gate):
        with gate.client("submissions", user=None) as c:
            return c.features["AUTH"]

    def test_offered_when_all_who_have_a_password_can(self):
        # RFC 7677 3: the password is "pencil"
        verifier = ("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")
        with Gateway(route="127.0.0.1:1") as gate:
            def load(*users):
                done = gate.run_ctl("org", "import", "-", json_output=False,
                                    stdin=self.make(*users))
                self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("SCRAM-SHA-256", self.mechanisms(gate))
            load(("old", f', password_hash: "{self.HASH}"'))
            self.assertEqual(self.mechanisms(gate), "PLAIN LOGIN")
            rows = {u["address"]: u["scram"] for u in gate.ctl("user", "list")[0]}
            self.assertFalse(rows["old@other.example"])
            self.assertTrue(rows[SENDER])
            with gate.client("submissions", user=None) as c:
                c.expect("AUTH SCRAM-SHA-256 biwsbj1hLHI9Yg==", 504)
            load(("none", ""), ("pen", f', password_scram: "{verifier}"'))
            self.assertIn("SCRAM-SHA-256", self.mechanisms(gate))
            for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
                for user, password, code in (("pen", "pencil", 235), ("pen", "pencils", 535),
                                             ("none", "pencil", 535)):
                    with gate.client("submissions", user=None) as c:
                        reply = c.auth(f"{user}@other.example", password, mechanism)
                        self.assertEqual(reply.code, code, (mechanism, user, password))
            text = gate.ctl("org", "export", "other")[0][0]["text"]
            self.assertIn(verifier, text)
            # A new password takes the old proof away.
            done = gate.run_ctl("user", "password", "pen@other.example", json_output=False,
                                stdin="another-password\n")
            self.assertEqual(done.returncode, 0, done.stderr)
            for password, code in (("pencil", 535), ("another-password", 235)):
                for mechanism in ("PLAIN", "SCRAM-SHA-256"):
                    with gate.client("submissions", user=None) as c:
                        reply = c.auth("pen@other.example", password, mechanism)
                        self.assertEqual(reply.code, code, (mechanism, password))


class Tickets(unittest.TestCase):
    SERVICES = ("relay", "submission", "submissions")

    @classmethod
    def setUpClass(cls):
        cls.gate = cls.enterClassContext(Gateway(route="127.0.0.1:1", shards=3))

    def connect(self, service, context, session=None):
        """(was it resumed, its session)"""
        implicit = service == "submissions"
        with Client(getattr(self.gate, service), tls=implicit, context=context, ehlo="a.example",
                    session=session) as c:
            if not implicit:
                c.starttls()
            resumed = c.socket.session_reused
            c.expect("QUIT", 221)  # and with its bytes comes the ticket of TLS 1.3
            return resumed, c.socket.session

    def test_TLSIN_10_a_ticket_is_good_at_its_service_only(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl._create_unverified_context()
            context.minimum_version = context.maximum_version = version
            for service in self.SERVICES:
                resumed, session = self.connect(service, context)
                self.assertFalse(resumed)
                for other in self.SERVICES:
                    # Often enough that each worker is met.
                    for _ in range(12):
                        resumed, _ = self.connect(other, context, session)
                        self.assertEqual(resumed, other == service, (version, service, other))
        counters = self.gate.ctl("status")[0][0]["counters"]
        self.assertEqual(counters["smtpd_tls_resumed"], 2 * 3 * 12)
        self.assertEqual(counters["smtpd_tls"], 2 * 3 * (1 + 3 * 12))

    def test_TLSIN_10_nor_at_another_server(self):
        context = ssl._create_unverified_context()
        _, session = self.connect("submissions", context)
        self.gate.restart()
        resumed, _ = self.connect("submissions", context, session)
        self.assertFalse(resumed)


class Throttle(unittest.TestCase):
    def test_TLSIN_09_an_answer_is_held_back_and_nobody_else_waits(self):
        with Gateway(route="127.0.0.1:1", settings={"auth_delay": "2s"}, shards=1) as gate, \
                gate.client("submissions", user=None) as c:
            for mechanism in ("PLAIN", "SCRAM-SHA-256"):
                start = time.monotonic()
                line = b64(f"\0{SENDER}\0wrong")
                if mechanism == "PLAIN":
                    c.send(f"AUTH PLAIN {line}\r\n".encode())
                else:
                    c.expect("AUTH SCRAM-SHA-256 " + b64(f"n,,n={SENDER},r=a"), 334)
                    c.send(b64(NO_PROOF).encode() + b"\r\n")
                with gate.client("submissions") as other:  # the same worker serves it meanwhile
                    other.expect(f"MAIL FROM:<{SENDER}>", 250)
                self.assertLess(time.monotonic() - start, 2)
                self.assertEqual(c.reply().code, 535)
                self.assertGreaterEqual(time.monotonic() - start, 2)
            c.expect("NOOP", 250)
            with gate.client("submissions", user=None) as gone:
                gone.send(f"AUTH PLAIN {line}\r\n".encode())
                time.sleep(0.5)
            time.sleep(2)  # its answer finds nobody
            self.assertEqual(gate.ctl("status")[0][0]["counters"]["smtpd_auth_failed"], 3)
            self.assertEqual({row["user"] for row in gate.log("auth_failed")}, {SENDER})

    def test_TLSIN_09_wrong_passwords_of_one_connection(self):
        settings = {"auth_failures_per_connection": "2"}
        with Gateway(route="127.0.0.1:1", settings=settings) as gate, \
                gate.client("submissions", user=None) as c:
            self.assertEqual(c.auth(SENDER, "wrong").code, 535)
            self.assertEqual(c.auth(SENDER, "wrong", "SCRAM-SHA-256").code, 535)
            c.expect("NOOP", 250)
            self.assertEqual(c.auth(SENDER, PASSWORD).code, 421)
            self.assertEqual(c.replies_until_close(), [])

    def test_many_failures_end_the_connection(self):
        with Gateway(route="127.0.0.1:1", settings={"errors": "3"}) as gate, \
                gate.client("submissions", user=None) as c:
            codes = []
            try:
                for _ in range(30):
                    codes.append(c.auth(SENDER, "wrong").code)
            except Closed:
                pass
            self.assertLess(len(codes), 30)
            self.assertEqual(codes[-1], 421)
            wait_until(gate.is_running, 1)


if __name__ == "__main__":
    unittest.main()
