#!/usr/bin/env python3
"""The extractor as workers meet it: real files, broken ones, bombs, and what it must not be able
to do. python3 tests/extractor/test_extractor.py BUILD_DIR"""
import bz2
import gzip
import io
import lzma
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
import zipfile
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import client  # noqa: E402
import files  # noqa: E402
from client import (CONTAINER, HIDDEN, IS_ENCRYPTED, LINK, MACROS, ODD, OPAQUE, RAW, READABLE,
                    ENCRYPTED, UNREADABLE)  # noqa: E402
from files import SECRET  # noqa: E402

BUILD = os.path.abspath("build")


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.extractor = client.Extractor(BUILD)

    @classmethod
    def tearDownClass(cls):
        cls.extractor.stop()

    def ask(self, data, **options):
        answer = self.extractor.ask(data, **options)
        self.assertIsNotNone(answer, "it died of it")
        return answer

    def readable(self, data, *words, **options):
        a = self.ask(data, **options)
        self.assertEqual((a.verdict, a.reason), (READABLE, "NONE"), a)
        said = a.everything()
        for word in words:
            self.assertIn(word, said)
        return a

    def unreadable(self, data, reason, **options):
        a = self.ask(data, **options)
        self.assertEqual((a.verdict, a.reason), (UNREADABLE, reason), a)
        return a

    def encrypted(self, data, **options):
        a = self.ask(data, **options)
        self.assertEqual(a.verdict, ENCRYPTED, a)
        self.assertTrue(a.flags & IS_ENCRYPTED)
        return a


class Texts(Case):
    def test_plain(self):
        self.readable(SECRET.encode(), SECRET)

    def test_what_is_not_utf8_comes_as_it_is(self):
        for charset in ("shift_jis", "euc-jp", "iso-2022-jp"):
            raw = (SECRET * 20 + "です。\r\n").encode(charset)
            a = self.readable(raw)
            self.assertEqual(a.texts[0], [("", raw)])

    def test_utf16_by_its_mark(self):
        a = self.readable(("\ufeff" + SECRET).encode("utf-16-le"), SECRET)
        self.assertEqual(a.texts[0][0][0], "utf-16le")

    def test_empty(self):
        self.assertEqual(self.readable(b"").texts, {})

    def test_html_by_its_content_and_by_its_name(self):
        page = f"<!DOCTYPE html><html><body>社<b>外</b>秘</body></html>".encode()
        self.assertEqual(self.readable(page).members[0].type, "text/html")
        a = self.readable("社<b>外</b>秘".encode(), name=b"a.HTML")
        self.assertEqual(a.text().count("秘"), 2)  # as text, and as HTML

    def test_rtf(self):
        body = "".join("\\'%02x" % b for b in SECRET.encode("cp932"))
        a = self.readable(("{\\rtf1\\ansi\\ansicpg932{\\fonttbl{\\f0\\fcharset128 MS;}}\\f0 "
                           + body + "\\par \\u31038?\\u22806?\\u31192?}").encode())
        self.assertEqual(a.members[0].type, "text/rtf")
        self.assertEqual([c for c, _ in a.texts[0]], ["shift_jis", "utf-8"])
        self.assertEqual(a.text().count(SECRET), 2)

    def test_rtf_with_an_object(self):
        self.unreadable(b"{\\rtf1 x{\\object{\\*\\objdata 0105}}}", "FORMAT")


