"""One real file of each format, made by the programs and libraries that people make them with.

Each holds one fact that no other does, among sentences that are in all of them.
"""

import csv
import json
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import docx
import mkepub
import odfdo
import openpyxl
import pptx
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Table

FILLER = "The harbour office is open on working days, and every ship that comes in is written into its book. "


def pdf(path: Path) -> None:
    styles = getSampleStyleSheet()
    title, heading, body = styles["Title"], styles["Heading1"], styles["BodyText"]
    fact = "The lighthouse of Port Ardent burns 412 litres of rape oil in every winter night."
    story: list[Flowable] = [
        Paragraph("Harbour Handbook", title),
        Paragraph("Opening hours", heading),
        Paragraph(FILLER * 6, body),
        PageBreak(),
        Paragraph("The lighthouse", heading),
        Paragraph(FILLER * 3, body),
        Paragraph(f"{fact} {FILLER * 2}", body),
        PageBreak(),
        Paragraph("Tariffs", heading),
        Paragraph(FILLER * 4, body),
        Table([["Ship", "Fee"], ["Barge", "12"], ["Cutter", "31"]]),
    ]
    SimpleDocTemplate(str(path), pagesize=A4, title="Harbour Handbook", author="Harbour").build(story)


def word(path: Path) -> None:
    document = docx.Document()
    document.core_properties.title = "Crew rules"
    document.add_heading("Crew rules", 0)
    document.add_heading("Watches", 1)
    document.add_paragraph(FILLER * 4)
    document.add_heading("The dog watch", 2)
    document.add_paragraph("The dog watch of the Marigold is kept by two sailmakers and one cook.")
    document.add_paragraph("Bring a lantern", style="List Bullet")
    table = document.add_table(rows=3, cols=2)
    for row, cells in zip(table.rows, (("Rank", "Rations"), ("Bosun", "three"), ("Cooper", "two")), strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    document.save(str(path))


def slides(path: Path) -> None:
    deck = pptx.Presentation()
    layout = deck.slide_layouts[1]
    for title, text in (
        ("Welcome", FILLER),
        ("Ballast", "The frigate Halcyon carries ninety tons of granite as ballast."),
        ("Thanks", FILLER),
    ):
        slide = deck.slides.add_slide(layout)
        for place, words in zip(slide.placeholders, (title, text), strict=True):
            cast("Any", place).text_frame.text = words
    notes = deck.slides[2].notes_slide.notes_text_frame
    assert notes is not None
    notes.text = "Mention the raffle of the ship's parrot."
    deck.save(str(path))


def workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    first = book.create_sheet("Crew", 0)
    del book["Sheet"]
    first.append(["Name", "Rank", "Joined"])
    for number in range(60):
        first.append([f"Sailor {number}", "hand", 1700 + number])
    second = book.create_sheet("Cargo")
    second.append(["Goods", "Barrels", "Origin"])
    second.append(["Molasses", 77, "Saint Brendan"])
    second.append(["Ambergris", 3, "Nantwich"])
    book.save(path)


def odf_text(path: Path) -> None:
    document = odfdo.Document("text")
    body = document.body
    body.clear()
    body.append(odfdo.Header(1, "Rigging"))
    body.append(odfdo.Paragraph(FILLER * 3))
    body.append(odfdo.Header(2, "Shrouds"))
    body.append(odfdo.Paragraph("The shrouds of the Pelican are tarred with Swedish pitch each May."))
    body.append(odfdo.List(["marlinspike", "fid"]))
    document.save(str(path))


def odf_sheet(path: Path) -> None:
    document = odfdo.Document("spreadsheet")
    document.body.clear()
    table = odfdo.Table("Tides")
    table.set_values([["Place", "High water"], ["Gull Rock", "4.25 m"], ["Quern Point", "6.75 m"]])
    document.body.append(table)
    document.save(str(path))


def odf_slides(path: Path) -> None:
    document = odfdo.Document("presentation")
    document.body.clear()
    for title, text in (("Anchors", FILLER), ("Cables", "A cable of the Osprey is spun from Riga hemp.")):
        page = odfdo.DrawPage(title, name=title)
        page.append(odfdo.Frame.text_frame(title, presentation_class="title"))
        page.append(odfdo.Frame.text_frame(text, presentation_class="outline"))
        document.body.append(page)
    document.save(str(path))


def book(path: Path) -> None:
    made = mkepub.Book(title="Songs of the Sea", author="A. Shanty")
    made.add_page("Capstan", f"<h1>Capstan songs</h1><p>{FILLER}</p>")
    made.add_page("Pump", "<h1>Pump songs</h1><p>The pump song of Fowey has seventeen verses about eels.</p>")
    made.save(str(path))
    made.tempdir.cleanup()


def page(path: Path) -> None:
    path.write_text(
        f"""<!doctype html><html><head><title>Knots</title><script>var secret = "bowline";</script></head>
        <body><nav><a href="/">Home</a> <a href="/x">Splices</a></nav><main><h1>Knots</h1><p>{FILLER * 3}</p>
        <h2>The turk's head</h2><p>The turk&rsquo;s head of the Dunmore school has <b>eleven</b> leads.</p>
        <ul><li>Use tarred line</li><li>Whip the ends</li></ul></main><footer>Imprint</footer></body></html>""",
        encoding="utf-8",
    )


def markdown(path: Path) -> None:
    path.write_text(
        f"# Galley\n\n{FILLER}\n\n## Biscuit\n\nShip's biscuit from Deptford is baked four times over.\n",
        encoding="utf-8",
    )


def table(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["Buoy", "Colour", "Depth"])
        writer.writerows([f"B{number}", "green", number] for number in range(30))
        writer.writerow(["Gannet", "vermilion", 44])


def records(path: Path) -> None:
    path.write_text(
        json.dumps([{"ship": "Curlew", "flag": "none"}, {"ship": "Plover", "figurehead": "a carved narwhal"}]),
        encoding="utf-8",
    )


def cyrillic(path: Path) -> None:
    text = "Журнал порта. Капитан Лаврова нашла янтарную шкатулку под третьим причалом. "
    path.write_bytes((text * 3).encode("cp1251"))


def wide(path: Path) -> None:
    path.write_bytes("Kapitän Wübbena zählte im Jahre 1811 genau 53 Möwen.\r\n".encode("utf-16"))


def source(path: Path) -> None:
    path.write_text(
        "import math\n\n\ndef squall_factor(knots):\n    # Beaufort's forgotten exponent\n    return knots ** 1.37\n",
        encoding="utf-8",
    )


def mail(path: Path) -> None:
    message = EmailMessage()
    message["From"] = "Purser <purser@example.org>"
    message["To"] = "crew@example.org"
    message["Subject"] = "Pay day moved"
    message["Date"] = "Mon, 01 Jun 2026 09:00:00 +0000"
    message.set_content("Pay day of the Kittiwake is the ninth, behind the chandler's.")
    message.add_alternative("<p>Pay day of the Kittiwake is the ninth, behind the chandler's.</p>", subtype="html")
    receipt = b"# Receipt\n\nFour doubloons.\n"
    message.add_attachment(receipt, maintype="text", subtype="markdown", filename="receipt.md")
    path.write_bytes(message.as_bytes())


def notebook(path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Log analysis\n", "\n", FILLER]},
        {
            "cell_type": "code",
            "metadata": {},
            "execution_count": 1,
            "source": ["speed = leagues / glasses\n", "print(speed)"],
            "outputs": [{"output_type": "stream", "name": "stdout", "text": ["mean speed of the Wigeon: 7.31\n"]}],
        },
    ]
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")


def captions(path: Path) -> None:
    path.write_text(
        "WEBVTT\n\nNOTE made by hand\n\n1\n00:00:01.000 --> 00:00:04.000\n<v Mate>Cast off forward.\n\n"
        "2\n00:12:05.500 --> 00:12:09.000 align:start\n<v Pilot>Keep the white chapel over the mill until the bar.\n",
        encoding="utf-8",
    )


def subrip(path: Path) -> None:
    path.write_bytes(
        b"1\r\n00:00:02,000 --> 00:00:05,000\r\n<i>Gulls.</i>\r\n\r\n"
        b"2\r\n01:02:03,000 --> 01:02:06,500\r\nThe smuggler's cave opens at neap tide.\r\n"
    )


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("charts/soundings.md", "# Soundings\n\nOff Kestrel Head the lead finds blue clay.\n")
        made.writestr("__MACOSX/._soundings.md", b"\0")
        made.writestr("empty/", b"")


def cartridge(path: Path) -> None:
    manifest = """<?xml version="1.0" encoding="UTF-8"?>
        <manifest xmlns="http://www.imsglobal.org/xsd/imsccv1p3/imscp_v1p1" identifier="m">
        <organizations><organization identifier="o" structure="rooted-hierarchy"><item identifier="root">
        <item identifier="i1" identifierref="r1"><title>Week 1: Stars</title></item></item></organization>
        </organizations>
        <resources><resource identifier="r1" type="imsdt_xmlv1p3"><file href="a1b2.xml"/></resource></resources>
        </manifest>"""
    topic = """<?xml version="1.0" encoding="UTF-8"?>
        <topic xmlns="http://www.imsglobal.org/xsd/imsccv1p3/imsdt_v1p3"><title>Stars</title>
        <text texttype="text/html">&lt;p&gt;Navigators of Brixham steer by Alphecca.&lt;/p&gt;</text></topic>"""
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("imsmanifest.xml", manifest)
        made.writestr("a1b2.xml", topic)


def scan(path: Path) -> None:
    picture = Image.new("L", (1_400, 300), 255)
    font = ImageFont.load_default(size=40)
    ImageDraw.Draw(picture).text((40, 60), "The bell of the Fulmar\nwas cast in Lisbon.", fill=0, font=font)
    picture.save(path)


def scanned_pdf(path: Path) -> None:
    picture = path.with_suffix(".source.png")
    scan(picture)
    Image.open(picture).convert("RGB").save(path, "PDF", resolution=150)
    picture.unlink()


Maker = Callable[[Path], None]
