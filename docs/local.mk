# printed from the tables
EXTRA_DIST += docs/writing-a-plugin.md
