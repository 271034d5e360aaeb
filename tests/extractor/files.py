"""Files for the tests, made by hand or by real programs."""
import io
import os
import struct
import subprocess
import tarfile
import tempfile
import zipfile

SECRET = "社外秘"
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
A = ('xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
     'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"')
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def zipped(entries, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in entries:
            z.writestr(name, data)
    return out.getvalue()


def ooxml(entries):
    types = HEAD + '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
    return zipped([("[Content_Types].xml", types)] +
                  [(n, HEAD + d if isinstance(d, str) else d) for n, d in entries])


def docx(body, *more):
    document = f'<w:document {W}><w:body>{body}</w:body></w:document>'
    return ooxml([("word/document.xml", document), *more])


def paragraph(*runs):
    return "<w:p>" + "".join(f"<w:r><w:t>{r}</w:t></w:r>" for r in runs) + "</w:p>"


def xlsx(rows, strings=(), sheet='<sheet name="一覧" sheetId="1"/>', *more):
    shared = "".join(f"<si><t>{s}</t></si>" for s in strings)
    return ooxml([
        ("xl/workbook.xml", f"<workbook {S}><sheets>{sheet}</sheets></workbook>"),
        ("xl/worksheets/sheet1.xml", f"<worksheet {S}><sheetData>{rows}</sheetData></worksheet>"),
        ("xl/sharedStrings.xml", f"<sst {S}>{shared}</sst>"), *more])


def pptx(text, notes="", show=""):
    def slide(tag, t):
        return (f'<p:{tag} {A}{show if tag == "sld" else ""}><p:txBody><a:p><a:r><a:t>{t}</a:t>'
                f'</a:r></a:p></p:txBody></p:{tag}>')
    return ooxml([("ppt/presentation.xml", f"<p:presentation {A}/>"),
                  ("ppt/slides/slide1.xml", slide("sld", text)),
                  ("ppt/notesSlides/notesSlide1.xml", slide("notes", notes))])


def odt(text, manifest=""):
    office = ('xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
              'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"')
    listed = ('xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"')
    return zipped([
        ("mimetype", "application/vnd.oasis.opendocument.text"),
        ("content.xml", f"{HEAD}<office:document-content {office}><text:p>{text}</text:p>"
                        "</office:document-content>"),
        ("META-INF/manifest.xml", f"{HEAD}<manifest:manifest {listed}>{manifest}"
                                  "</manifest:manifest>")])


def pdf(text):
    """One page of one font whose codes are UTF-16, as most programs for Japanese write it."""
    codes = text.encode("utf-16-be")
    pairs = "\n".join(f"<{codes[i:i + 2].hex()}> <{codes[i:i + 2].hex()}>"
                      for i in range(0, len(codes), 2))
    cmap = ("/CIDInit /ProcSet findresource begin begincmap\n1 begincodespacerange\n"
            f"<0000> <ffff>\nendcodespacerange\n{len(codes) // 2} beginbfchar\n{pairs}\n"
            "endbfchar\nendcmap\nend")
    content = f"BT /F1 24 Tf 72 700 Td <{codes.hex()}> Tj ET"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R"
        "/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(content)}>>\nstream\n{content}\nendstream",
        "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[6 0 R]"
        "/ToUnicode 7 0 R>>",
        "<</Type/Font/Subtype/CIDFontType2/BaseFont/X/CIDSystemInfo<</Registry(Adobe)"
        "/Ordering(Identity)/Supplement 0>>/FontDescriptor 8 0 R/DW 1000>>",
        f"<</Length {len(cmap)}>>\nstream\n{cmap}\nendstream",
        "<</Type/FontDescriptor/FontName/X/Flags 4/FontBBox[0 0 1000 1000]/ItalicAngle 0"
        "/Ascent 800/Descent -200/CapHeight 700/StemV 80>>",
    ]
    return pdf_of(objects)


def pdf_sjis(text):
    """The same in CP932, which readers translate by their own tables."""
    content = f"BT /F1 24 Tf 72 700 Td <{text.encode('cp932').hex()}> Tj ET"
    return pdf_of([
        "<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R"
        "/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(content)}>>\nstream\n{content}\nendstream",
        "<</Type/Font/Subtype/Type0/BaseFont/MS-Mincho/Encoding/90ms-RKSJ-H"
        "/DescendantFonts[6 0 R]>>",
        "<</Type/Font/Subtype/CIDFontType2/BaseFont/MS-Mincho/CIDSystemInfo<</Registry(Adobe)"
        "/Ordering(Japan1)/Supplement 2>>/DW 1000>>"])


def pdf_of(objects):
    out, at = b"%PDF-1.4\n", []
    for n, body in enumerate(objects, 1):
        at.append(len(out))
        out += f"{n} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{a:010} 00000 n \n" for a in at)
    return out + (f"xref\n0 {len(at) + 1}\n0000000000 65535 f \n{table}trailer\n"
                  f"<</Size {len(at) + 1}/Root 1 0 R>>\nstartxref\n{len(out)}\n%%EOF\n").encode()


