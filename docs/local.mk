# configuration.md is printed from the tables by `sonde document`; a test
# compares.
dist_doc_DATA += docs/access.md docs/architecture.md docs/configuration.md \
	docs/goals.md docs/migrating.md docs/sidecar.md \
	docs/writing-a-plugin.md
