"""The figures, a module a section; each function asks its marts and draws, or raises Absent with the reason."""
