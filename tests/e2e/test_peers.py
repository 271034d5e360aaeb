"""Real clients send through the gateway, and real servers are its next hops."""
import email.message
import email.policy
import os
import shutil
import smtplib
import ssl
import subprocess
import tempfile
import unittest

from harness import PASSWORD, Gateway, ScriptSink, demo_policy, endpoint, simple_mail, wait_until
from peers import Exim, OpenSmtpd, Postfix, SmtpSink

SENDER, RECIPIENT = "alice@int.example", "bob@int.example"


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = cls.enterClassContext(ScriptSink())
        cls.gate = cls.enterClassContext(Gateway(route=cls.sink.address))
        cls.dir = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.context = ssl.create_default_context(cafile=cls.gate.ca)

    def arrives(self, subject, needle=b""):
        line = f"Subject: {subject}\r\n".encode()
        find = lambda: [m for m in self.sink.got() if line in m.content]
        mail = wait_until(find, 10, f"the mail {subject!r}")[0]
        self.assertEqual((mail.sender, mail.recipients), (SENDER, [RECIPIENT]))
        self.assertIn(needle, mail.content)
        return mail

    def run_program(self, *words, stdin=None):
        if not shutil.which(words[0]):
            self.skipTest(f"{words[0]} is not installed")
        done = subprocess.run(words, input=stdin, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_smtplib(self):
        for service in ("submission", "submissions"):
            host, port = endpoint(getattr(self.gate, service))
            kind = smtplib.SMTP_SSL if service == "submissions" else smtplib.SMTP
            more = {"context": self.context} if service == "submissions" else {}
            with self.subTest(service=service), kind(host, port, **more) as s:
                if service == "submission":
                    s.starttls(context=self.context)
                s.login(SENDER, PASSWORD)
                mail = email.message.EmailMessage()
                mail["From"], mail["To"], mail["Subject"] = SENDER, RECIPIENT, f"smtplib {service}"
                mail.set_content("こんにちは\n.\n..\n")
                mail.add_attachment(os.urandom(100000), maintype="application", subtype="x")
                self.assertEqual(s.send_message(mail), {})
                with self.assertRaises(smtplib.SMTPResponseException) as refused:
                    s.sendmail("bob@int.example", RECIPIENT, b"x: y\r\n\r\n")
                self.assertEqual(refused.exception.smtp_code, 550)
            got = self.arrives(f"smtplib {service}").content
            self.assertIn(b"\r\nMessage-ID: <", got)
            self.assertIn(b"\r\nDate: ", got)

    def test_swaks(self):
        for row, words in {
                "relay": ["--server", self.gate.relay],
                "relay tls": ["--server", self.gate.relay, "--tls", "--tls-verify",
                              "--tls-ca-path", self.gate.ca],
                "submission": ["--server", self.gate.submission, "--tls", "--auth", "PLAIN"],
                "submission login": ["--server", self.gate.submission, "--tls", "--auth", "LOGIN"],
                "submissions": ["--server", self.gate.submissions, "--tlsc", "--auth", "PLAIN"],
                "pipelined": ["--server", self.gate.relay, "--pipeline"],
                "submission pipelined": ["--server", self.gate.submission, "--tls", "--pipeline",
                                         "--auth", "PLAIN", "--tls-sni", "localhost",
                                         "--tls-protocol", "tlsv1_3"],
                "submissions login tls 1.2": ["--server", self.gate.submissions, "--tlsc",
                                              "--auth", "LOGIN", "--tls-protocol", "tlsv1_2"],
                "best mechanism": ["--server", self.gate.submissions, "--auth", "any",
                                   "--protocol", "SSMTPA"],
                "ESMTPSA": ["--server", self.gate.submission, "--auth", "LOGIN,PLAIN",
                            "--protocol", "ESMTPSA"],
                "HELO": ["--server", self.gate.relay, "--protocol", "SMTP"],
                "parts": ["--server", self.gate.relay, "--tls", "--pipeline", "--body", "one",
                          "--attach", f"@{__file__}"]}.items():
            with self.subTest(row=row):
                auth = ["-au", SENDER, "-ap", PASSWORD] if "--auth" in words else []
                self.run_program("swaks", "--from", SENDER, "--to", RECIPIENT,
                                 "--helo", "a.example",
                                 "--header", f"Subject: swaks {row}", *words, *auth)
                self.arrives(f"swaks {row}")

    def test_swaks_refused(self):
        rows = {"password": (["--server", self.gate.submission, "--tls", "--auth", "PLAIN",
                              "-au", SENDER, "-ap", "wrong"], "535 5.7.8"),
                "no tls": (["--server", self.gate.submission, "--auth", "PLAIN", "-au", SENDER,
                            "-ap", PASSWORD], "530 5.7.0"),
                "sender": (["--server", self.gate.relay, "--from", "x@ext.example"], "550 5.7.1")}
        for row, (words, want) in rows.items():
            with self.subTest(row=row):
                done = subprocess.run(["swaks", "--to", RECIPIENT, "--from", SENDER,
                                       "--auth-optional" if row == "no tls" else "-nih", *words],
                                      capture_output=True, timeout=60, text=True)
                self.assertNotEqual(done.returncode, 0, done.stdout)
                self.assertIn(want, done.stdout)

    def test_curl(self):
        path = os.path.join(self.dir, "mail")
        for service, scheme in (("submission", "smtp"), ("submissions", "smtps")):
            with self.subTest(service=service):
                with open(path, "wb") as f:
                    f.write(simple_mail(SENDER, RECIPIENT, f"curl {service}", body=".\r\n..x\r\n"))
                self.run_program(
                    "curl", "-sS", "--ssl-reqd", "--cacert", self.gate.ca, "--mail-from", SENDER,
                    "--mail-rcpt", RECIPIENT, "--user", f"{SENDER}:{PASSWORD}",
                    "--upload-file", path,
                    f"{scheme}://{getattr(self.gate, service)}/a.example")
                got = self.arrives(f"curl {service}").content
                self.assertTrue(got.endswith(b"\r\n.\r\n..x\r\n"))

    def test_msmtp(self):
        for service, starttls in (("submission", "on"), ("submissions", "off")):
            host, port = endpoint(getattr(self.gate, service))
            config = os.path.join(self.dir, f"msmtprc-{service}")
            with open(config, "w", encoding="ascii") as f:
                f.write(f"account default\nhost {host}\nport {port}\nfrom {SENDER}\nauth on\n"
                        f"user {SENDER}\npassword {PASSWORD}\ntls on\ntls_starttls {starttls}\n"
                        f"tls_trust_file {self.gate.ca}\n")
            os.chmod(config, 0o600)
            with self.subTest(service=service):
                mail = simple_mail(SENDER, RECIPIENT, f"msmtp {service}").replace(b"\r\n", b"\n")
                self.run_program("msmtp", "-C", config, RECIPIENT, stdin=mail)
                self.arrives(f"msmtp {service}")

    def test_postfix_as_a_client(self):
        host, port = endpoint(self.gate.relay)
        with Postfix(relayhost=f"[{host}]:{port}", ca=self.gate.ca) as postfix, \
                smtplib.SMTP(*endpoint(postfix.address)) as s:
            for n in range(20):
                s.sendmail(SENDER, RECIPIENT, simple_mail(SENDER, RECIPIENT, f"postfix {n}"))
            for n in range(20):
                got = self.arrives(f"postfix {n}", b" with ESMTPS id ").content
                self.assertIn(b"by postfix.example", got)
            self.assertNotIn("fatal", postfix.log())
            self.assertEqual(postfix.log().count("status=sent"), 20)


class Extensions(unittest.TestCase):
    """What clients ask for arrives at a hop that offers it."""
    UTF8, kept = "花子@ext.example", []

    @classmethod
    def setUpClass(cls):
        cls.sink = cls.enterClassContext(ScriptSink(
            features=("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN")))
        cls.gate = cls.enterClassContext(Gateway(route=cls.sink.address,
                                                 policy=demo_policy("0s", "")))

    def arrived(self, subject):
        """(the mail, its RCPT lines)"""
        line = f"\nSubject: {subject}\r\n".encode()
        find = lambda: [m for m in self.sink.got() if line in m.content]
        mail = wait_until(find, 20, f"the mail {subject!r}")[0]
        return mail, [l.decode() for l in self.sink.commands("RCPT")
                      if any(f"<{r}>".encode() in l for r in mail.recipients)]

    def postfix(self):
        """One for all tests, from the first that needs it."""
        if not self.kept:
            host, port = endpoint(self.gate.submission)
            self.kept.append(self.enterClassContext(Postfix(
                relayhost=f"[{host}]:{port}", ca=self.gate.ca, login=f"{SENDER}:{PASSWORD}")))
        return self.kept[0]

    def test_postfix_as_a_client_with_AUTH_and_DSN(self):
        postfix = self.postfix()
        with smtplib.SMTP(*endpoint(postfix.address)) as s:
            s.sendmail(SENDER, ["dsn1@ext.example", "dsn2@ext.example"],
                       simple_mail(SENDER, "dsn1@ext.example", "postfix dsn"),
                       ["RET=HDRS", "ENVID=env+2B1"],
                       ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Old+2Bx@ext.example"])
        mail, lines = self.arrived("postfix dsn")
        self.assertIn(b"with ESMTPSA id ", mail.content)
        self.assertEqual(mail.recipients, ["dsn1@ext.example", "dsn2@ext.example"])
        self.assertRegex(mail.mail_line.decode(), r" RET=HDRS ENVID=env\+2B1$")
        for line in lines:
            self.assertRegex(line, r" NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Old\+2Bx@ext.example$")
        wait_until(lambda: postfix.log().count("to=<dsn") == 2, 10, "both told of")
        self.assertNotIn("status=bounced", postfix.log())
        self.assertNotIn("fatal", postfix.log())

    def test_postfix_as_a_client_with_SMTPUTF8(self):
        postfix = self.postfix()
        mail = email.message.EmailMessage(email.policy.SMTPUTF8)
        mail["From"], mail["To"], mail["Subject"] = SENDER, self.UTF8, "件名 postfix"
        mail.set_content("こんにちは\n")
        with smtplib.SMTP(*endpoint(postfix.address)) as s:
            s.send_message(mail)
        got, lines = self.arrived("件名 postfix")
        self.assertIn(b"with UTF8SMTPSA id ", got.content)
        self.assertEqual(got.recipients, [self.UTF8])
        self.assertIn(b" SMTPUTF8", got.mail_line)
        # Postfix 3.7 wrote ORCPT=rfc822;+E8+8A+B1+E5+AD+90@ext.example
        self.assertTrue(lines[-1].endswith(f" ORCPT=utf-8;{self.UTF8}"), lines)

    def test_smtplib_with_SMTPUTF8(self):
        mail = email.message.EmailMessage(email.policy.SMTPUTF8)
        mail["From"], mail["To"], mail["Subject"] = SENDER, self.UTF8, "件名 smtplib"
        mail.set_content("こんにちは\n.\n")
        with smtplib.SMTP(*endpoint(self.gate.submission)) as s:
            s.starttls(context=ssl.create_default_context(cafile=self.gate.ca))
            s.login(SENDER, PASSWORD)
            s.send_message(mail, rcpt_options=["NOTIFY=NEVER"])
        got, lines = self.arrived("件名 smtplib")
        self.assertIn(b"with UTF8SMTPSA id ", got.content)
        self.assertEqual(got.recipients, [self.UTF8])
        self.assertIn(b" BODY=8BITMIME SMTPUTF8", got.mail_line)
        self.assertTrue(lines[-1].endswith(" NOTIFY=NEVER"))

    def test_curl_with_SMTPUTF8(self):
        path = os.path.join(self.gate.dir, "curl-mail")
        with open(path, "wb") as f:
            f.write(simple_mail(SENDER, self.UTF8, "curl utf8"))
        done = subprocess.run(
            ["curl", "-sS", "--cacert", self.gate.ca, "--mail-from", SENDER, "--mail-rcpt",
             self.UTF8, "--mail-rcpt", "second@ext.example", "--mail-auth", SENDER,
             "--login-options", "AUTH=LOGIN", "--user", f"{SENDER}:{PASSWORD}", "--upload-file",
             path, f"smtps://{self.gate.submissions}/a.example"],
            capture_output=True, timeout=60, env={**os.environ, "LC_ALL": "C.UTF-8"})
        self.assertEqual(done.returncode, 0, done.stderr)
        got, _ = self.arrived("curl utf8")
        self.assertEqual(sorted(got.recipients), ["second@ext.example", self.UTF8])
        self.assertIn(b" SMTPUTF8", got.mail_line)

    def test_exim_with_BDAT(self):
        body = "".join(f"line {n}\r\n..\r\n.\r\n" for n in range(60000))
        with Exim(self.gate.relay, self.gate.ca) as exim:
            for subject, text in (("exim small", "one\r\n.\r\n..x\r\n"), ("exim large", body)):
                exim.send(SENDER, ["exim@ext.example", "exim2@ext.example"],
                          simple_mail(SENDER, "exim@ext.example", subject, body=text))
                mail, _ = self.arrived(subject)
                self.assertTrue(mail.content.endswith(b"\r\n\r\n" + text.encode()))
                self.assertIn(b"by exim.example", mail.content)
            sent = [l for l in exim.log().splitlines() if " => " in l or " -> " in l]
            self.assertEqual(len(sent), 4, exim.log())
            for line in sent:
                self.assertRegex(line, r" K .*C=\"250 ", "Exim's mark of CHUNKING")

    def test_swaks_by_PROXY(self):
        with Gateway(route=self.sink.address, policy=demo_policy("0s", ""), settings={
                "proxy_clients": "127.0.0.0/8"}) as gate:
            done = subprocess.run(
                ["swaks", "--server", gate.submission, "--from", SENDER, "--to", RECIPIENT,
                 "--helo", "a.example", "--header", "Subject: swaks proxy", "--tls", "--auth",
                 "PLAIN", "-au", SENDER, "-ap", PASSWORD, "--proxy-version", "2",
                 "--proxy-family", "AF_INET", "--proxy-protocol", "STREAM", "--proxy-command",
                 "PROXY", "--proxy-source", "192.0.2.77", "--proxy-source-port", "4711",
                 "--proxy-dest", "192.0.2.1", "--proxy-dest-port", "587"],
                capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("[192.0.2.77]", self.arrived("swaks proxy")[0].content.decode())


class NextHops(unittest.TestCase):
    BODY = "".join(f"line {n} " + "x" * n + "\r\n" for n in range(0, 900, 7)) + ".\r\n..\r\n\r\n"

    def through(self, hop, count=20):
        """Mails through a gateway to the hop; each arrives once, with its body as it was."""
        with Gateway(route=hop.address, policy=demo_policy("0s")) as gate:
            for n in range(count):
                gate.send("x@next.example", f"hop {n}", content=simple_mail(
                    SENDER, "x@next.example", f"hop {n}", body=self.BODY))
            wait_until(lambda: not gate.list(), 20, "an empty queue")
            self.assertEqual({r["state"] for m in gate.list("--all") for r in m["recipients"]},
                             {"delivered"})
        wait_until(lambda: len(hop.mails()) >= count, 20, "all mails at the hop")
        mails = [m.replace(b"\r\n", b"\n") for m in hop.mails()]
        self.assertEqual(len(mails), count)
        for n in range(count):
            mine = [m for m in mails if f"\nSubject: hop {n}\n".encode() in m]
            self.assertEqual(len(mine), 1)
            self.assertEqual(mine[0].partition(b"\n\n")[2].rstrip(b"\n"),
                             self.BODY.encode().replace(b"\r\n", b"\n").rstrip(b"\n"))
        return mails

    def certificate(self):
        directory = self.enterContext(tempfile.TemporaryDirectory())
        paths = f"{directory}/cert.pem", f"{directory}/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                        "-subj", "/CN=next.example", "-out", paths[0], "-keyout", paths[1]],
                       check=True, capture_output=True)
        return paths

    def test_postfix(self):
        certificate, key = self.certificate()
        chain = os.path.join(os.path.dirname(key), "chain.pem")
        with open(chain, "w", encoding="ascii") as f:
            for path in (key, certificate):
                with open(path, encoding="ascii") as part:
                    f.write(part.read())
        with Postfix(chain=chain) as postfix:
            for mail in self.through(postfix):
                self.assertIn(b"(Postfix) with ESMTPS id ", mail)

    def test_postfix_with_DSN_and_SMTPUTF8(self):
        sink = self.enterContext(ScriptSink(features=("PIPELINING", "8BITMIME", "SMTPUTF8",
                                                      "DSN")))
        postfix = self.enterContext(Postfix(relayhost="[127.0.0.1]:%d" % endpoint(sink.address)[1],
                                            tls="none"))
        with smtplib.SMTP(*endpoint(postfix.address)) as s:
            s.ehlo()
            for word in ("chunking", "dsn", "smtputf8"):
                self.assertTrue(s.has_extn(word), word)
        gate = self.enterContext(Gateway(route=postfix.address, policy=demo_policy("0s", "")))
        with gate.client("submission") as c:
            c.expect(f"MAIL FROM:<{SENDER}> RET=HDRS ENVID=trace+2B7 SMTPUTF8", 250)
            c.send("RCPT TO:<太郎@next.example> NOTIFY=SUCCESS,FAILURE,DELAY "
                   "ORCPT=utf-8;一郎@old.example\r\n".encode())
            self.assertEqual(c.reply().code, 250)
            c.expect("DATA", 354)
            c.send(f"From: {SENDER}\r\nTo: 太郎@next.example\r\nSubject: 到達\r\n\r\n"
                   "本文\r\n.\r\n".encode())
            self.assertEqual(c.reply().code, 250)
        kept = wait_until(postfix.mails, 20, "the mail in its mailbox")[0].decode()
        self.assertIn("Subject: 到達", kept)
        self.assertRegex(kept, r"\(Postfix\) with (UTF8SMTP|ESMTP)S? id ")
        self.assertRegex(kept, r"with UTF8SMTPSA id")
        report = wait_until(sink.got, 20, "Postfix' report")[0].content.decode()
        self.assertIn("Action: delivered", report)
        self.assertIn("Original-Envelope-Id: trace+7", report)
        self.assertRegex(report, "Original-Recipient: utf-8; ?一郎@old.example")

    def test_smtp_sink(self):
        with SmtpSink() as sink:
            self.through(sink)

    def test_opensmtpd(self):
        with OpenSmtpd() as smtpd:
            for mail in self.through(smtpd):
                self.assertIn(b"by ", mail)


if __name__ == "__main__":
    unittest.main()
