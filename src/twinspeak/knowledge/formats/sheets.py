"""Spreadsheets: XLSX, XLSB, XLS and ODS, read by calamine; every sheet's rows under the names of their columns."""

import io
from collections.abc import Iterator

from twinspeak.domain.file_errors import FileDamaged, FileEncrypted
from twinspeak.knowledge.document import Block
from twinspeak.knowledge.formats.reading import Reading
from twinspeak.knowledge.formats.tables import sheet_blocks


def read(reading: Reading) -> Iterator[Block]:
    """Yield the rows of every sheet, hidden ones left out."""
    import python_calamine as calamine

    try:
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(reading.data()))
        shown = [sheet.name for sheet in book.sheets_metadata if sheet.visible == calamine.SheetVisibleEnum.Visible]
        reading.units = len(shown)
        for number, name in enumerate(shown, start=1):
            try:
                sheet = book.get_sheet_by_name(name)
            except calamine.WorksheetNotFound:
                continue  # a sheet that is a chart
            first = sheet.start[0] + 1 if sheet.start else 1
            yield from sheet_blocks(reading, sheet.iter_rows(), sheet=name, first_row=first)
            reading.report(number, len(shown))
    except calamine.PasswordError as error:
        raise FileEncrypted from error
    except (calamine.CalamineError, OSError) as error:
        raise FileDamaged(details={"format": "spreadsheet"}) from error
