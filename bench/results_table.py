"""A table of results that grows row by row: a CSV on disk that a stopped run continues, and Markdown of it."""
import csv
import os
import statistics


class ResultsTable:
    """Rows of `columns`; those in `key` tell a row from all others. What the file holds already is kept."""

    def __init__(self, path, key, columns):
        self.path, self.key, self.columns = path, key, [*key, *columns]
        self.rows = []
        if os.path.exists(path):
            with open(path, newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                if reader.fieldnames != self.columns:
                    raise SystemExit(f"{path}: has the columns {reader.fieldnames}, not {self.columns}; move it away")
                self.rows = list(reader)
        else:
            self._append(dict(zip(self.columns, self.columns)))

    def _append(self, row):
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns, lineterminator="\n").writerow(row)

    def has(self, **key):
        return any(all(row[name] == str(key[name]) for name in self.key) for row in self.rows)

    def add(self, **row):
        row = {name: str(row.get(name, "")) for name in self.columns}
        self.rows.append(row)
        self._append(row)

    def means(self, by, columns):
        """[(values of `by`, count, {column: mean}, {column: smallest})], in order of first appearance."""
        groups = {}
        for row in self.rows:
            groups.setdefault(tuple(row[name] for name in by), []).append(row)
        result = []
        for group, rows in groups.items():
            values = {name: [float(row[name]) for row in rows if row[name] != ""] for name in columns}
            result.append((group, len(rows),
                           {name: statistics.fmean(v) for name, v in values.items() if v},
                           {name: min(v) for name, v in values.items() if v}))
        return result


def markdown(header, rows):
    """A Markdown table; numbers as they are given."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
