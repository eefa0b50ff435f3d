"""The report of a study: one HTML page that needs no network. Only marts are read, and no statistic is computed here.

reader = Reader(connection, Facts("java", "Rainfall of Java"))
write(reader, Path("java.html"), date.today(), "0.1.0")
"""

from serving.report.model import Facts
from serving.report.page import Report, write
from serving.report.reader import Reader

__all__ = ["Facts", "Reader", "Report", "write"]
