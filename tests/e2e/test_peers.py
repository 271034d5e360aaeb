"""Real clients send through the gateway, and real servers are its next hops."""
import email.message
import os
import shutil
import smtplib
import ssl
import subprocess
import tempfile
import unittest

from harness import PASSWORD, Gateway, ScriptSink, demo_policy, endpoint, simple_mail, wait_until
from peers import OpenSmtpd, Postfix, SmtpSink

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
                "pipelined": ["--server", self.gate.relay, "--pipeline"]}.items():
            with self.subTest(row=row):
                auth = ["-au", SENDER, "-ap", PASSWORD] if "--auth" in words else []
                self.run_program("swaks", "--from", SENDER, "--to", RECIPIENT,
                                 "--helo", "a.example",
                                 "--header", f"Subject: swaks {row}", *words, *auth)
                self.arrives(f"swaks {row}")

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

    def test_smtp_sink(self):
        with SmtpSink() as sink:
            self.through(sink)

    def test_opensmtpd(self):
        with OpenSmtpd() as smtpd:
            for mail in self.through(smtpd):
                self.assertIn(b"by ", mail)


if __name__ == "__main__":
    unittest.main()