class Office(Case):
    def test_docx_runs_are_joined(self):
        a = self.readable(files.docx(files.paragraph("社", "外", "秘") + files.paragraph("b")),
                          SECRET + "\nb\n")
        self.assertEqual(a.members[0].type, "application/vnd.openxmlformats-officedocument."
                                            "wordprocessingml.document")
        self.assertFalse(a.flags & HIDDEN)

    def test_docx_hidden_data(self):
        rows = {
            "deleted": '<w:p><w:del><w:r><w:delText>社外秘</w:delText></w:r></w:del></w:p>',
            "inserted": '<w:p><w:ins w:id="1"><w:r><w:t>社外秘</w:t></w:r></w:ins></w:p>',
            "vanished": '<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>社外秘</w:t></w:r></w:p>',
        }
        for name, body in rows.items():
            with self.subTest(name):
                self.assertTrue(self.readable(files.docx(body), SECRET).flags & HIDDEN)
        shown = '<w:p><w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>社外秘</w:t></w:r></w:p>'
        self.assertFalse(self.readable(files.docx(shown), SECRET).flags & HIDDEN)

    def test_docx_headers_footers_comments_notes(self):
        parts = [(f"word/{n}.xml", f"<w:x {files.W}>{files.paragraph(n + '語')}</w:x>")
                 for n in ("header1", "footer2", "footnotes", "endnotes")]
        comment = (f'<w:comments {files.W}><w:comment w:id="0">{files.paragraph("内緒")}'
                   "</w:comment></w:comments>")
        a = self.readable(files.docx("", *parts, ("word/comments.xml", comment)),
                          "header1語", "footer2語", "footnotes語", "endnotes語", "内緒")
        self.assertTrue(a.flags & HIDDEN)

    def test_docx_with_a_workbook_and_a_picture_in_it(self):
        inner = files.xlsx("", [SECRET])
        a = self.readable(files.docx(files.paragraph("x"),
                                     ("word/embeddings/a.xlsx", inner),
                                     ("word/media/i.png", files.PNG)))
        m = a.find("word/embeddings/a.xlsx")
        self.assertIn(SECRET, a.text(m.index))
        self.assertTrue(a.find("word/media/i.png").flags & OPAQUE)

    def test_docx_macros(self):
        a = self.ask(files.docx("", ("word/vbaProject.bin", files.compound([("dir", b"x")]))))
        self.assertTrue(a.flags & MACROS)

    def test_xlsx(self):
        rows = ('<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1"><v>123456789018</v></c>'
                '<c r="C1" t="inlineStr"><is><t>直書</t></is></c>'
                '<c r="D1" t="str"><f>"式"&amp;1</f><v>値</v></c></row>')
        a = self.readable(files.xlsx(rows, [SECRET]), SECRET, "123456789018", "直書", "値", '"式"',
                          "一覧")
        self.assertFalse(a.flags & HIDDEN)
        sheet = a.text()
        self.assertNotIn("\t0\t", "\t" + sheet)  # an index is no number of the sheet

    def test_xlsx_hidden(self):
        rows = {"sheet": files.xlsx("", [], '<sheet name="x" sheetId="1" state="veryHidden"/>'),
                "row": files.xlsx('<row r="1" hidden="1"/>'),
                "column": files.xlsx('<cols><col min="1" max="1" hidden="1"/></cols>')}
        for name, data in rows.items():
            with self.subTest(name):
                self.assertTrue(self.readable(data).flags & HIDDEN)

    def test_xlsb(self):
        self.unreadable(files.ooxml([("xl/workbook.bin", b"\0\1\2\3")]), "FORMAT")

    def test_pptx(self):
        a = self.readable(files.pptx(SECRET, "覚え書き"), SECRET, "覚え書き")
        self.assertFalse(a.flags & HIDDEN)
        self.assertTrue(self.readable(files.pptx(SECRET, "", ' show="0"')).flags & HIDDEN)

    def test_odt(self):
        a = self.readable(files.odt(SECRET), SECRET)
        self.assertEqual(a.members[0].type, "application/vnd.oasis.opendocument.text")

    def test_odt_encrypted(self):
        locked = '<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>'
        self.encrypted(files.odt(SECRET, locked))

    def test_xml_with_entities(self):
        lol = ('<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]><x>&b;</x>')
        self.unreadable(files.ooxml([("word/document.xml", lol)]), "DAMAGED")

    def test_xml_cut_off(self):
        self.unreadable(files.ooxml([("word/document.xml", f"<w:x {files.W}><w:p>")]), "DAMAGED")

    def test_OOXML_encrypted(self):
        self.encrypted(files.compound([("EncryptionInfo", b"x"), ("EncryptedPackage", b"y")]))

    def test_xls(self):
        a = self.readable(files.xls([SECRET, "ABC"]), SECRET, "ABC")
        self.assertEqual(a.members[0].type, "application/vnd.ms-excel")
        self.encrypted(files.xls([SECRET], locked=True))

    def test_doc(self):
        a = self.readable(files.doc(SECRET + "です\r"), SECRET)
        self.assertEqual(a.members[0].type, "application/msword")
        self.encrypted(files.doc(SECRET, locked=True))

    def test_ppt_encrypted(self):
        self.encrypted(files.compound([("PowerPoint Document", b"x"), ("EncryptedSummary", b"y")]))

    def test_compound_of_something_else(self):
        self.unreadable(files.compound([("Contents", b"x")]), "FORMAT")

    def test_compound_damaged(self):
        whole = files.xls([SECRET])
        for cut in (8, 511, 512, 600, len(whole) - 1024):
            with self.subTest(cut):
                self.unreadable(whole[:cut], "DAMAGED")


