"""One module a noun: functions of a transaction, rows in and domain values out."""
