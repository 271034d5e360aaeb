"""Real mail servers for test_peers: Postfix, smtp-sink and OpenSMTPD, each from a directory of its
own, none of them touching what is installed or configured on the machine."""
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from harness import wait_until

POSTFIX_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""

POSTFIX_MAIN = """\
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
maillog_file_prefixes = {dir}
maillog_file = {dir}/log
myhostname = postfix.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
smtpd_relay_restrictions = permit_mynetworks, reject
virtual_mailbox_domains = next.example
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
relayhost = {relayhost}
smtp_tls_security_level = encrypt
smtp_tls_CAfile = {ca}
smtpd_tls_security_level = may
smtpd_tls_chain_files = {chain}
smtpd_forbid_bare_newline = yes
message_size_limit = 60000000
virtual_mailbox_limit = 0
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process=None):
    def there():
        if process and process.poll() is not None:
            raise unittest.SkipTest(f"{process.args[0]} ended with status {process.returncode}")
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0
    wait_until(there, 10, f"a server at port {port}")


class Server:
    """with Postfix(...) as p: p.address, p.mails()"""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="peer.")
        os.chmod(self.dir, 0o755)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def mails(self):
        found = []
        for path in sorted(glob.glob(f"{self.dir}/mail/**/*", recursive=True)):
            if os.path.isfile(path) and "/tmp/" not in path[len(self.dir):]:
                with open(path, "rb") as f:
                    found.append(f.read())
        return found

    def maildir(self):
        os.mkdir(f"{self.dir}/mail")
        os.chown(f"{self.dir}/mail", 65534, 65534)


class Postfix(Server):
    def __init__(self, relayhost="", ca="", chain=""):
        if not shutil.which("postfix") or os.getuid() != 0:
            raise unittest.SkipTest("needs Postfix, and root to start it")
        self.words = {"relayhost": relayhost, "ca": ca, "chain": chain}

    def start(self):
        self.maildir()
        for name in ("spool", "data"):
            os.mkdir(f"{self.dir}/{name}")
        os.chown(f"{self.dir}/data", pwd.getpwnam("postfix").pw_uid, -1)
        with open(f"{self.dir}/main.cf", "w", encoding="utf-8") as f:
            f.write(POSTFIX_MAIN.format(dir=self.dir, **self.words))
        with open(f"{self.dir}/master.cf", "w", encoding="utf-8") as f:
            f.write(POSTFIX_MASTER.format(port=self.port))
        self.run("start")
        wait_for_port(self.port)

    def run(self, verb):
        done = subprocess.run(["postfix", "-c", self.dir, verb], capture_output=True, text=True)
        if done.returncode and verb == "start":
            raise AssertionError(f"postfix {verb}: {done.stderr}{self.log()}")

    def log(self):
        try:
            with open(f"{self.dir}/log", encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def stop(self):
        if os.path.exists(f"{self.dir}/main.cf"):
            self.run("abort")
            time.sleep(0.1)


class SmtpSink(Server):
    """Postfix's smtp-sink; a file per mail."""

    def start(self):
        program = shutil.which("smtp-sink")
        if not program:
            raise unittest.SkipTest("needs smtp-sink of Postfix")
        self.maildir()
        self.process = subprocess.Popen([program, "-u", "nobody", "-d", f"{self.dir}/mail/%M.",
                                         self.address, "10"], cwd=f"{self.dir}/mail")
        wait_for_port(self.port, self.process)

    def stop(self):
        if hasattr(self, "process"):
            self.process.kill()
            self.process.wait()


OPENSMTPD_START = """\
set -e
cp /etc/passwd $1/passwd; cp /etc/group $1/group
grep -q ^opensmtpd: $1/passwd || cat >>$1/passwd <<END
opensmtpd:x:64901:64901::/var/lib/opensmtpd/empty:/usr/sbin/nologin
opensmtpq:x:64902:64902::/nonexistent:/usr/sbin/nologin
END
grep -q ^opensmtpd: $1/group || printf 'opensmtpd:x:64901:\\nopensmtpq:x:64902:\\n' >>$1/group
mount --bind $1/passwd /etc/passwd
mount --bind $1/group /etc/group
for at in /var/spool /var/lib /run; do mount -t tmpfs none $at; done
mkdir -p /var/spool/smtpd /var/lib/opensmtpd/empty
chmod 711 /var/spool/smtpd /var/lib/opensmtpd/empty
mount --bind $1/root/usr/libexec /usr/libexec
exec $1/root/usr/sbin/smtpd -d -f $1/smtpd.conf
"""

OPENSMTPD_CONF = """\
table v {{ "@" = "nobody" }}
listen on 127.0.0.1 port {port}
action "keep" maildir "{dir}/mail" virtual <v>
match from any for any action "keep"
"""


class OpenSmtpd(Server):
    """Debian's package, unpacked only: it conflicts with Postfix. It runs in a mount namespace with
    its two users and its spool, which end with it. Without TLS: in Debian 12's the handshake fails
    with any client."""

    def start(self):
        self.maildir()
        self.unpack()
        with open(f"{self.dir}/smtpd.conf", "w", encoding="utf-8") as f:
            f.write(OPENSMTPD_CONF.format(dir=self.dir, port=self.port))
        with open(f"{self.dir}/log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(["unshare", "-m", "sh", "-c", OPENSMTPD_START, "sh",
                                             self.dir], stdout=log, stderr=log,
                                            start_new_session=True)
        wait_for_port(self.port, self.process)

    def unpack(self):
        if os.getuid() != 0:
            raise unittest.SkipTest("OpenSMTPD needs root")
        cache = os.path.join(os.environ.get("TMPDIR", "/tmp"), "sekimori-e2e-opensmtpd")
        os.makedirs(cache, exist_ok=True)
        if not glob.glob(f"{cache}/*.deb"):
            subprocess.run(["apt-get", "download", "-q", "opensmtpd"], cwd=cache,
                           capture_output=True)
        packages = glob.glob(f"{cache}/*.deb")
        if not packages:
            raise unittest.SkipTest("apt-get download opensmtpd gave nothing")
        subprocess.run(["dpkg", "-x", packages[0], f"{self.dir}/root"], check=True)

    def stop(self):
        if hasattr(self, "process"):
            try:
                os.killpg(self.process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
            self.process.wait()
