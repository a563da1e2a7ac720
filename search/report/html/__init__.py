"""`report.html`: the answer as one page that opens anywhere, offline."""