def compound(streams, storages=()):
    """An OLE compound file: the streams, each in sectors of 512 bytes, no small ones."""
    data, starts, fat = b"", [], []
    for _, body in streams:
        body = body + b"\0" * (max(4096, -(-len(body) // 512) * 512) - len(body))
        starts.append((len(data) // 512, len(body)))
        count = len(body) // 512
        fat += [len(fat) + i + 1 for i in range(count - 1)] + [0xFFFFFFFE]
        data += body

    def entry(name, kind, first=0, size=0, child=0xFFFFFFFF):
        raw = name.encode("utf-16-le")
        return struct.pack("<64sHBBIII16sIQQIQ", raw, len(raw) + 2, kind, 1, 0xFFFFFFFF,
                           0xFFFFFFFF, child, b"", 0, 0, 0, first, size)
    listed = entry("Root Entry", 5, 0xFFFFFFFE, 0, 1)
    for name in storages:
        listed += entry(name, 1)
    for (name, _), (first, size) in zip(streams, starts):
        listed += entry(name, 2, first, size)
    listed += b"\0" * (-len(listed) % 512)
    directory = len(fat)
    fat += [directory + i + 1 for i in range(len(listed) // 512 - 1)] + [0xFFFFFFFE]
    fats = -(-(len(fat) + 1) // 127)
    table = len(fat)
    fat += [0xFFFFFFFD] * fats
    fat += [0xFFFFFFFF] * (fats * 128 - len(fat))
    header = struct.pack("<8s16sHHHHH6sIIIIIIIII", bytes.fromhex("d0cf11e0a1b11ae1"), b"", 0x3E, 3,
                         0xFFFE, 9, 6, b"", 0, fats, directory, 0, 4096, 0xFFFFFFFE, 0,
                         0xFFFFFFFE, 0)
    header += struct.pack("<109I", *[table + i for i in range(fats)], *[0xFFFFFFFF] * (109 - fats))
    return header + data + listed + struct.pack(f"<{len(fat)}I", *fat)


def record(kind, body=b""):
    return struct.pack("<HH", kind, len(body)) + body


def xls(cells, locked=False):
    """Excel 97: one sheet whose cells are labels of the shared table."""
    bof = struct.pack("<HHHHII", 0x0600, 5, 0x0DBB, 0x07CC, 0, 6)
    strings = b"".join(struct.pack("<HB", len(c), 1) + c.encode("utf-16-le") for c in cells)
    name = struct.pack("<BB", 2, 0) + b"S1"
    start = record(0x809, bof) + (record(0x2F, b"\1\0" * 8) if locked else b"")
    sst = record(0xFC, struct.pack("<II", len(cells), len(cells)) + strings)
    bound = record(0x85, struct.pack("<IBB", len(start) + 12 + len(sst) + 4, 0, 0) + name)
    sheet = record(0x809, struct.pack("<HHHHII", 0x0600, 0x10, 0x0DBB, 0x07CC, 0, 6))
    sheet += b"".join(record(0xFD, struct.pack("<HHHI", i, 0, 0, i)) for i in range(len(cells)))
    body = start + bound + sst + record(0x0A) + sheet + record(0x0A)
    return compound([("Workbook", body)])


def doc(text, locked=False):
    """Word 97: text in UTF-16 behind the head, one piece."""
    raw = text.encode("utf-16-le")
    head = bytearray(0x600)
    struct.pack_into("<HHHHHH", head, 0, 0xA5EC, 0xC1, 0, 0x0411, 0, 0x1000 | (locked << 8))
    struct.pack_into("<II", head, 24, 0x600, 0x600 + len(raw))
    return compound([("WordDocument", bytes(head) + raw), ("1Table", b"\0" * 512)])


def by_program(name, data, *command):
    """What a program makes of a file: its words with IN and OUT as the paths. Bytes of OUT."""
    with tempfile.TemporaryDirectory() as d:
        paths = {"IN": os.path.join(d, name), "OUT": os.path.join(d, "out")}
        with open(paths["IN"], "wb") as f:
            f.write(data)
        subprocess.run([paths.get(w, w) for w in command], check=True, cwd=d,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = [n for n in os.listdir(d) if n.startswith("out")]
        with open(os.path.join(d, found[0]), "rb") as f:
            return f.read()


def tarred(entries, mode="w"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as t:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def overlapping(count, size):
    """Fifield's bomb in its first form: many entries of the directory, one of data."""
    whole = zipped([("0", b"\0" * size)])
    end = whole.rindex(b"PK\5\6")
    at, = struct.unpack_from("<I", whole, end + 16)
    one = whole[at:end]
    listed = one * count
    return whole[:at] + listed + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count,
                                             len(listed), at, 0)


PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000"
                    "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082")