class Pdf(Case):
    def test_text(self):
        a = self.readable(files.pdf(SECRET), SECRET)
        self.assertEqual(a.members[0].type, "application/pdf")

    def test_in_a_charset_of_japanese_programs(self):
        self.readable(files.pdf_sjis(SECRET), SECRET)

    def test_junk_in_front(self):
        self.readable(b"junk\n" * 20 + files.pdf(SECRET), SECRET)

    def test_encrypted(self):
        whole = files.pdf(SECRET)
        self.encrypted(files.by_program("a.pdf", whole, "qpdf", "--encrypt", "user", "owner",
                                        "256", "--", "IN", "OUT"))
        # only what may be done with it is locked: everybody can read it
        self.readable(files.by_program("a.pdf", whole, "qpdf", "--encrypt", "", "owner", "256",
                                       "--", "IN", "OUT"), SECRET)

    def test_damaged(self):
        self.unreadable(b"%PDF-1.4\n" + os.urandom(500), "DAMAGED")

    def test_no_text(self):
        self.assertTrue(self.readable(files.pdf(" ")).flags & OPAQUE)


class Containers(Case):
    def test_tree(self):
        inner = files.zipped([("b.docx", files.docx(files.paragraph(SECRET)))])
        a = self.readable(files.zipped([("a.zip", inner), ("c.txt", "c")]), SECRET)
        b = a.find("b.docx")
        self.assertEqual([(m.name, m.parent, m.depth) for m in a.members],
                         [("x", 0, 0), ("a.zip", 0, 1), ("b.docx", 1, 2), ("c.txt", 0, 1)])
        self.assertEqual(a.text(b.index), SECRET + "\n")
        self.assertTrue(a.members[1].flags & CONTAINER)

    def test_ZIP_09_by_their_marks(self):
        body = SECRET.encode()
        rows = {
            "tar": files.tarred([("f.txt", body)]),
            "tar.gz": files.tarred([("f.txt", body)], "w:gz"),
            "gz": gzip.compress(body), "bz2": bz2.compress(body), "xz": lzma.compress(body),
            "7z": files.by_program("f.txt", body, "7z", "a", "-t7z", "out.7z", "IN"),
            "cpio": files.by_program("f.txt", body, "bsdtar", "-cf", "out", "--format", "cpio",
                                     "f.txt"),
            "iso": files.by_program("f.txt", body, "bsdtar", "-cf", "out", "--format", "iso9660",
                                    "f.txt"),
            "zst": files.by_program("f.txt", body, "bsdtar", "-cf", "out", "--zstd", "f.txt"),
            "ar": files.by_program("f.txt", body, "ar", "rc", "OUT", "IN"),
        }
        for name, data in rows.items():
            with self.subTest(name):
                self.readable(data, SECRET)

    def test_ZIP_08_encrypted(self):
        body = SECRET.encode()
        seven = ["7z", "a", "-psecret"]
        rows = {
            "zip, AES": files.by_program("f.txt", body, *seven, "-tzip", "-mem=AES256", "out.zip",
                                         "IN"),
            "zip, PKWARE": files.by_program("f.txt", body, *seven, "-tzip", "out.zip", "IN"),
            "7z": files.by_program("f.txt", body, *seven, "out.7z", "IN"),
            "7z, its list, too": files.by_program("f.txt", body, *seven, "-mhe=on", "out.7z", "IN"),
            "openpgp": files.by_program("f.txt", body, "gpg", "--batch", "--homedir", ".",
                                        "--passphrase", "x", "-o", "OUT", "-c", "IN"),
        }
        for name, data in rows.items():
            with self.subTest(name):
                self.encrypted(data)
        a = self.encrypted(rows["zip, AES"])
        self.assertTrue(a.find("f.txt").flags & IS_ENCRYPTED)

    def test_ZIP_08_encrypted_beside_what_is_not(self):
        locked = files.by_program("f.txt", b"x", "7z", "a", "-psecret", "-tzip", "out.zip", "IN")
        self.encrypted(files.zipped([("a.zip", locked), ("b.txt", SECRET)]))

    def test_ZIP_06_names(self):
        rows = ["../../x", "/etc/x", "C:\\x", "a\\..\\b", "a/../../b", "a\rb"]
        a = self.readable(files.zipped([(n, b"x") for n in rows] + [("a..b/c", b"x")]))
        self.assertEqual([bool(m.flags & ODD) for m in a.members[1:]], [True] * len(rows) + [False])

    def test_names_that_are_not_utf8(self):
        raw = files.zipped([("aaaaaa.txt", b"x")]).replace(b"aaaaaa", "社外秘".encode("cp932"))
        self.assertTrue(self.readable(raw).members[1].flags & RAW)

    def test_ZIP_06_links(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as t:
            for name, kind in (("l", tarfile.SYMTYPE), ("h", tarfile.LNKTYPE),
                               ("d", tarfile.CHRTYPE)):
                info = tarfile.TarInfo(name)
                info.type, info.linkname = kind, "/etc/passwd"
                t.addfile(info)
        a = self.readable(out.getvalue())
        self.assertEqual([bool(m.flags & LINK) for m in a.members], [False, True, True, True])

    def test_programs_and_pictures(self):
        a = self.readable(open("/bin/true", "rb").read())
        self.assertTrue(a.flags & OPAQUE)

    def test_unknown(self):
        self.unreadable(bytes(range(1, 256)) * 8 + b"\0\1\2", "FORMAT")


class Doubts(Case):
    """ZIP-07: what programs may read differently, or not at all."""
    whole = files.zipped([("a.txt", SECRET * 40), ("b.txt", "b")])

    def test_good(self):
        self.readable(self.whole, SECRET)

    def test_bytes_in_front(self):
        self.assertEqual(self.ask(b"PK\3\4" + b"junk" + self.whole).verdict, UNREADABLE)
        self.unreadable(files.PNG + self.whole, "AMBIGUOUS")
        self.unreadable(b"text " + self.whole, "AMBIGUOUS")

    def test_bytes_behind(self):
        self.unreadable(self.whole + b"x", "AMBIGUOUS")

    def test_two_ends(self):
        self.unreadable(self.whole + self.whole, "AMBIGUOUS")

    def test_local_name_differs(self):
        at = self.whole.index(b"a.txt")
        self.unreadable(self.whole[:at] + b"z" + self.whole[at + 1:], "AMBIGUOUS")

    def test_local_size_differs(self):
        changed = bytearray(self.whole)
        changed[22] ^= 1
        self.unreadable(bytes(changed), "AMBIGUOUS")

    def test_entry_that_is_not_listed(self):
        end = self.whole.rindex(b"PK\5\6")
        at = int.from_bytes(self.whole[end + 16:end + 20], "little")
        second = self.whole.index(b"PK\1\2", at + 4)
        listed = self.whole[second:end]  # without the first
        tail = bytearray(self.whole[end:])
        tail[8:12] = b"\1\0\1\0"
        tail[12:16] = len(listed).to_bytes(4, "little")
        self.unreadable(self.whole[:at] + listed + bytes(tail), "AMBIGUOUS")

    def test_checksum(self):
        stored = bytearray(files.zipped([("a", b"hello hello")], zipfile.ZIP_STORED))
        stored[stored.index(b"hello")] ^= 1
        self.unreadable(bytes(stored), "DAMAGED")

    def test_cut_off(self):
        for cut in range(4, len(self.whole), 7):
            with self.subTest(cut):
                self.assertEqual(self.ask(self.whole[:cut]).verdict, UNREADABLE)

    def test_every_byte_wrong_is_no_crash(self):
        for at in range(0, len(self.whole), 3):
            changed = bytearray(self.whole)
            changed[at] ^= 0xFF
            self.ask(bytes(changed))

    def test_split_archive(self):
        self.assertEqual(self.ask(self.whole[:60]).verdict, UNREADABLE)

    def test_archives_cut_off(self):
        body = os.urandom(3000)
        for data in (files.tarred([("f", body)]), gzip.compress(body), lzma.compress(body),
                     files.by_program("f", body, "7z", "a", "out.7z", "IN")):
            self.assertEqual(self.ask(data[:len(data) // 2]).verdict, UNREADABLE)


class Bombs(Case):
    def test_ZIP_05_ratio(self):
        self.unreadable(files.zipped([("a", b"\0" * (32 << 20))]), "RATIO")
        self.unreadable(gzip.compress(b"\0" * (32 << 20)), "RATIO")
        self.unreadable(bz2.compress(b"\0" * (32 << 20)), "RATIO")

    def test_ZIP_05_of_a_sheet(self):
        self.unreadable(files.ooxml([("word/document.xml", "<x>" + " " * (32 << 20) + "</x>")]),
                        "RATIO")

    def test_ZIP_05_nested(self):
        bomb = files.zipped([("0", b"a" * (4 << 20))])
        for _ in range(3):
            bomb = files.zipped([(str(i), bomb) for i in range(16)])
        a = self.ask(bomb)
        self.assertEqual(a.verdict, UNREADABLE)
        self.assertIn(a.reason, ("RATIO", "BYTES"))

    def test_ZIP_05_overlapping(self):
        self.unreadable(files.overlapping(100, 1 << 20), "RATIO")

    def test_ZIP_05_headers_that_lie(self):
        liar = bytearray(files.zipped([("a", b"\0" * (40 << 20))]))
        for at in (22, liar.index(b"PK\1\2") + 24):
            liar[at:at + 4] = (10).to_bytes(4, "little")
        self.assertEqual(self.ask(bytes(liar)).verdict, UNREADABLE)

    def test_ZIP_10_depth(self):
        deep = b"x"
        for _ in range(20):
            deep = files.zipped([("a", deep)])
        self.unreadable(deep, "DEPTH")

    def test_ZIP_10_many(self):
        self.unreadable(files.zipped([(str(i), b"") for i in range(2100)]), "MEMBERS")
        self.unreadable(files.tarred([(str(i), b"") for i in range(2100)]), "MEMBERS")

    def test_too_large(self):
        self.unreadable(b"x" * 100000, "BYTES", bytes=99999)
        self.readable(b"x" * 100000, bytes=100000)
        self.unreadable(files.zipped([("a", os.urandom(100000).hex())]), "BYTES", bytes=150000)

    def test_too_much_comes_out(self):
        self.unreadable(files.zipped([("a", os.urandom(100000).hex())]), "BYTES", expanded=150000)

    def test_too_much_text(self):
        self.unreadable(b"x" * 100000, "TEXT", text=99999)

    def test_quine_of_gzip_layers(self):
        data = b"x" * 100
        for _ in range(30):
            data = zlib.compress(data, 9)
            data = gzip.compress(data)
        self.assertEqual(self.ask(data).verdict, UNREADABLE)

    def test_time(self):
        many = files.zipped([(f"{i}", files.pdf(SECRET)) for i in range(400)])
        started = time.monotonic()
        self.unreadable(many, "TIME", time_ms=300)
        self.assertLess(time.monotonic() - started, 10)


class Life(Case):
    def test_many_at_once_and_more_than_there_are_rooms(self):
        sockets = [self.extractor.connect() for _ in range(12)]
        for s in sockets:
            s.sendall(client.begin() + client.pieces(SECRET.encode()) + client.message(b"E"))
        for s in sockets:
            self.assertEqual(client.read_answer(s).text(), SECRET)
            s.close()

    def test_killed_in_the_middle(self):
        s = self.extractor.connect()
        s.sendall(client.begin() + client.pieces(b"x"))
        end = time.monotonic() + 10
        while not self.extractor.rooms() and time.monotonic() < end:
            time.sleep(0.02)
        os.kill(self.extractor.rooms()[0], signal.SIGKILL)
        self.assertIsNone(client.read_answer(s))
        s.close()
        self.readable(SECRET.encode(), SECRET)

    def test_nonsense_instead_of_a_request(self):
        for bad in (b"GET / HTTP/1.0\r\n\r\n", client.message(b"D", b"x"), client.message(b"E"),
                    client.begin() * 2, b"B\xff\xff\xff\xff"):
            with self.extractor.connect() as s:
                s.sendall(bad)
                s.shutdown(1)
                self.assertIsNone(client.read_answer(s))

    def test_nobody_is_left(self):
        self.readable(files.pdf(SECRET), SECRET)
        end = time.monotonic() + 10
        while self.extractor.rooms() and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(self.extractor.rooms(), [])

    def test_dies_with_its_parent(self):
        one = client.Extractor(BUILD)
        s = one.connect()
        s.sendall(client.begin())
        end = time.monotonic() + 10
        while not one.rooms() and time.monotonic() < end:
            time.sleep(0.02)
        room = one.rooms()[0]
        one.process.kill()
        one.process.wait()
        while os.path.exists(f"/proc/{room}") and time.monotonic() < end:
            time.sleep(0.02)
            with open(f"/proc/{room}/stat", encoding="utf-8", errors="replace") as f:
                if f.read().rpartition(")")[2].split()[0] == "Z":
                    break
        s.close()
        one.stop()
        self.assertLess(time.monotonic(), end)


class Sandbox(unittest.TestCase):
    """What a process that has been taken over can do."""
    may = {"library", "exec-helper", "file-in-memory"}
    if os.environ.get("SEKIMORI_SANITIZED") == "1":
        may |= {"memory"}  # BASE_SANITIZED: a sanitizer has it all

    def test_attempts(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            # its own end needs /proc, which the sandbox has not
            options = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
            done = subprocess.run([os.path.join(BUILD, "extractor_probe"), folder], check=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  env={**os.environ, "ASAN_OPTIONS": options})
            self.assertEqual(os.listdir(folder), [])
        lines = [line.split() for line in done.stdout.decode().splitlines() if " " in line]
        results = [w for w in lines if w[-1] in ("refused", "done") and len(w) == 2]
        self.assertGreater(len(results), 30)
        for name, result in results:
            with self.subTest(name):
                self.assertEqual(result, "done" if name in self.may else "refused")


if __name__ == "__main__":
    if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
        BUILD = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
